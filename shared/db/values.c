/* SPDX-License-Identifier: Apache-2.0 */
/* values.c - parameters in, results out. */
#include "db/conn.h"

#include "buf/buf.h"
#include "crypto/crypto.h"

#include <stdlib.h>
#include <string.h>

struct db_param
db_text(const char *s)
{
    return s ? (struct db_param){.kind = DB_KIND_TEXT, .value.bytes = {s, 0}} : db_null();
}

struct db_param
db_bytes(const void *data, size_t len)
{
    return (struct db_param){.kind = DB_KIND_BYTES, .value.bytes = {data, len}};
}

struct db_param
db_message(struct arena *arena, const ProtobufCMessage *message)
{
    size_t len = message ? protobuf_c_message_get_packed_size(message) : 0;
    uint8_t *bytes = arena_alloc(arena, len);

    if (message)
        protobuf_c_message_pack(message, bytes);
    return db_bytes(bytes, len);
}

struct db_param
db_int(int64_t i)
{
    return (struct db_param){.kind = DB_KIND_INT, .value.i = i};
}

struct db_param
db_double(double d)
{
    return (struct db_param){.kind = DB_KIND_DOUBLE, .value.d = d};
}

struct db_param
db_bool(bool b)
{
    return (struct db_param){.kind = DB_KIND_BOOL, .value.i = b};
}

struct db_param
db_null(void)
{
    return (struct db_param){.kind = DB_KIND_NULL};
}

static struct db_param
array(struct arena *arena, struct buf *text)
{
    buf_char(text, '}');
    return db_text(arena_strndup(arena, text->data, text->len));
}

struct db_param
db_text_array(struct arena *arena, const char *const *items, size_t count)
{
    CLEANUP(buf_done) struct buf text = {0};

    buf_char(&text, '{');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_char(&text, ',');
        if (!items[i]) {
            buf_str(&text, "NULL");
            continue;
        }
        buf_char(&text, '"');
        for (const char *s = items[i]; *s;) {
            size_t plain = strcspn(s, "\"\\");
            buf_add(&text, s, plain);
            s += plain;
            if (*s) {
                buf_char(&text, '\\');
                buf_char(&text, *s++);
            }
        }
        buf_char(&text, '"');
    }
    return array(arena, &text);
}

struct db_param
db_int_array(struct arena *arena, const int64_t *items, size_t count)
{
    CLEANUP(buf_done) struct buf text = {0};

    buf_char(&text, '{');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_char(&text, ',');
        buf_int(&text, items[i]);
    }
    return array(arena, &text);
}

struct db_param
db_bytes_array(struct arena *arena, const void *const *items, const size_t *lens, size_t count)
{
    CLEANUP(buf_done) struct buf text = {0};

    buf_char(&text, '{');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_char(&text, ',');
        if (!items[i]) {
            buf_str(&text, "NULL");
            continue;
        }
        buf_str(&text, "\"\\\\x");
        buf_reserve(&text, 2 * lens[i]);
        crypto_hex(items[i], lens[i], text.data + text.len);
        text.len += 2 * lens[i];
        buf_char(&text, '"');
    }
    return array(arena, &text);
}

static const PGresult *
pg(const struct db_result *result)
{
    return (const PGresult *)result;
}

void
db_result_free(struct db_result *result)
{
    PQclear((PGresult *)result);
}

size_t
db_rows(const struct db_result *result)
{
    return (size_t)PQntuples(pg(result));
}

int64_t
db_affected(const struct db_result *result)
{
    return strtoll(PQcmdTuples((PGresult *)result), NULL, 10);
}

bool
db_is_null(const struct db_result *result, size_t row, int col)
{
    return PQgetisnull(pg(result), (int)row, col);
}

const char *
db_str(const struct db_result *result, size_t row, int col)
{
    return PQgetvalue(pg(result), (int)row, col);
}

int64_t
db_i64(const struct db_result *result, size_t row, int col)
{
    return strtoll(db_str(result, row, col), NULL, 10);
}

double
db_f64(const struct db_result *result, size_t row, int col)
{
    return strtod(db_str(result, row, col), NULL);
}

bool
db_boolean(const struct db_result *result, size_t row, int col)
{
    return db_str(result, row, col)[0] == 't';
}

char *
db_copy(const struct db_result *result, size_t row, int col, struct arena *arena)
{
    return arena_strndup(arena, db_str(result, row, col),
                         (size_t)PQgetlength(pg(result), (int)row, col));
}

void
db_bin(const struct db_result *result, size_t row, int col, struct arena *arena,
       const uint8_t **data, size_t *len)
{
    const char *hex = db_str(result, row, col);
    size_t hex_len = (size_t)PQgetlength(pg(result), (int)row, col);
    size_t bytes = hex_len < 2 ? 0 : hex_len / 2 - 1;
    uint8_t *out = arena_alloc(arena, bytes + 1);

    /* A column that is not bytea is a mistake in the program. */
    if (hex_len > 0 && (strncmp(hex, "\\x", 2) != 0 || !crypto_unhex(hex + 2, hex_len - 2, out)))
        abort();
    *data = out;
    *len = bytes;
}

void *
db_unpack(const struct db_result *result, size_t row, int col,
          const ProtobufCMessageDescriptor *type, struct arena *arena, struct err *err)
{
    const uint8_t *bytes;
    size_t len;

    db_bin(result, row, col, arena, &bytes, &len);
    ProtobufCMessage *message = ARENA_UNPACK(arena, type, len, bytes);
    if (!message)
        err_set(err, ERR_INTERNAL, "column %d does not unpack as %s", col, type->name);
    return message;
}
