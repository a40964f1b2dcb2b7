/* SPDX-License-Identifier: Apache-2.0 */
/* test_crypto.c - published vectors, and the forms of texts. */
#include "crypto/crypto.h"

#include <criterion/criterion.h>
#include <string.h>
#include <time.h>

static void
expect_sha256(const char *text, size_t len, const char *hex)
{
    char got[SHA256_HEX + 1];

    crypto_sha256_hex(text, len, got);
    cr_assert_str_eq(got, hex);
}

Test(crypto, sha256_of_fips_180_4)
{
    expect_sha256("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect_sha256("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect_sha256(NULL, 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect_sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
                  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

Test(crypto, sha256_in_pieces_is_the_same)
{
    CLEANUP(sha256_stream_free) struct sha256_stream *s = sha256_stream_new();
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX + 1];

    for (int i = 0; i < 1000000; i += 100)
        sha256_stream_add(s,
                          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                          100);
    sha256_stream_end(s, digest);
    crypto_hex(digest, sizeof(digest), hex);
    cr_assert_str_eq(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void
expect_hmac(const char *key, size_t key_len, const char *data, size_t len, const char *hex)
{
    uint8_t mac[SHA256_BYTES];
    char got[SHA256_HEX + 1];

    crypto_hmac_sha256(key, key_len, data, len, mac);
    crypto_hex(mac, sizeof(mac), got);
    cr_assert_str_eq(got, hex);
}

Test(crypto, hmac_sha256_of_rfc_4231)
{
    char aa[131], dd[50];

    memset(aa, 0xaa, sizeof(aa));
    memset(dd, 0xdd, sizeof(dd));
    expect_hmac("\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b",
                20, "Hi There", 8,
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    expect_hmac("Jefe", 4, "what do ya want for nothing?", 28,
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    expect_hmac(aa, 20, dd, 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    expect_hmac(aa, 131, "Test Using Larger Than Block-Size Key - Hash Key First", 54,
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

Test(crypto, hmac_with_an_empty_key)
{
    expect_hmac("", 0, "", 0, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
    expect_hmac(NULL, 0, "", 0, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

Test(crypto, hex_both_ways)
{
    uint8_t bytes[4] = {9, 9, 9, 9};
    char hex[9];

    cr_assert(crypto_unhex("00ffAb10", 8, bytes));
    crypto_hex(bytes, 4, hex);
    cr_assert_str_eq(hex, "00ffab10");
    cr_assert_not(crypto_unhex("123", 3, bytes));
    cr_assert_not(crypto_unhex("1g", 2, bytes));
    cr_assert_eq(bytes[0], 0);
}

Test(crypto, base64url_of_rfc_4648)
{
    static const char *const want[] = {"", "Zg", "Zm8", "Zm9v", "Zm9vYg", "Zm9vYmE", "Zm9vYmFy"};
    char text[16];

    for (size_t n = 0; n <= 6; n++) {
        crypto_base64url("foobar", n, text);
        cr_assert_str_eq(text, want[n]);
    }
    crypto_base64url("\xfb\xff", 2, text);
    cr_assert_str_eq(text, "-_8");
}

Test(crypto, uuids_have_version_seven_and_the_time)
{
    char text[37];
    uint8_t bytes[6];
    uint64_t ms = 0;

    crypto_uuid7(text);
    cr_assert(crypto_is_uuid(text), "%s", text);
    cr_assert_eq(text[14], '7');
    cr_assert(strchr("89ab", text[19]));
    cr_assert(crypto_unhex(text, 8, bytes) && crypto_unhex(text + 9, 4, bytes + 4));
    for (int i = 0; i < 6; i++)
        ms = ms << 8 | bytes[i];
    cr_assert_lt(ms / 1000 - (uint64_t)time(NULL) + 2, 4);
}

Test(crypto, uuids_ascend_within_a_process)
{
    char before[37], text[37];

    crypto_uuid7(before);
    for (int i = 0; i < 20000; i++) {
        crypto_uuid7(text);
        cr_assert_lt(strcmp(before, text), 0);
        memcpy(before, text, sizeof(text));
    }
}

Test(crypto, what_is_a_uuid)
{
    cr_assert(crypto_is_uuid("00000000-0000-0000-0000-000000000000"));
    cr_assert(crypto_is_uuid("ABCDEF01-2345-6789-abcd-ef0123456789"));
    cr_assert_not(crypto_is_uuid(""));
    cr_assert_not(crypto_is_uuid("00000000-0000-0000-0000-00000000000"));
    cr_assert_not(crypto_is_uuid("00000000-0000-0000-0000-0000000000000"));
    cr_assert_not(crypto_is_uuid("0000000-00000-0000-0000-000000000000"));
    cr_assert_not(crypto_is_uuid("g0000000-0000-0000-0000-000000000000"));
}

Test(crypto, random_bytes_differ_and_equal_compares_all)
{
    uint8_t a[32], b[32];

    crypto_random(a, sizeof(a));
    crypto_random(b, sizeof(b));
    cr_assert_not(crypto_equal(a, b, sizeof(a)));
    memcpy(b, a, sizeof(b));
    cr_assert(crypto_equal(a, b, sizeof(a)));
    b[31] ^= 1;
    cr_assert_not(crypto_equal(a, b, sizeof(a)));
}
