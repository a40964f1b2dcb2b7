/* SPDX-License-Identifier: Apache-2.0 */
/*
 * router.h - finds the route of a raw (still percent-encoded) path; private to http/.
 *
 * The table becomes a tree of segments at start. A literal segment beats a parameter, a
 * parameter beats the rest ("{path*}"). Paths are split before they are decoded, so that "%2F"
 * stays within its segment. Immutable after router_new(): any thread.
 */
#pragma once

#include "http/http.h"

#define ROUTER_DEPTH_MAX 16 /* segments of a pattern */

struct router;

/* ERR_INVALID: a malformed pattern, or verb and pattern given twice. routes is borrowed. */
MUST_CHECK enum err_code router_new(struct router **router, const struct http_route *routes,
                                    struct err *err);
void router_free(struct router *router);
CLEANUP_DEFINE(struct router, router_free)

struct router_match {
    const struct http_route *route; /* NULL: see path_known */
    size_t index;                   /* of route in the table */
    bool path_known;                /* the path is there with other verbs; allow names them */
    char allow[64];
    unsigned count; /* parameters, raw, in the pattern's order */
    struct {
        const char *text;
        size_t len;
    } params[ROUTER_DEPTH_MAX];
};
/* match's texts point into path. "HEAD" finds "GET" when it has no route of its own. */
void router_find(const struct router *router, const char *verb, const char *path,
                 struct router_match *match);
/* Name of the n-th parameter in a pattern, and its length; NULL when there is none. */
const char *router_param_name(const char *pattern, unsigned n, size_t *len);

/* Decode %XX into out (len + 1 bytes); false for a bad escape or a decoded NUL. */
bool http_percent_decode(const char *text, size_t len, char *out);
