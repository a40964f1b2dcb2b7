/* SPDX-License-Identifier: Apache-2.0 */
/* auth.c - from the headers of a request to a caller, without waiting for anything. */
#include "parts.h"

#include "crypto/crypto.h"
#include "life/life.h"

#include <stdio.h>
#include <string.h>

static void
all_powers(struct auth_caller *caller, const char *subject)
{
    *caller = (struct auth_caller){.roles = AUTH_ADMIN};
    snprintf(caller->subject, sizeof(caller->subject), "%s", subject);
    snprintf(caller->workspace, sizeof(caller->workspace), "default");
}

static enum err_code
check_token(struct gateway *gateway, const char *token, struct auth_caller *caller, struct err *err)
{
    uint8_t hash[SHA256_BYTES];

    if (gateway->has_admin) {
        crypto_sha256(token, strlen(token), hash);
        if (crypto_equal(hash, gateway->admin_hash, sizeof(hash))) {
            all_powers(caller, "token:admin");
            return ERR_OK;
        }
    }
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
        all_powers(caller, "user:local");
    else if (!token)
        code = err_set(err, ERR_UNAUTHENTICATED, "send a token: Authorization: Bearer mb_…");
    else
        code = check_token(gateway, token, caller, err);
    if (code == ERR_UNAUTHENTICATED)
        http_reply_header(r, "WWW-Authenticate", "Bearer realm=\"modelbus\"");
    return code ? code
                : gateway_choose_workspace(caller, http_header(r, "X-Modelbus-Workspace"), err);
}
