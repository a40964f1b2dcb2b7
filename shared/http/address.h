/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address.h - which addresses a request that somebody else has worded may go to.
 *
 * Against server-side request forgery: a service that calls URLs of users must not be led to its
 * own network. Only what is global unicast is public (IANA's special-purpose registries, RFC 6890);
 * IPv4 within IPv6 (mapped, NAT64, 6to4) counts as that IPv4 address. Decide on the address that is
 * connected to (http_client_request.may_connect), not on a name, which may mean another one a
 * moment later. Any thread.
 */
#pragma once

#include "err/err.h"

#include <netinet/in.h>
#include <sys/socket.h>

/* False for every other family too. */
bool address_is_public(const struct sockaddr *address);

#define ADDRESS_NETS_MAX 64
struct address_net {
    struct in6_addr net; /* IPv4 as mapped */
    unsigned bits;
};
struct address_list {
    bool all;
    struct address_net nets[ADDRESS_NETS_MAX];
    size_t count;
};
/* "10.0.0.0/8,fd00::/8,192.168.1.7", "on" (all addresses), or empty (none). ERR_INVALID. */
MUST_CHECK enum err_code address_list_parse(const char *text, struct address_list *list,
                                            struct err *err);
bool address_list_has(const struct address_list *list, const struct sockaddr *address);
