/* SPDX-License-Identifier: Apache-2.0 */
/* gateway.c - decisions on plain values. */
#include "gateway.h"

#include "crypto/crypto.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define KEY_MAX 128

bool
gateway_bind_is_loopback(const char *bind)
{
    return strncmp(bind, "127.", 4) == 0 || strncmp(bind, "[::1]:", 6) == 0 ||
           strncmp(bind, "localhost:", 10) == 0;
}

const char *
gateway_bearer(const char *authorization)
{
    if (!authorization || strncasecmp(authorization, "Bearer ", 7) != 0)
        return NULL;
    return authorization + 7 + strspn(authorization + 7, " ");
}

enum err_code
gateway_choose_workspace(struct auth_caller *caller, const char *wanted, struct err *err)
{
    if (!wanted || !*wanted || strcmp(wanted, caller->workspace) == 0)
        return ERR_OK;
    if (!(caller->roles & AUTH_ADMIN))
        return err_set(err, ERR_FORBIDDEN,
                       "X-Modelbus-Workspace: only an admin may choose another workspace");
    if (auth_workspace_check(wanted, err))
        return err->code;
    snprintf(caller->workspace, sizeof(caller->workspace), "%s", wanted);
    return ERR_OK;
}

enum err_code
gateway_request_id(const struct auth_caller *caller, const char *method, const char *key,
                   char id[65], struct err *err)
{
    CLEANUP(buf_done) struct buf text = {0};
    size_t len = strlen(key);

    if (len == 0 || len > KEY_MAX)
        return err_set(err, ERR_INVALID, "Idempotency-Key: 1 to %d characters", KEY_MAX);
    for (size_t i = 0; i < len; i++)
        if (key[i] < 0x20 || key[i] > 0x7e)
            return err_set(err, ERR_INVALID, "Idempotency-Key: printable ASCII only");
    buf_printf(&text, "%s\n%s\n%s\n%s", caller->workspace, caller->subject, method, key);
    crypto_sha256_hex(text.data, text.len, id);
    return ERR_OK;
}

enum err_code
gateway_if_match(const char *header, int64_t *revision, struct err *err)
{
    bool quoted = *header == '"';
    const char *digits = header + quoted;
    char *end = NULL;

    errno = 0;
    long long n = strtoll(digits, &end, 10);
    if (*digits < '1' || *digits > '9' || errno || strcmp(end, quoted ? "\"" : "") != 0)
        return err_set(err, ERR_INVALID, "If-Match: expected one ETag of this resource, as \"7\"");
    *revision = n;
    return ERR_OK;
}

bool
gateway_if_none_match(const char *header, const char *etag)
{
    size_t len = strlen(etag);

    if (strcmp(header, "*") == 0)
        return true;
    for (const char *p = header; (p = strstr(p, etag)); p += len)
        if (p[len] == '\0' || p[len] == ',' || p[len] == ' ')
            return true;
    return false;
}

bool
gateway_etag(const ProtobufCMessage *message, const char *path, char etag[32])
{
    char name[64];

    while (message) {
        size_t len = strcspn(path, ".");
        snprintf(name, sizeof(name), "%.*s", (int)len, path);
        const ProtobufCFieldDescriptor *field =
            protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);
        if (!field)
            return false;
        const void *member = (const char *)message + field->offset;
        if (!path[len]) {
            int64_t n = field->type == PROTOBUF_C_TYPE_INT64 ? *(const int64_t *)member : 0;
            snprintf(etag, 32, "\"%" PRId64 "\"", n);
            return n != 0;
        }
        if (field->type != PROTOBUF_C_TYPE_MESSAGE)
            return false;
        message = *(const ProtobufCMessage *const *)member;
        path += len + 1;
    }
    return false;
}
