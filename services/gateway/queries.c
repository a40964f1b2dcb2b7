/* SPDX-License-Identifier: Apache-2.0 */
/* queries.c - tokens: create, list, revoke. */
#include "parts.h"

#include "crypto/crypto.h"
#include "life/life.h"
#include "modelbus/gateway/v1/queries.pb-c.h"
#include "page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef Modelbus__Gateway__V1__Token Token;
#define REQUEST(method) const Modelbus__Gateway__V1__##method##Request
#define RESPONSE(method) Modelbus__Gateway__V1__##method##Response
#define ROLES 4

static char **
split(const char *text, char separator, size_t max, struct arena *arena, size_t *count)
{
    char **words = arena_alloc(arena, (max + 1) * sizeof(*words));
    char *copy = arena_strdup(arena, text);
    char delimiters[2] = {separator, '\0'}, *save = NULL;

    *count = 0;
    for (char *w = strtok_r(copy, delimiters, &save); w && *count < max;
         w = strtok_r(NULL, delimiters, &save))
        words[(*count)++] = w;
    return words;
}

static Token *
token_message(const struct token *token, struct arena *arena)
{
    Token *out = arena_alloc(arena, sizeof(*out));
    char roles[64];

    modelbus__gateway__v1__token__init(out);
    auth_roles_format(token->roles, roles);
    out->id = arena_strdup(arena, token->id);
    out->subject = arena_strdup(arena, token->subject);
    out->roles = split(roles, ',', ROLES, arena, &out->n_roles);
    out->scopes = split(token->scopes, ' ', AUTH_SCOPES_MAX / 2, arena, &out->n_scopes);
    out->created_at_ms = token->created_at_ms;
    out->expires_at_ms = token->expires_at_ms;
    out->revoked_at_ms = token->revoked_at_ms;
    out->created_by = arena_strdup(arena, token->created_by);
    return out;
}

/* Nobody gives away more than they have: the scope of this command makes the caller an admin, so
 * only a narrowing has to be kept. */
static enum err_code
check_powers(const struct auth_caller *caller, REQUEST(CreateToken) * request, struct err *err)
{
    if (caller->scopes[0] && request->n_scopes == 0)
        return err_set(err, ERR_FORBIDDEN, "scopes: your token is narrowed, so name scopes");
    for (size_t i = 0; i < request->n_scopes; i++) {
        if (!auth_scope_valid(request->scopes[i]))
            return err_set(err, ERR_INVALID, "scopes[%zu]: expected area:action", i);
        if (!auth_allows(caller, request->scopes[i]))
            return err_set(err, ERR_FORBIDDEN, "scopes[%zu]: you do not have %.64s", i,
                           request->scopes[i]);
    }
    return ERR_OK;
}

static enum err_code
read_new_token(REQUEST(CreateToken) * request, struct rpc_call *call, struct token *token,
               struct err *err)
{
    CLEANUP(buf_done) struct buf roles = {0};
    CLEANUP(buf_done) struct buf scopes = {0};
    size_t len = strlen(request->subject);

    if (len == 0 || len > AUTH_SUBJECT_MAX)
        return err_set(err, ERR_INVALID, "subject: 1 to %d bytes", AUTH_SUBJECT_MAX);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)request->subject[i] < 0x20 || request->subject[i] == 0x7f)
            return err_set(err, ERR_INVALID, "subject: no control characters");
    if (request->lifetime_s < 0 || request->lifetime_s > TOKENS_LIFETIME_MAX_S)
        return err_set(err, ERR_INVALID, "lifetime_s: 0 (no end) to %lld", TOKENS_LIFETIME_MAX_S);
    for (size_t i = 0; i < request->n_roles; i++)
        buf_printf(&roles, "%s%s", i ? "," : "", request->roles[i]);
    for (size_t i = 0; i < request->n_scopes; i++)
        buf_printf(&scopes, "%s%s", i ? " " : "", request->scopes[i]);
    if (scopes.len > AUTH_SCOPES_MAX)
        return err_set(err, ERR_TOO_LARGE, "scopes: at most %d bytes together", AUTH_SCOPES_MAX);
    if (auth_roles_parse(roles.data ? roles.data : "", &token->roles, err) ||
        check_powers(&call->caller, request, err))
        return err_wrap(err, "token");
    token->subject = request->subject;
    token->scopes = arena_strdup(call->arena, scopes.data ? scopes.data : "");
    return ERR_OK;
}

/* The change of the copy in memory waits for the commit, and is freed when it has run. */
struct after_commit {
    struct tokens *tokens;
    struct token token;
};

static void
put_after_commit(void *arg)
{
    struct after_commit *after = arg;

    tokens_put(after->tokens, &after->token);
}

static void
drop_after_commit(void *arg)
{
    struct after_commit *after = arg;

    tokens_drop(after->tokens, after->token.hash);
}

static void
when_committed(void *arg, struct rpc_call *call, const struct token *token, void (*run)(void *arg))
{
    const struct service *service = arg;
    const struct gateway *gateway = service->state;
    struct after_commit *after;

    if (!gateway || !gateway->tokens)
        return;
    after = arena_zalloc(call->arena, sizeof(*after));
    after->tokens = gateway->tokens;
    after->token = *token;
    db_after_commit(call->db, run, after);
}

static enum err_code
create_token(void *arg, REQUEST(CreateToken) * request, RESPONSE(CreateToken) * response,
             struct rpc_call *call, struct err *err)
{
    struct token token = {.workspace = call->caller.workspace, .created_by = call->caller.subject};
    char *secret = arena_zalloc(call->arena, AUTH_TOKEN_LEN + 1);
    char *id = arena_alloc(call->arena, 37);

    if (read_new_token(request, call, &token, err))
        return err->code;
    crypto_uuid7(id);
    auth_token_new(secret, token.hash);
    token.id = id;
    token.created_at_ms = life_now_ms();
    if (request->lifetime_s)
        token.expires_at_ms = token.created_at_ms + request->lifetime_s * 1000;
    if (store_add_token(call->db, &token, TOKENS_MAX, err))
        return err->code;
    when_committed(arg, call, &token, put_after_commit);
    response->token = token_message(&token, call->arena);
    response->secret = secret;
    return ERR_OK;
}

static enum err_code
list_tokens(void *arg, REQUEST(ListTokens) * request, RESPONSE(ListTokens) * response,
            struct rpc_call *call, struct err *err)
{
    const char *after = "";
    struct token *rows;
    int64_t limit;
    size_t count;

    (void)arg;
    if (page_read(call->arena, request->page, "ListTokens", &after, 1, &limit, err) ||
        store_list_tokens(call->db, call->caller.workspace, after, limit + 1, call->arena, &rows,
                          &count, err))
        return err->code;
    response->n_tokens = count > (size_t)limit ? (size_t)limit : count;
    response->tokens = arena_alloc(call->arena, (count + 1) * sizeof(*response->tokens));
    for (size_t i = 0; i < response->n_tokens; i++)
        response->tokens[i] = token_message(&rows[i], call->arena);
    if (count > (size_t)limit)
        response->next_page_token = page_next(call->arena, "ListTokens", rows[limit - 1].id);
    return ERR_OK;
}

static enum err_code
revoke_token(void *arg, REQUEST(RevokeToken) * request, RESPONSE(RevokeToken) * response,
             struct rpc_call *call, struct err *err)
{
    struct token token;

    if (!crypto_is_uuid(request->id))
        return err_set(err, ERR_INVALID, "id: expected a token's id (not its secret)");
    if (store_revoke_token(call->db, call->caller.workspace, request->id, life_now_ms(),
                           call->arena, &token, err))
        return err->code;
    when_committed(arg, call, &token, drop_after_commit);
    response->token = token_message(&token, call->arena);
    return ERR_OK;
}

const struct rpc_method gateway_queries[] = {
    RPC_COMMAND("CreateToken", create_token, "token:admin", 2000),
    RPC_QUERY("ListTokens", list_tokens, "token:admin", 2000),
    RPC_COMMAND("RevokeToken", revoke_token, "token:admin", 2000),
    {.name = NULL},
};
