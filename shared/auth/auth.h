/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth.h - who calls, what they may do, and how services trust each other's word.
 *
 * A scope is "<area>:<action>" ("registry:read", "token:admin"). A role grants actions
 * in every area: viewer read; editor read, write, run; approver read, write, run,
 * approve; admin all. A token may be narrowed to named scopes. Deny by default: an empty or
 * malformed scope is granted to nobody.
 */
#pragma once

#include "arena/arena.h"
#include "err/err.h"

enum auth_role {
    AUTH_VIEWER = 1 << 0,
    AUTH_EDITOR = 1 << 1,
    AUTH_APPROVER = 1 << 2,
    AUTH_ADMIN = 1 << 3,
};

#define AUTH_SUBJECT_MAX 200
#define AUTH_WORKSPACE_MAX 63
#define AUTH_SCOPES_MAX 512

struct auth_caller {
    char subject[AUTH_SUBJECT_MAX + 1];     /* "user:ann", "service:gateway", "token:ci" */
    char workspace[AUTH_WORKSPACE_MAX + 1]; /* every query is bound to it */
    unsigned roles;                         /* of enum auth_role */
    char scopes[AUTH_SCOPES_MAX + 1]; /* space-separated narrowing; empty: all that roles give */
};

bool auth_allows(const struct auth_caller *caller, const char *scope);
/* ERR_FORBIDDEN that names scope and the roles that would have it. */
MUST_CHECK enum err_code auth_require(const struct auth_caller *caller, const char *scope,
                                      struct err *err);
bool auth_scope_valid(const char *scope); /* ^[a-z][a-z-]*:[a-z]+$ */
MUST_CHECK enum err_code auth_roles_parse(const char *comma_separated, unsigned *roles,
                                          struct err *err);
void auth_roles_format(unsigned roles, char text[64]); /* "viewer,editor" */
/* ^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$ */
MUST_CHECK enum err_code auth_workspace_check(const char *workspace, struct err *err);

/* An API token: "mb_" and 43 characters of 256 random bits; only its SHA-256 is kept. */
#define AUTH_TOKEN_LEN 46
void auth_token_new(char token[AUTH_TOKEN_LEN + 1], uint8_t hash[32]);
bool auth_token_hash(const char *token, uint8_t hash[32]); /* false: not the form of a token */

/*
 * The services' shared key signs the caller into each rpc request, bound to what is
 * asked: HMAC-SHA256 over length-prefixed fields (method, request id, issued, deadline,
 * subject, workspace, roles, scopes, SHA-256 of the body). A signature is good for
 * AUTH_SIGNATURE_AGE_MS around its issue.
 */
#define AUTH_SIGNATURE_AGE_MS 60000
struct auth_signed {
    const char *method;
    const char *request_id;
    int64_t issued_ms;   /* Unix epoch */
    int64_t deadline_ms; /* relative, as in the frame */
    const struct auth_caller *caller;
    const void *body;
    size_t body_len;
};
void auth_sign(const struct auth_signed *what, const void *key, size_t key_len, uint8_t mac[32]);
MUST_CHECK enum err_code auth_verify(const struct auth_signed *what, const void *key,
                                     size_t key_len, const uint8_t mac[32], size_t mac_len,
                                     int64_t now_ms, struct err *err);
