/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens on a real PostgreSQL: created, found, listed, revoked. */
#include "../fixture.h"
#include "parts.h"

#include "life/life.h"
#include "modelbus/gateway/v1/queries.pb-c.h"

#include <criterion/criterion.h>
#include <string.h>

static struct fixture f;
static struct gateway gateway;

static void
open_all(void)
{
    static const struct service_spec spec = {
        .name = "gateway",
        .prefix = "GATEWAY",
        .schema = gateway_schema,
        .interface = &modelbus__gateway__v1__gateway__descriptor,
        .methods = gateway_queries,
    };
    struct err err = {0};

    fixture_open(&f, &spec);
    cr_assert_eq(tokens_start(&gateway.tokens, f.service.db, &err), ERR_OK, "%s", err.message);
    f.service.state = &gateway;
}

static void
close_all(void)
{
    tokens_stop(gateway.tokens);
    fixture_close(&f);
}

static enum err_code
create(const char *role, int64_t lifetime_s, Modelbus__Gateway__V1__CreateTokenResponse *response)
{
    Modelbus__Gateway__V1__CreateTokenRequest request =
        MODELBUS__GATEWAY__V1__CREATE_TOKEN_REQUEST__INIT;
    char *roles[] = {(char *)(uintptr_t)role};

    modelbus__gateway__v1__create_token_response__init(response);
    request.subject = (char *)"token:ci";
    request.roles = roles;
    request.n_roles = 1;
    request.lifetime_s = lifetime_s;
    return fixture_call(&f, "CreateToken", &request, response);
}

static enum err_code
find(const char *secret, int64_t now_ms, struct auth_caller *caller)
{
    uint8_t hash[32];
    struct err err;

    cr_assert(auth_token_hash(secret, hash));
    return tokens_find(gateway.tokens, hash, now_ms, caller, &err);
}

TestSuite(tokens, .init = open_all, .fini = close_all, .timeout = 60);

Test(tokens, a_created_token_counts_at_once_and_a_revoked_one_no_more)
{
    Modelbus__Gateway__V1__CreateTokenResponse created;
    Modelbus__Gateway__V1__RevokeTokenRequest revoke =
        MODELBUS__GATEWAY__V1__REVOKE_TOKEN_REQUEST__INIT;
    Modelbus__Gateway__V1__RevokeTokenResponse revoked =
        MODELBUS__GATEWAY__V1__REVOKE_TOKEN_RESPONSE__INIT;
    struct auth_caller caller;

    cr_assert_eq(create("editor", 0, &created), ERR_OK, "%s", f.err.message);
    cr_assert_eq(find(created.secret, life_now_ms(), &caller), ERR_OK);
    cr_assert_str_eq(caller.subject, "token:ci");
    cr_assert_eq(caller.roles, (unsigned)AUTH_EDITOR);
    revoke.id = created.token->id;
    cr_assert_eq(fixture_call(&f, "RevokeToken", &revoke, &revoked), ERR_OK, "%s", f.err.message);
    cr_assert_gt(revoked.token->revoked_at_ms, 0);
    cr_assert_eq(find(created.secret, life_now_ms(), &caller), ERR_UNAUTHENTICATED);
}

Test(tokens, another_process_reads_them_and_time_ends_them)
{
    Modelbus__Gateway__V1__CreateTokenResponse created;
    struct auth_caller caller;
    struct err err = {0};

    cr_assert_eq(create("viewer", 60, &created), ERR_OK, "%s", f.err.message);
    tokens_stop(gateway.tokens);
    cr_assert_eq(tokens_start(&gateway.tokens, f.service.db, &err), ERR_OK, "%s", err.message);
    cr_assert_eq(find(created.secret, life_now_ms(), &caller), ERR_OK);
    cr_assert_eq(find(created.secret, life_now_ms() + 61000, &caller), ERR_UNAUTHENTICATED);
}

Test(tokens, are_listed_by_pages_without_secrets)
{
    Modelbus__Gateway__V1__CreateTokenResponse created;
    Modelbus__Common__V1__PageRequest page = MODELBUS__COMMON__V1__PAGE_REQUEST__INIT;
    Modelbus__Gateway__V1__ListTokensRequest request =
        MODELBUS__GATEWAY__V1__LIST_TOKENS_REQUEST__INIT;
    Modelbus__Gateway__V1__ListTokensResponse response =
        MODELBUS__GATEWAY__V1__LIST_TOKENS_RESPONSE__INIT;

    for (int i = 0; i < 3; i++)
        cr_assert_eq(create("viewer", 0, &created), ERR_OK, "%s", f.err.message);
    page.page_size = 2;
    request.page = &page;
    cr_assert_eq(fixture_call(&f, "ListTokens", &request, &response), ERR_OK);
    cr_assert_eq(response.n_tokens, (size_t)2);
    page.page_token = response.next_page_token;
    cr_assert_eq(fixture_call(&f, "ListTokens", &request, &response), ERR_OK);
    cr_assert_eq(response.n_tokens, (size_t)1);
    cr_assert_str_eq(response.tokens[0]->id, created.token->id);
}

Test(tokens, no_more_than_are_read)
{
    Modelbus__Gateway__V1__CreateTokenResponse created;
    struct db_conn *conn;
    struct err err;

    cr_assert_eq(db_borrow(f.service.db, &conn, &err), ERR_OK, "%s", err.message);
    cr_assert_eq(db_script(conn,
                           "INSERT INTO token (id, workspace, hash, subject, roles, created_at_ms,"
                           " created_by) SELECT i::text, 'default', sha256(i::text::bytea), 's', 1,"
                           " 1, 'test' FROM generate_series(1, 10000) i",
                           &err),
                 ERR_OK, "%s", err.message);
    cr_assert_eq(create("viewer", 0, &created), ERR_PRECONDITION);
    cr_assert_eq(db_script(conn, "UPDATE token SET revoked_at_ms = 1 WHERE id = '1'", &err),
                 ERR_OK);
    cr_assert_eq(create("viewer", 0, &created), ERR_OK);
    db_return(conn);
}

Test(tokens, refuses_nonsense)
{
    Modelbus__Gateway__V1__CreateTokenResponse created;

    cr_assert_eq(create("emperor", 0, &created), ERR_INVALID);
    cr_assert_eq(create("viewer", -1, &created), ERR_INVALID);
}
