/* SPDX-License-Identifier: Apache-2.0 */
/* text.c - bytes as text: hexadecimal, base64url, UUIDs. */
#include "crypto/crypto.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

void
crypto_hex(const void *data, size_t len, char *hex)
{
    const uint8_t *bytes = data;

    for (size_t i = 0; i < len; i++) {
        *hex++ = "0123456789abcdef"[bytes[i] >> 4];
        *hex++ = "0123456789abcdef"[bytes[i] & 15];
    }
    *hex = '\0';
}

static int
digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool
crypto_unhex(const char *hex, size_t hex_len, void *out)
{
    uint8_t *bytes = out;

    if (hex_len % 2)
        return false;
    for (size_t i = 0; i < hex_len; i++)
        if (digit(hex[i]) < 0)
            return false;
    for (size_t i = 0; i < hex_len; i += 2)
        *bytes++ = (uint8_t)(digit(hex[i]) << 4 | digit(hex[i + 1]));
    return true;
}

void
crypto_base64url(const void *data, size_t len, char *out)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const uint8_t *bytes = data;
    uint32_t bits = 0;
    int have = 0;

    for (size_t i = 0; i < len; i++) {
        bits = bits << 8 | bytes[i];
        for (have += 8; have >= 6; have -= 6)
            *out++ = alphabet[bits >> (have - 6) & 63];
    }
    if (have > 0)
        *out++ = alphabet[bits << (6 - have) & 63];
    *out = '\0';
}

void
crypto_uuid7(char text[37])
{
    static _Atomic uint64_t last; /* milliseconds << 12 | counter (RFC 9562, 6.2, method 1) */
    struct timespec now;
    uint8_t random[10];
    uint8_t id[16];

    clock_gettime(CLOCK_REALTIME, &now);
    crypto_random(random, sizeof(random));
    uint64_t ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    /* The counter starts in its lower half: 2048 ids a millisecond before it carries
     * into the time, which then runs ahead a little instead of going back. */
    uint64_t fresh = ms << 12 | (uint64_t)(random[8] & 7) << 8 | random[9];
    uint64_t seen = atomic_load(&last);
    uint64_t next;
    do
        next = fresh > seen ? fresh : seen + 1;
    while (!atomic_compare_exchange_weak(&last, &seen, next));

    for (int i = 0; i < 6; i++)
        id[i] = (uint8_t)(next >> (52 - 8 * i));
    id[6] = (uint8_t)(0x70 | (next >> 8 & 15));
    id[7] = (uint8_t)next;
    memcpy(id + 8, random, 8);
    id[8] = (uint8_t)(0x80 | (id[8] & 0x3f));

    static const uint8_t ends[] = {4, 6, 8, 10, 16};
    for (size_t group = 0, i = 0; group < sizeof(ends); group++) {
        crypto_hex(id + i, ends[group] - i, text);
        text += 2 * (ends[group] - i);
        *text++ = '-';
        i = ends[group];
    }
    text[-1] = '\0';
}

bool
crypto_is_uuid(const char *text)
{
    if (strlen(text) != 36)
        return false;
    for (int i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : digit(text[i]) < 0)
            return false;
    }
    return true;
}
