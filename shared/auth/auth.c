/* SPDX-License-Identifier: Apache-2.0 */
/* auth.c - scopes and roles, and the form of workspaces and tokens. */
#include "auth/auth.h"

#include "crypto/crypto.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    const char *actions; /* NULL: every action */
} roles_table[] = {
    /* in the order of the bits of enum auth_role */
    {"viewer", "read"},
    {"editor", "read write run"},
    {"approver", "read write run approve"},
    {"admin", NULL},
};

static bool
is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

/* word is one of the words of a space-separated list. */
static bool
list_has(const char *list, const char *word, size_t len)
{
    while (*list) {
        size_t n = strcspn(list, " ");
        if (n == len && memcmp(list, word, len) == 0)
            return true;
        list += n;
        list += strspn(list, " ");
    }
    return false;
}

static bool
role_allows(size_t role, const char *scope)
{
    const char *action = strchr(scope, ':') + 1;

    return !roles_table[role].actions ||
           list_has(roles_table[role].actions, action, strlen(action));
}

bool
auth_scope_valid(const char *scope)
{
    if (!scope || !is_lower(*scope))
        return false;
    while (is_lower(*scope) || *scope == '-')
        scope++;
    if (*scope++ != ':' || !is_lower(*scope))
        return false;
    while (is_lower(*scope))
        scope++;
    return *scope == '\0';
}

bool
auth_allows(const struct auth_caller *caller, const char *scope)
{
    if (!auth_scope_valid(scope))
        return false;
    if (caller->scopes[0] && !list_has(caller->scopes, scope, strlen(scope)))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(roles_table); i++)
        if ((caller->roles & 1u << i) && role_allows(i, scope))
            return true;
    return false;
}

enum err_code
auth_require(const struct auth_caller *caller, const char *scope, struct err *err)
{
    unsigned enough = 0;
    char names[64];

    if (auth_allows(caller, scope))
        return ERR_OK;
    if (!auth_scope_valid(scope))
        return err_set(err, ERR_FORBIDDEN, "'%s' is not a scope; nobody has it",
                       scope ? scope : "");
    for (size_t i = 0; i < ARRAY_LEN(roles_table); i++)
        if (role_allows(i, scope))
            enough |= 1u << i;
    if (caller->roles & enough)
        return err_set(err, ERR_FORBIDDEN, "'%s' is narrowed to scopes without %s", caller->subject,
                       scope);
    auth_roles_format(enough, names);
    return err_set(err, ERR_FORBIDDEN, "'%s' lacks %s (roles that have it: %s)", caller->subject,
                   scope, names);
}

enum err_code
auth_roles_parse(const char *comma_separated, unsigned *roles, struct err *err)
{
    const char *p = comma_separated;
    unsigned found = 0;

    for (;;) {
        size_t n = strcspn(p, ",");
        size_t i = 0;
        while (i < ARRAY_LEN(roles_table) &&
               !(strlen(roles_table[i].name) == n && memcmp(p, roles_table[i].name, n) == 0))
            i++;
        if (i == ARRAY_LEN(roles_table))
            return err_set(err, ERR_INVALID, "role '%.*s': use viewer, editor, approver or admin",
                           n > 32 ? 32 : (int)n, p);
        found |= 1u << i;
        if (p[n] == '\0')
            break;
        p += n + 1;
    }
    *roles = found;
    return ERR_OK;
}

void
auth_roles_format(unsigned roles, char text[64])
{
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(roles_table); i++)
        if (roles & 1u << i)
            used += (size_t)snprintf(text + used, 64 - used, "%s%s", used ? "," : "",
                                     roles_table[i].name);
}

enum err_code
auth_workspace_check(const char *workspace, struct err *err)
{
    size_t len = strnlen(workspace, AUTH_WORKSPACE_MAX + 1);
    bool good = len > 0 && len <= AUTH_WORKSPACE_MAX && workspace[0] != '-' &&
                workspace[len - 1] != '-' &&
                strspn(workspace, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;

    if (good)
        return ERR_OK;
    return err_set(err, ERR_INVALID,
                   "workspace '%.*s': use 1 to %d lower-case letters, digits and inner dashes",
                   (int)len, workspace, AUTH_WORKSPACE_MAX);
}

void
auth_token_new(char token[AUTH_TOKEN_LEN + 1], uint8_t hash[32])
{
    uint8_t random[32];

    crypto_random(random, sizeof(random));
    memcpy(token, "mb_", 3);
    crypto_base64url(random, sizeof(random), token + 3);
    crypto_sha256(token, AUTH_TOKEN_LEN, hash);
}

bool
auth_token_hash(const char *token, uint8_t hash[32])
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    if (strnlen(token, AUTH_TOKEN_LEN + 1) != AUTH_TOKEN_LEN || memcmp(token, "mb_", 3) != 0 ||
        strspn(token + 3, alphabet) != AUTH_TOKEN_LEN - 3)
        return false;
    crypto_sha256(token, AUTH_TOKEN_LEN, hash);
    return true;
}
