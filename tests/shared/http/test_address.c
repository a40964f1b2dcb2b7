/* SPDX-License-Identifier: Apache-2.0 */
/* test_address.c - which addresses are public, and lists of networks. */
#include "http/address.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>

static struct sockaddr_storage storage;

static const struct sockaddr *
address(const char *text)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&storage;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&storage;

    memset(&storage, 0, sizeof(storage));
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
    } else {
        cr_assert_eq(inet_pton(AF_INET6, text, &v6->sin6_addr), 1, "%s", text);
        v6->sin6_family = AF_INET6;
    }
    return (const struct sockaddr *)&storage;
}

Test(address, what_is_not_global_unicast_is_not_public)
{
    static const char *const inside[] = {
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "192.0.0.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "203.0.113.7",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "fd12::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:db8::1",
        "2001::1",
        "::127.0.0.1",
        "fec0::1",
        "4000::1",
    };
    static const char *const outside[] = {
        "1.1.1.1",     "8.8.8.8",         "172.15.255.255", "172.32.0.1",       "100.63.255.255",
        "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808",
    };

    for (size_t i = 0; i < ARRAY_LEN(inside); i++)
        cr_expect_not(address_is_public(address(inside[i])), "%s", inside[i]);
    for (size_t i = 0; i < ARRAY_LEN(outside); i++)
        cr_expect(address_is_public(address(outside[i])), "%s", outside[i]);
    memset(&storage, 0, sizeof(storage));
    storage.ss_family = AF_UNIX;
    cr_expect_not(address_is_public((const struct sockaddr *)&storage));
}

Test(address, a_list_has_networks_and_single_addresses)
{
    struct address_list list;
    struct err err;

    cr_assert_eq(address_list_parse("10.0.0.0/8, fd00::/8,192.168.1.7", &list, &err), ERR_OK);
    cr_expect(address_list_has(&list, address("10.255.0.1")));
    cr_expect(address_list_has(&list, address("::ffff:10.0.0.1")));
    cr_expect(address_list_has(&list, address("192.168.1.7")));
    cr_expect(address_list_has(&list, address("fd12::1")));
    cr_expect_not(address_list_has(&list, address("192.168.1.8")));
    cr_expect_not(address_list_has(&list, address("11.0.0.1")));
    cr_expect_not(address_list_has(&list, address("fe00::1")));
    cr_assert_eq(address_list_parse("", &list, &err), ERR_OK);
    cr_expect_not(address_list_has(&list, address("10.0.0.1")));
    cr_assert_eq(address_list_parse("on", &list, &err), ERR_OK);
    cr_expect(address_list_has(&list, address("::1")));
    cr_assert_eq(address_list_parse("0.0.0.0/0", &list, &err), ERR_OK);
    cr_expect(address_list_has(&list, address("127.0.0.1")));
    cr_expect_not(address_list_has(&list, address("::1")));
}

Test(address, wrong_lists_are_refused)
{
    static const char *const rows[] = {"10.0.0.0/33", "10.0.0/8", "localhost", "10.0.0.0/",
                                       "10.0.0.0/x",  "::/129",   "off",       "10.0.0.0/-1"};
    struct address_list list;
    struct err err;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        cr_expect_eq(address_list_parse(rows[i], &list, &err), ERR_INVALID, "%s", rows[i]);
}
