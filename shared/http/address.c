/* SPDX-License-Identifier: Apache-2.0 */
/* address.c - which addresses a request may go to. */
#include "http/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct net {
    const char *net;
    unsigned bits;
};

static const struct net not_public_v4[] = {
    {"0.0.0.0", 8},      {"10.0.0.0", 8},     {"100.64.0.0", 10}, {"127.0.0.0", 8},
    {"169.254.0.0", 16}, {"172.16.0.0", 12},  {"192.0.0.0", 24},  {"192.0.2.0", 24},
    {"192.88.99.0", 24}, {"192.168.0.0", 16}, {"198.18.0.0", 15}, {"198.51.100.0", 24},
    {"203.0.113.0", 24}, {"224.0.0.0", 4},    {"240.0.0.0", 4},
};
/* Within 2000::/3, which is all that has been given out for global unicast. */
static const struct net not_public_v6[] = {{"2001::", 23}, {"2001:db8::", 32}, {"3fff::", 20}};
/* IPv4 in the four bytes at this offset. */
static const struct {
    struct net net;
    size_t at;
} embedded[] = {{{"::ffff:0:0", 96}, 12}, {{"64:ff9b::", 96}, 12}, {{"2002::", 16}, 2}};

static bool
within(const uint8_t *address, const uint8_t *net, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    return memcmp(address, net, whole) == 0 &&
           (rest == 0 || ((address[whole] ^ net[whole]) >> (8 - rest)) == 0);
}

static bool
within_text(int family, const void *address, const struct net *net)
{
    uint8_t bytes[16];

    return inet_pton(family, net->net, bytes) == 1 && within(address, bytes, net->bits);
}

static bool
v4_is_public(const uint8_t *address)
{
    for (size_t i = 0; i < ARRAY_LEN(not_public_v4); i++)
        if (within_text(AF_INET, address, &not_public_v4[i]))
            return false;
    return true;
}

static bool
v6_is_public(const uint8_t *address)
{
    static const struct net global = {"2000::", 3};

    for (size_t i = 0; i < ARRAY_LEN(embedded); i++)
        if (within_text(AF_INET6, address, &embedded[i].net))
            return v4_is_public(address + embedded[i].at);
    for (size_t i = 0; i < ARRAY_LEN(not_public_v6); i++)
        if (within_text(AF_INET6, address, &not_public_v6[i]))
            return false;
    return within_text(AF_INET6, address, &global);
}

bool
address_is_public(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return v4_is_public((const uint8_t *)&((const struct sockaddr_in *)address)->sin_addr);
    return address->sa_family == AF_INET6 &&
           v6_is_public((const uint8_t *)&((const struct sockaddr_in6 *)address)->sin6_addr);
}

/* ---- lists ---- */

static void
map_v4(const void *v4, struct in6_addr *v6)
{
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

    memcpy(v6->s6_addr, prefix, sizeof(prefix));
    memcpy(v6->s6_addr + sizeof(prefix), v4, 4);
}

static enum err_code
parse_net(const char *text, struct address_net *net, struct err *err)
{
    const char *slash = strchr(text, '/');
    char address[INET6_ADDRSTRLEN] = "";
    struct in_addr v4;
    char *end = NULL;

    snprintf(address, sizeof(address), "%.*s", (int)(slash ? (size_t)(slash - text) : strlen(text)),
             text);
    bool is_v4 = inet_pton(AF_INET, address, &v4) == 1;
    unsigned long most = is_v4 ? 32 : 128, bits = slash ? strtoul(slash + 1, &end, 10) : most;
    if ((!is_v4 && inet_pton(AF_INET6, address, &net->net) != 1) || bits > most ||
        (slash && (slash[1] < '0' || slash[1] > '9' || *end)))
        return err_set(err, ERR_INVALID, "'%.60s' is not an address or a network like 10.0.0.0/8",
                       text);
    if (is_v4)
        map_v4(&v4, &net->net);
    net->bits = (unsigned)bits + (is_v4 ? 96 : 0);
    return ERR_OK;
}

enum err_code
address_list_parse(const char *text, struct address_list *list, struct err *err)
{
    struct address_list found = {.all = strcmp(text, "on") == 0};
    char item[100];

    for (const char *p = found.all ? "" : text; *p;) {
        size_t len = strcspn(p, ", ");
        if (len > 0) {
            snprintf(item, sizeof(item), "%.*s", (int)(len < 99 ? len : 99), p);
            if (found.count == ADDRESS_NETS_MAX)
                return err_set(err, ERR_INVALID, "more than %d networks", ADDRESS_NETS_MAX);
            if (parse_net(item, &found.nets[found.count++], err))
                return err->code;
        }
        p += len + (p[len] != '\0');
    }
    *list = found;
    return ERR_OK;
}

bool
address_list_has(const struct address_list *list, const struct sockaddr *address)
{
    struct in6_addr v6;

    if (list->all)
        return true;
    if (address->sa_family == AF_INET)
        map_v4(&((const struct sockaddr_in *)address)->sin_addr, &v6);
    else if (address->sa_family == AF_INET6)
        v6 = ((const struct sockaddr_in6 *)address)->sin6_addr;
    else
        return false;
    for (size_t i = 0; i < list->count; i++)
        if (within(v6.s6_addr, list->nets[i].net.s6_addr, list->nets[i].bits))
            return true;
    return false;
}
