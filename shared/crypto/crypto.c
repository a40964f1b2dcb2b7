/* SPDX-License-Identifier: Apache-2.0 */
/* crypto.c - digests, MACs and random bytes; algorithms are fetched once. */
#include "crypto/crypto.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_once_t fetched = PTHREAD_ONCE_INIT;
static EVP_MD *sha256;
static EVP_MAC_CTX *hmac_template; /* HMAC-SHA256 without a key, to be duplicated */

static void
must(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "libcrypto: %s failed\n", what);
        abort();
    }
}

static void
fetch(void)
{
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };

    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    must(sha256 != NULL, "SHA256");
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    must(hmac != NULL, "HMAC");
    hmac_template = EVP_MAC_CTX_new(hmac);
    must(hmac_template && EVP_MAC_CTX_set_params(hmac_template, params), "HMAC-SHA256");
    EVP_MAC_free(hmac);
}

void
crypto_sha256(const void *data, size_t len, uint8_t digest[SHA256_BYTES])
{
    pthread_once(&fetched, fetch);
    must(EVP_Digest(data, len, digest, NULL, sha256, NULL), "SHA256");
}

void
crypto_sha256_hex(const void *data, size_t len, char hex[SHA256_HEX + 1])
{
    uint8_t digest[SHA256_BYTES];

    crypto_sha256(data, len, digest);
    crypto_hex(digest, sizeof(digest), hex);
}

struct sha256_stream {
    EVP_MD_CTX *context;
};

struct sha256_stream *
sha256_stream_new(void)
{
    struct sha256_stream *s = mem_zalloc(sizeof(*s));

    pthread_once(&fetched, fetch);
    s->context = EVP_MD_CTX_new();
    must(s->context && EVP_DigestInit_ex2(s->context, sha256, NULL), "SHA256");
    return s;
}

void
sha256_stream_add(struct sha256_stream *s, const void *data, size_t len)
{
    must(EVP_DigestUpdate(s->context, data, len), "SHA256");
}

void
sha256_stream_end(struct sha256_stream *s, uint8_t digest[SHA256_BYTES])
{
    must(EVP_DigestFinal_ex(s->context, digest, NULL), "SHA256");
}

void
sha256_stream_free(struct sha256_stream *s)
{
    if (!s)
        return;
    EVP_MD_CTX_free(s->context);
    free(s);
}

void
crypto_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
                   uint8_t mac[SHA256_BYTES])
{
    size_t written = 0;

    pthread_once(&fetched, fetch);
    EVP_MAC_CTX *context = EVP_MAC_CTX_dup(hmac_template);
    must(context != NULL, "HMAC");
    /* A NULL key means "keep the present one" to OpenSSL, not an empty one. */
    must(EVP_MAC_init(context, key ? key : (const void *)"", key_len, NULL) &&
             EVP_MAC_update(context, data, len) &&
             EVP_MAC_final(context, mac, &written, SHA256_BYTES) && written == SHA256_BYTES,
         "HMAC");
    EVP_MAC_CTX_free(context);
}

bool
crypto_equal(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}

void
crypto_random(void *out, size_t len)
{
    uint8_t *p = out;

    /* RAND_bytes takes an int. */
    while (len > 0) {
        int n = len > 1 << 20 ? 1 << 20 : (int)len;
        must(RAND_bytes(p, n) == 1, "RAND_bytes");
        p += n;
        len -= (size_t)n;
    }
}
