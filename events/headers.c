/* SPDX-License-Identifier: Apache-2.0 */
/* headers.c - length-prefixed headers. */
#include "headers.h"

#include <arpa/inet.h>
#include <string.h>

#define PREFIX 8 /* two lengths */

static uint32_t
read_u32(const uint8_t *p)
{
    uint32_t n;

    memcpy(&n, p, sizeof(n));
    return ntohl(n);
}

static uint8_t *
write_u32(uint8_t *p, uint32_t n)
{
    n = htonl(n);
    memcpy(p, &n, sizeof(n));
    return p + sizeof(n);
}

void
headers_pack(const struct bus_header *headers, size_t count, struct arena *arena,
             const uint8_t **data, size_t *len)
{
    size_t total = 0;

    for (size_t i = 0; i < count; i++)
        total += PREFIX + strlen(headers[i].name) + headers[i].len;
    uint8_t *out = arena_alloc(arena, total);
    *data = out;
    *len = 0;
    for (size_t i = 0; i < count; i++) {
        const struct bus_header *h = &headers[i];
        size_t name_len = strlen(h->name);
        size_t value_len = h->value ? h->len : 0;

        out = write_u32(out, (uint32_t)name_len);
        out = write_u32(out, h->value ? (uint32_t)value_len : HEADERS_NULL);
        memcpy(out, h->name, name_len);
        out += name_len;
        if (value_len > 0)
            memcpy(out, h->value, value_len);
        out += value_len;
    }
    *len = (size_t)(out - *data);
}

enum err_code
headers_unpack(const uint8_t *data, size_t len, struct arena *arena,
               const struct bus_header **headers, size_t *count, struct err *err)
{
    struct bus_header *list = arena_alloc(arena, BUS_HEADERS_MAX * sizeof(*list));
    size_t n = 0;

    while (len > 0) {
        if (n == BUS_HEADERS_MAX || len < PREFIX)
            return err_set(err, ERR_INTERNAL, "stored headers are damaged");
        size_t name_len = read_u32(data);
        uint32_t stored = read_u32(data + 4);
        size_t value_len = stored == HEADERS_NULL ? 0 : stored;
        data += PREFIX;
        len -= PREFIX;
        if (name_len > len || value_len > len - name_len)
            return err_set(err, ERR_INTERNAL, "stored headers are damaged");
        list[n++] = (struct bus_header){
            .name = arena_strndup(arena, (const char *)data, name_len),
            .value = stored == HEADERS_NULL ? NULL : data + name_len,
            .len = value_len,
        };
        data += name_len + value_len;
        len -= name_len + value_len;
    }
    *headers = list;
    *count = n;
    return ERR_OK;
}
