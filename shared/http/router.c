/* SPDX-License-Identifier: Apache-2.0 */
/* router.c - a tree of path segments, walked with backtracking. */
#include "http/router.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct node {
    const char *segment; /* literal text within a pattern */
    size_t len;
    struct node *child, *next; /* literal children, siblings */
    struct node *param;        /* "{name}" */
    struct node *rest;         /* "{name*}" */
    const struct http_route **routes;
    size_t route_count;
};

struct router {
    const struct http_route *table;
    struct node root;
};

static void
node_done(struct node *node)
{
    struct node *child = node->child;

    while (child) {
        struct node *next = child->next;
        node_done(child);
        free(child);
        child = next;
    }
    if (node->param)
        node_done(node->param);
    if (node->rest)
        node_done(node->rest);
    free(node->param);
    free(node->rest);
    free(node->routes);
}

static struct node *
literal(const struct node *node, const char *segment, size_t len)
{
    struct node *child = node->child;

    while (child && (child->len != len || memcmp(child->segment, segment, len) != 0))
        child = child->next;
    return child;
}

static struct node *
grow(struct node *node, const char *segment, size_t len)
{
    struct node **place = NULL;

    if (len > 2 && segment[0] == '{')
        place = segment[len - 2] == '*' ? &node->rest : &node->param;
    if (place) {
        if (!*place)
            *place = mem_zalloc(sizeof(**place));
        return *place;
    }
    struct node *child = literal(node, segment, len);
    if (!child) {
        child = mem_zalloc(sizeof(*child));
        child->segment = segment;
        child->len = len;
        child->next = node->child;
        node->child = child;
    }
    return child;
}

static enum err_code
insert(struct router *router, const struct http_route *route, struct err *err)
{
    struct node *node = &router->root;
    const char *p = route->pattern;
    unsigned depth = 0;

    if (*p != '/')
        return err_set(err, ERR_INVALID, "route '%s' does not begin with /", route->pattern);
    while (*p == '/' && p[1]) {
        size_t len = strcspn(++p, "/");
        bool braces = memchr(p, '{', len) || memchr(p, '}', len);
        if (braces && (len < 3 || p[0] != '{' || p[len - 1] != '}'))
            return err_set(err, ERR_INVALID, "route '%s': a parameter is a whole segment",
                           route->pattern);
        if (++depth > ROUTER_DEPTH_MAX || len == 0)
            return err_set(err, ERR_INVALID, "route '%s': empty or too many segments",
                           route->pattern);
        if (braces && p[len - 2] == '*' && p[len])
            return err_set(err, ERR_INVALID, "route '%s': {…*} must be the last", route->pattern);
        node = grow(node, p, len);
        p += len;
    }
    for (size_t i = 0; i < node->route_count; i++)
        if (strcmp(node->routes[i]->verb, route->verb) == 0)
            return err_set(err, ERR_INVALID, "route %s %s is there twice", route->verb,
                           route->pattern);
    node->routes = mem_realloc(node->routes, (node->route_count + 1) * sizeof(*node->routes));
    node->routes[node->route_count++] = route;
    return ERR_OK;
}

enum err_code
router_new(struct router **out, const struct http_route *routes, struct err *err)
{
    CLEANUP(router_free) struct router *router = mem_zalloc(sizeof(*router));

    router->table = routes;
    for (; routes->verb; routes++)
        if (insert(router, routes, err))
            return err->code;
    *out = TAKE_PTR(router);
    return ERR_OK;
}

void
router_free(struct router *router)
{
    if (!router)
        return;
    node_done(&router->root);
    free(router);
}

static void
push(struct router_match *match, const char *text, size_t len)
{
    match->params[match->count].text = text;
    match->params[match->count].len = len;
    match->count++;
}

/* path: what is left, beginning with '/' or empty. */
static const struct node *
walk(const struct node *node, const char *path, struct router_match *match)
{
    const struct node *child, *found;
    unsigned count = match->count;

    if (*path == '\0')
        return node->route_count ? node : NULL;
    const char *segment = path + 1;
    size_t len = strcspn(segment, "/");
    child = literal(node, segment, len);
    if (child && (found = walk(child, segment + len, match)))
        return found;
    match->count = count;
    if (node->param && len > 0) {
        push(match, segment, len);
        if ((found = walk(node->param, segment + len, match)))
            return found;
        match->count = count;
    }
    if (node->rest && *segment) {
        push(match, segment, strlen(segment));
        return node->rest;
    }
    return NULL;
}

static const struct http_route *
pick(const struct node *node, const char *verb)
{
    for (size_t i = 0; i < node->route_count; i++)
        if (strcmp(node->routes[i]->verb, verb) == 0)
            return node->routes[i];
    return strcmp(verb, "HEAD") == 0 ? pick(node, "GET") : NULL;
}

static void
add_allow(struct router_match *match, const char *verb)
{
    size_t len = strlen(match->allow);

    snprintf(match->allow + len, sizeof(match->allow) - len, "%s%s", len ? ", " : "", verb);
}

void
router_find(const struct router *router, const char *verb, const char *path,
            struct router_match *match)
{
    *match = (struct router_match){0};
    if (*path != '/')
        return;
    const struct node *node = walk(&router->root, strcmp(path, "/") == 0 ? "" : path, match);
    if (!node)
        return;
    match->path_known = true;
    match->route = pick(node, verb);
    if (match->route) {
        match->index = (size_t)(match->route - router->table);
        return;
    }
    for (size_t i = 0; i < node->route_count; i++) {
        add_allow(match, node->routes[i]->verb);
    }
}

const char *
router_param_name(const char *pattern, unsigned n, size_t *len)
{
    const char *open = strchr(pattern, '{');

    while (open && n-- > 0)
        open = strchr(open + 1, '{');
    if (!open)
        return NULL;
    *len = strcspn(open + 1, "*}");
    return open + 1;
}

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
http_percent_decode(const char *text, size_t len, char *out)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '%') {
            int high = len - i > 2 ? hex_digit(text[i + 1]) : -1;
            int low = len - i > 2 ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (c == '\0')
            return false;
        *out++ = c;
    }
    *out = '\0';
    return true;
}
