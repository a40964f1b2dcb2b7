/* SPDX-License-Identifier: Apache-2.0 */
/* Which route a raw path finds, and what a percent-encoded text becomes. */
#include "http/router.h"

#include <criterion/criterion.h>
#include <string.h>

static void
nothing(void *arg, struct http_request *r)
{
    (void)arg;
    (void)r;
}

static const struct http_route table[] = {
    {"GET", "/", nothing, NULL, 0, NULL},
    {"GET", "/models", nothing, NULL, 0, NULL},
    {"POST", "/models", nothing, NULL, 0, NULL},
    {"GET", "/models/{name}", nothing, NULL, 0, NULL},
    {"GET", "/models/special", nothing, NULL, 0, NULL},
    {"GET", "/models/{name}/versions/{version}", nothing, NULL, 0, NULL},
    {"GET", "/files/{path*}", nothing, NULL, 0, NULL},
    {0},
};

static struct router_match
find(const char *verb, const char *path)
{
    CLEANUP(router_free) struct router *router = NULL;
    struct router_match match;
    struct err err = {0};

    cr_assert_eq(router_new(&router, table, &err), ERR_OK, "%s", err.message);
    router_find(router, verb, path, &match);
    return match;
}

Test(router, literal_beats_parameter)
{
    cr_assert_str_eq(find("GET", "/models/special").route->pattern, "/models/special");
    cr_assert_str_eq(find("GET", "/models/other").route->pattern, "/models/{name}");
}

Test(router, goes_back_when_the_literal_leads_nowhere)
{
    struct router_match match = find("GET", "/models/special/versions/3");

    cr_assert_str_eq(match.route->pattern, "/models/{name}/versions/{version}");
    cr_assert_eq(match.count, 2u);
    cr_assert_eq(strncmp(match.params[0].text, "special/", 8), 0);
    cr_assert_eq(match.params[0].len, (size_t)7);
}

Test(router, encoded_slash_stays_in_its_segment)
{
    struct router_match match = find("GET", "/models/a%2Fb");

    cr_assert_str_eq(match.route->pattern, "/models/{name}");
    cr_assert_eq(match.params[0].len, (size_t)5);
}

Test(router, rest_takes_everything)
{
    struct router_match match = find("GET", "/files/a/b/c");

    cr_assert_str_eq(match.params[0].text, "a/b/c");
    cr_assert_null(find("GET", "/files/").route);
}

Test(router, unknown_paths_and_verbs)
{
    cr_assert(!find("GET", "/nothing").path_known);
    cr_assert(!find("GET", "/models/").path_known, "an empty parameter is none");
    cr_assert(!find("GET", "models").path_known);
    struct router_match match = find("PATCH", "/models");
    cr_assert_null(match.route);
    cr_assert(match.path_known);
    cr_assert_str_eq(match.allow, "GET, POST");
}

Test(router, head_is_served_by_get)
{
    cr_assert_str_eq(find("HEAD", "/models").route->verb, "GET");
    cr_assert_str_eq(find("GET", "/").route->pattern, "/");
}

Test(router, refuses_bad_tables)
{
    const struct http_route twice[] = {table[0], table[0], {0}};
    const struct http_route half[] = {{"GET", "/a{b}", nothing, NULL, 0, NULL}, {0}};
    const struct http_route early[] = {{"GET", "/{a*}/b", nothing, NULL, 0, NULL}, {0}};
    struct router *router = NULL;
    struct err err;

    cr_assert_eq(router_new(&router, twice, &err), ERR_INVALID);
    cr_assert_eq(router_new(&router, half, &err), ERR_INVALID);
    cr_assert_eq(router_new(&router, early, &err), ERR_INVALID);
}

Test(percent, decodes_and_refuses)
{
    char out[16];

    cr_assert(http_percent_decode("a%2Fb%41", 8, out));
    cr_assert_str_eq(out, "a/bA");
    cr_assert(!http_percent_decode("%0", 2, out));
    cr_assert(!http_percent_decode("%", 1, out));
    cr_assert(!http_percent_decode("%zz", 3, out));
    cr_assert(!http_percent_decode("%00", 3, out));
}
