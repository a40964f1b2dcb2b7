/* SPDX-License-Identifier: Apache-2.0 */
/* test_auth.c - what roles and scopes give, tokens, and the services' signature. */
#include "auth/auth.h"

#include <criterion/criterion.h>
#include <string.h>

static bool
allows(unsigned roles, const char *scopes, const char *scope)
{
    struct auth_caller caller = {.subject = "user:ann", .workspace = "default", .roles = roles};

    strcpy(caller.scopes, scopes);
    return auth_allows(&caller, scope);
}

Test(auth, roles_give_their_actions)
{
    cr_assert(allows(AUTH_VIEWER, "", "registry:read"));
    cr_assert_not(allows(AUTH_VIEWER, "", "registry:write"));
    cr_assert(allows(AUTH_EDITOR, "", "registry:write"));
    cr_assert_not(allows(AUTH_EDITOR, "", "registry:approve"));
    cr_assert(allows(AUTH_APPROVER, "", "registry:approve"));
    cr_assert_not(allows(AUTH_APPROVER, "", "token:admin"));
    cr_assert(allows(AUTH_ADMIN, "", "token:admin"));
    cr_assert(allows(AUTH_VIEWER | AUTH_ADMIN, "", "token:admin"));
    cr_assert_not(allows(0, "", "registry:read"));
}

Test(auth, scopes_narrow_even_admins)
{
    cr_assert(allows(AUTH_ADMIN, "registry:read run:write", "run:write"));
    cr_assert_not(allows(AUTH_ADMIN, "registry:read run:write", "registry:write"));
    cr_assert_not(allows(AUTH_ADMIN, "registry:readx", "registry:read"));
    cr_assert_not(allows(AUTH_VIEWER, "registry:write", "registry:write"));
    cr_assert_not(allows(AUTH_ADMIN, " ", "registry:read"));
}

Test(auth, malformed_scopes_are_nobodys)
{
    static const char *const bad[] = {
        "",      "registry", ":read",   "registry:", "Registry:read", "registry:read ",
        "a:b:c", "a:re-ad",  "-a:read", "a1:read"};

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        cr_assert_not(allows(AUTH_ADMIN, "", bad[i]), "%s", bad[i]);
    cr_assert_not(allows(AUTH_ADMIN, "", NULL));
    cr_assert(auth_scope_valid("feature-store:read"));
}

Test(auth, a_refusal_names_the_scope_and_who_has_it)
{
    struct auth_caller caller = {.subject = "user:ann", .roles = AUTH_VIEWER};
    struct err err;

    cr_assert_eq(auth_require(&caller, "registry:read", &err), ERR_OK);
    cr_assert_eq(auth_require(&caller, "registry:write", &err), ERR_FORBIDDEN);
    cr_assert_str_eq(err.message, "'user:ann' lacks registry:write "
                                  "(roles that have it: editor,approver,admin)");
    cr_assert_eq(auth_require(&caller, "worker:run", &err), ERR_FORBIDDEN);
    caller.roles = AUTH_EDITOR;
    cr_assert_eq(auth_require(&caller, "worker:run", &err), ERR_OK);
    caller.roles = AUTH_VIEWER;
    strcpy(caller.scopes, "run:read");
    cr_assert_eq(auth_require(&caller, "registry:read", &err), ERR_FORBIDDEN);
    cr_assert(strstr(err.message, "narrowed"));
}

Test(auth, roles_as_text_both_ways)
{
    unsigned roles = 99;
    char text[64];
    struct err err;

    cr_assert_eq(auth_roles_parse("admin,viewer", &roles, &err), ERR_OK);
    cr_assert_eq(roles, AUTH_ADMIN | AUTH_VIEWER);
    auth_roles_format(AUTH_VIEWER | AUTH_EDITOR | AUTH_APPROVER | AUTH_ADMIN, text);
    cr_assert_str_eq(text, "viewer,editor,approver,admin");
    cr_assert_eq(auth_roles_parse("viewer,", &roles, &err), ERR_INVALID);
    cr_assert_eq(auth_roles_parse("", &roles, &err), ERR_INVALID);
    cr_assert_eq(auth_roles_parse("root", &roles, &err), ERR_INVALID);
    cr_assert_eq(roles, AUTH_ADMIN | AUTH_VIEWER);
}

Test(auth, workspaces_are_dns_labels)
{
    char longest[65];
    struct err err;

    memset(longest, 'a', sizeof(longest));
    longest[63] = '\0';
    cr_assert_eq(auth_workspace_check("default", &err), ERR_OK);
    cr_assert_eq(auth_workspace_check("a", &err), ERR_OK);
    cr_assert_eq(auth_workspace_check(longest, &err), ERR_OK);
    longest[63] = 'a';
    longest[64] = '\0';
    cr_assert_eq(auth_workspace_check(longest, &err), ERR_INVALID);
    cr_assert_eq(auth_workspace_check("", &err), ERR_INVALID);
    cr_assert_eq(auth_workspace_check("-a", &err), ERR_INVALID);
    cr_assert_eq(auth_workspace_check("a-", &err), ERR_INVALID);
    cr_assert_eq(auth_workspace_check("A", &err), ERR_INVALID);
    cr_assert_eq(auth_workspace_check("a_b", &err), ERR_INVALID);
}

Test(auth, a_token_gives_its_hash_again)
{
    char token[AUTH_TOKEN_LEN + 1];
    uint8_t hash[32], again[32];

    auth_token_new(token, hash);
    cr_assert_eq(strlen(token), AUTH_TOKEN_LEN);
    cr_assert(auth_token_hash(token, again));
    cr_assert_eq(memcmp(hash, again, 32), 0);
    token[10] = '=';
    cr_assert_not(auth_token_hash(token, again));
    token[10] = '\0';
    cr_assert_not(auth_token_hash(token, again));
    cr_assert_not(auth_token_hash("", again));
}

static struct auth_caller caller = {
    .subject = "user:ann", .workspace = "default", .roles = AUTH_EDITOR, .scopes = "run:write"};
static const struct auth_signed signed_call = {.method = "GetRun",
                                               .request_id = "r1",
                                               .issued_ms = 1700000000000,
                                               .deadline_ms = 250,
                                               .caller = &caller,
                                               .body = "body",
                                               .body_len = 4};

static enum err_code
verify(const struct auth_signed *what, int64_t now_ms)
{
    uint8_t mac[32];
    struct err err;

    auth_sign(&signed_call, "key", 3, mac);
    return auth_verify(what, "key", 3, mac, sizeof(mac), now_ms, &err);
}

Test(auth, a_signature_is_good_around_its_issue)
{
    int64_t issued = signed_call.issued_ms;

    cr_assert_eq(verify(&signed_call, issued), ERR_OK);
    cr_assert_eq(verify(&signed_call, issued + AUTH_SIGNATURE_AGE_MS), ERR_OK);
    cr_assert_eq(verify(&signed_call, issued - AUTH_SIGNATURE_AGE_MS), ERR_OK);
    cr_assert_eq(verify(&signed_call, issued + AUTH_SIGNATURE_AGE_MS + 1), ERR_UNAUTHENTICATED);
    cr_assert_eq(verify(&signed_call, issued - AUTH_SIGNATURE_AGE_MS - 1), ERR_UNAUTHENTICATED);
    cr_assert_eq(verify(&signed_call, INT64_MIN), ERR_UNAUTHENTICATED);
}

Test(auth, a_signature_is_bound_to_each_field)
{
    struct auth_caller other = caller;
    struct auth_signed changed[8];

    for (int i = 0; i < 8; i++)
        changed[i] = signed_call;
    changed[0].method = "GetRu";
    changed[0].request_id = "nr1"; /* the same bytes, cut elsewhere */
    changed[1].deadline_ms = 251;
    changed[2].issued_ms++;
    changed[3].body = "bodx";
    changed[4].body_len = 3;
    other.roles = AUTH_ADMIN;
    changed[5].caller = &other;
    changed[6].request_id = "r2";
    changed[7].method = NULL;
    for (int i = 0; i < 8; i++)
        cr_assert_eq(verify(&changed[i], signed_call.issued_ms), ERR_UNAUTHENTICATED, "%d", i);
}

Test(auth, other_keys_and_cut_signatures_are_refused)
{
    uint8_t mac[32];
    struct err err;

    auth_sign(&signed_call, "key", 3, mac);
    cr_assert_eq(auth_verify(&signed_call, "kez", 3, mac, 32, signed_call.issued_ms, &err),
                 ERR_UNAUTHENTICATED);
    cr_assert_eq(auth_verify(&signed_call, "key", 3, mac, 31, signed_call.issued_ms, &err),
                 ERR_UNAUTHENTICATED);
    cr_assert_eq(auth_verify(&signed_call, "key", 3, mac, 0, signed_call.issued_ms, &err),
                 ERR_UNAUTHENTICATED);
}
