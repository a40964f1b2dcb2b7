/* SPDX-License-Identifier: Apache-2.0 */
/* mask.c - a scan for a few texts, with the end of each chunk carried over. */
#include "mask.h"

#include <stdlib.h>
#include <string.h>

struct secret {
    char *value;
    size_t len;
};

struct mask {
    struct secret *secrets; /* longest first */
    size_t count;
    bool begins[256]; /* first bytes of secrets */
    struct buf held;
};

struct mask *
mask_new(void)
{
    return mem_zalloc(sizeof(struct mask));
}

void
mask_free(struct mask *mask)
{
    if (!mask)
        return;
    for (size_t i = 0; i < mask->count; i++) {
        explicit_bzero(mask->secrets[i].value, mask->secrets[i].len);
        free(mask->secrets[i].value);
    }
    free(mask->secrets);
    buf_done(&mask->held);
    free(mask);
}

void
mask_secret(struct mask *mask, const char *value, size_t len)
{
    size_t at = 0;

    if (len < MASK_MIN)
        return;
    while (at < mask->count && mask->secrets[at].len >= len)
        at++;
    mask->secrets = mem_realloc(mask->secrets, (mask->count + 1) * sizeof(*mask->secrets));
    memmove(mask->secrets + at + 1, mask->secrets + at,
            (mask->count - at) * sizeof(*mask->secrets));
    mask->secrets[at] = (struct secret){mem_strndup(value, len), len};
    mask->count++;
    mask->begins[(unsigned char)*value] = true;
}

/* Bytes of the longest secret at data; 0: none. */
static size_t
secret_at(const struct mask *mask, const char *data, size_t left)
{
    for (size_t i = 0; i < mask->count; i++) {
        const struct secret *s = &mask->secrets[i];
        if (s->len <= left && memcmp(s->value, data, s->len) == 0)
            return s->len;
    }
    return 0;
}

/* The data end within what may become a secret longer than `found`. */
static bool
may_begin(const struct mask *mask, const char *data, size_t left, size_t found)
{
    for (size_t i = 0; i < mask->count && mask->secrets[i].len > found; i++) {
        const struct secret *s = &mask->secrets[i];
        if (s->len > left && memcmp(s->value, data, left) == 0)
            return true;
    }
    return false;
}

/* What cannot be decided before more has come is left; returns how much was. */
static size_t
scan(const struct mask *mask, const char *data, size_t len, bool last, struct buf *out)
{
    size_t from = 0, at = 0;

    while (at < len) {
        if (!mask->begins[(unsigned char)data[at]]) {
            at++;
            continue;
        }
        size_t found = secret_at(mask, data + at, len - at);
        if (!last && may_begin(mask, data + at, len - at, found))
            break;
        if (found == 0) {
            at++;
            continue;
        }
        buf_add(out, data + from, at - from);
        buf_str(out, "***");
        from = at += found;
    }
    buf_add(out, data + from, at - from);
    return len - at;
}

void
mask_add(struct mask *mask, const char *data, size_t len, struct buf *out)
{
    size_t left;

    if (mask->count == 0 || len == 0) {
        if (len > 0)
            buf_add(out, data, len);
        return;
    }
    if (mask->held.len > 0) {
        buf_add(&mask->held, data, len);
        data = mask->held.data;
        len = mask->held.len;
    }
    left = scan(mask, data, len, false, out);
    if (data == mask->held.data) {
        memmove(mask->held.data, data + len - left, left);
        mask->held.len = left;
    } else {
        buf_add(&mask->held, data + len - left, left);
    }
}

void
mask_end(struct mask *mask, struct buf *out)
{
    if (mask->held.len > 0)
        scan(mask, mask->held.data, mask->held.len, true, out);
    buf_clear(&mask->held);
}

bool
mask_finds(const struct mask *mask, const char *data, size_t len)
{
    for (size_t at = 0; at < len; at++)
        if (secret_at(mask, data + at, len - at) > 0)
            return true;
    return false;
}
