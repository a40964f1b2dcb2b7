/* SPDX-License-Identifier: Apache-2.0 */
/* auth.c - from the headers of a request to a caller, without waiting for anything. */
#include "parts.h"

#include "crypto/crypto.h"
#include "life/life.h"

#include <stdio.h>
#include <string.h>

/* What holders of the settings' tokens may do. Tasks run other people's code: they train and publish models, but
 * take no tasks and make no tokens. */
static const struct {
    const char *subject, *scopes;
    unsigned roles;
} fixed_kinds[FIXED_TOKENS] = {
    [FIXED_ADMIN] = {"token:admin", "", AUTH_ADMIN},
    [FIXED_WORKER] = {"token:worker", "worker:run artifact:read artifact:write", AUTH_EDITOR},
    [FIXED_TASK] = {"token:task",
                    "artifact:read artifact:write deployment:read experiment:read experiment:write "
                    "monitoring:read pipeline:read registry:read registry:write",
                    AUTH_EDITOR},
};

static void
make_caller(struct auth_caller *caller, const char *subject, unsigned roles, const char *scopes)
{
    *caller = (struct auth_caller){.roles = roles};
    snprintf(caller->subject, sizeof(caller->subject), "%s", subject);
    snprintf(caller->workspace, sizeof(caller->workspace), "default");
    snprintf(caller->scopes, sizeof(caller->scopes), "%s", scopes);
}

void
fixed_token_set(struct fixed_token *fixed, int which, const char *token)
{
    if (!token || !*token)
        return;
    crypto_sha256(token, strlen(token), fixed[which].hash);
    make_caller(&fixed[which].caller, fixed_kinds[which].subject, fixed_kinds[which].roles,
                fixed_kinds[which].scopes);
}

static bool
is_fixed(const struct gateway *gateway, const char *token, struct auth_caller *caller)
{
    uint8_t hash[SHA256_BYTES];
    bool found = false;

    crypto_sha256(token, strlen(token), hash);
    for (int i = 0; i < FIXED_TOKENS; i++) {
        const struct fixed_token *fixed = &gateway->fixed[i];
        if (*fixed->caller.subject && crypto_equal(hash, fixed->hash, sizeof(hash))) {
            *caller = fixed->caller;
            found = true;
        }
    }
    return found;
}

static enum err_code
check_token(struct gateway *gateway, const char *token, struct auth_caller *caller, struct err *err)
{
    uint8_t hash[SHA256_BYTES];

    if (is_fixed(gateway, token, caller))
        return ERR_OK;
    if (!auth_token_hash(token, hash))
        return err_set(err, ERR_UNAUTHENTICATED, "this is not the form of a modelbus token");
    return tokens_find(gateway->tokens, hash, life_now_ms(), caller, err);
}

enum err_code
authenticate(struct gateway *gateway, struct http_request *r, struct auth_caller *caller,
             struct err *err)
{
    const char *token = gateway_bearer(http_header(r, "Authorization"));
    enum err_code code = ERR_OK;

    if (gateway->open)
        make_caller(caller, "user:local", AUTH_ADMIN, "");
    else if (!token)
        code = err_set(err, ERR_UNAUTHENTICATED, "send a token: Authorization: Bearer mb_…");
    else
        code = check_token(gateway, token, caller, err);
    if (code == ERR_UNAUTHENTICATED)
        http_reply_header(r, "WWW-Authenticate", "Bearer realm=\"modelbus\"");
    return code ? code
                : gateway_choose_workspace(caller, http_header(r, "X-Modelbus-Workspace"), err);
}
