/* SPDX-License-Identifier: Apache-2.0 */
/* test_worker_mask.c - secrets in streams, cut at every place. */
#include "mask.h"

#include <criterion/criterion.h>
#include <string.h>

/* text through the mask in pieces of `piece` bytes. */
static char *
masked(const char *const *secrets, const char *text, size_t piece)
{
    CLEANUP(mask_free) struct mask *mask = mask_new();
    struct buf out = {0};

    buf_str(&out, "");
    for (; *secrets; secrets++)
        mask_secret(mask, *secrets, strlen(*secrets));
    for (size_t at = 0, len = strlen(text); at < len; at += piece)
        mask_add(mask, text + at, len - at < piece ? len - at : piece, &out);
    mask_end(mask, &out);
    return buf_take(&out);
}

static void
expect(const char *const *secrets, const char *text, const char *expected)
{
    for (size_t piece = 1; piece <= strlen(text); piece++) {
        CLEANUP(mem_free) char *got = masked(secrets, text, piece);
        cr_assert_str_eq(got, expected, "in pieces of %zu: '%s'", piece, got);
    }
}

Test(worker_mask, wherever_a_chunk_ends)
{
    const char *secrets[] = {"secret", NULL};

    expect(secrets, "a secret!", "a ***!");
    expect(secrets, "secret", "***");
    expect(secrets, "secretsecret", "******");
    expect(secrets, "secrsecret", "secr***");
    expect(secrets, "sesesecre", "sesesecre");
    expect(secrets, "line\nsecre\nt", "line\nsecre\nt");
}

Test(worker_mask, the_longest_of_those_that_begin_alike)
{
    const char *secrets[] = {"pass", "password1", "password1-longer", NULL};

    expect(secrets, "password1-longer.", "***.");
    expect(secrets, "password1-long", "***-long");
    expect(secrets, "password", "***word");
    expect(secrets, "pass", "***");
}

Test(worker_mask, a_secret_of_repeated_letters)
{
    const char *secrets[] = {"aaaa", "aaab", NULL};

    expect(secrets, "aaaaaaaab", "******b");
    expect(secrets, "caaabaaa", "c***aaa");
}

Test(worker_mask, short_values_are_no_secrets)
{
    const char *secrets[] = {"abc", NULL};

    expect(secrets, "abcabc", "abcabc");
}

Test(worker_mask, nothing_of_a_secret_is_passed_on_early)
{
    CLEANUP(mask_free) struct mask *mask = mask_new();
    CLEANUP(buf_done) struct buf out = {0};

    mask_secret(mask, "secret", 6);
    mask_add(mask, "x secre", 7, &out);
    cr_assert_str_eq(out.data, "x ");
    mask_add(mask, "ly", 2, &out);
    cr_assert_str_eq(out.data, "x secrely");
}

Test(worker_mask, finds_a_secret_in_bytes)
{
    CLEANUP(mask_free) struct mask *mask = mask_new();

    cr_assert_not(mask_finds(mask, "secret", 6));
    mask_secret(mask, "secret", 6);
    mask_secret(mask, "secret-longer", 13);
    cr_assert(mask_finds(mask, "is secret", 9));
    cr_assert_not(mask_finds(mask, "is secre", 8));
    cr_assert_not(mask_finds(mask, "", 0));
}
