/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sign.c - the services' signature over a caller and what it asks.
 *
 * The signed text is the concatenation of fields, each a 4-byte big-endian length and its
 * bytes, so that no two different requests have the same text:
 *
 *     "modelbus.rpc.v1"   domain separation: the key may sign other things one day
 *     method, request_id
 *     issued_ms, deadline_ms   each 8 bytes, big-endian two's complement
 *     subject, workspace
 *     roles                    8 bytes, big-endian
 *     scopes
 *     SHA-256 of the body      32 bytes
 */
#include "auth/auth.h"
#include "buf/buf.h"
#include "crypto/crypto.h"

#include <string.h>

static void
add_bytes(struct buf *text, const void *data, size_t len)
{
    const uint8_t prefix[4] = {(uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
                               (uint8_t)len};

    buf_add(text, prefix, sizeof(prefix));
    buf_add(text, data, len);
}

static void
add_text(struct buf *text, const char *s)
{
    add_bytes(text, s ? s : "", s ? strlen(s) : 0);
}

static void
add_number(struct buf *text, int64_t n)
{
    uint8_t bytes[8];

    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)((uint64_t)n >> (56 - 8 * i));
    add_bytes(text, bytes, sizeof(bytes));
}

void
auth_sign(const struct auth_signed *what, const void *key, size_t key_len, uint8_t mac[32])
{
    CLEANUP(buf_done) struct buf text = {0};
    uint8_t digest[SHA256_BYTES];

    crypto_sha256(what->body, what->body_len, digest);
    buf_reserve(&text, 512);
    add_text(&text, "modelbus.rpc.v1");
    add_text(&text, what->method);
    add_text(&text, what->request_id);
    add_number(&text, what->issued_ms);
    add_number(&text, what->deadline_ms);
    add_text(&text, what->caller->subject);
    add_text(&text, what->caller->workspace);
    add_number(&text, (int64_t)what->caller->roles);
    add_text(&text, what->caller->scopes);
    add_bytes(&text, digest, sizeof(digest));
    crypto_hmac_sha256(key, key_len, text.data, text.len, mac);
}

enum err_code
auth_verify(const struct auth_signed *what, const void *key, size_t key_len, const uint8_t mac[32],
            size_t mac_len, int64_t now_ms, struct err *err)
{
    uint8_t expected[SHA256_BYTES];
    int64_t age;

    if (mac_len != sizeof(expected))
        return err_set(err, ERR_UNAUTHENTICATED, "signature of %zu bytes, expected %zu", mac_len,
                       sizeof(expected));
    auth_sign(what, key, key_len, expected);
    if (!crypto_equal(expected, mac, sizeof(expected)))
        return err_set(err, ERR_UNAUTHENTICATED,
                       "signature does not match; do the services share one key?");
    /* After the signature: an age that anybody could write is not worth a message. */
    if (__builtin_sub_overflow(now_ms, what->issued_ms, &age) || age > AUTH_SIGNATURE_AGE_MS ||
        age < -AUTH_SIGNATURE_AGE_MS)
        return err_set(err, ERR_UNAUTHENTICATED,
                       "signature issued more than %d s from now; are the clocks in step?",
                       AUTH_SIGNATURE_AGE_MS / 1000);
    return ERR_OK;
}
