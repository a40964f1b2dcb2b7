/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto.h - digests, MACs, random bytes and their texts, on OpenSSL's libcrypto.
 * Thread-safe. Running out of randomness or a failure inside libcrypto aborts.
 */
#pragma once

#include "err/err.h"

#define SHA256_BYTES 32
#define SHA256_HEX 64

/* FIPS 180-4. data may be NULL when len is 0. */
void crypto_sha256(const void *data, size_t len, uint8_t digest[SHA256_BYTES]);
void crypto_sha256_hex(const void *data, size_t len, char hex[SHA256_HEX + 1]);

/* The same for contents that come in pieces; one thread at a time. After _end() the stream
 * may only be freed. */
struct sha256_stream;
struct sha256_stream *sha256_stream_new(void);
void sha256_stream_add(struct sha256_stream *s, const void *data, size_t len);
void sha256_stream_end(struct sha256_stream *s, uint8_t digest[SHA256_BYTES]);
void sha256_stream_free(struct sha256_stream *s);
CLEANUP_DEFINE(struct sha256_stream, sha256_stream_free)

/* RFC 2104. A key may be empty (then also NULL). */
void crypto_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
                        uint8_t mac[SHA256_BYTES]);
bool crypto_equal(const void *a, const void *b, size_t len); /* in constant time */
void crypto_random(void *out, size_t len);                   /* fit for keys */

/* Lower case; hex holds 2 * len digits and a NUL. */
void crypto_hex(const void *data, size_t len, char *hex);
/* Either case; out holds hex_len / 2 bytes and is untouched when false: an odd length, or
 * something that is no digit. */
bool crypto_unhex(const char *hex, size_t hex_len, void *out);
/* URL-safe base64 without padding (RFC 4648, section 5); out holds 4 * ((len + 2) / 3) + 1. */
void crypto_base64url(const void *data, size_t len, char *out);

/* RFC 9562 version 7: time-ordered, and ascending within a process. 36 characters and a NUL. */
void crypto_uuid7(char text[37]);
bool crypto_is_uuid(const char *text); /* the form only: any version, either case */
