/* SPDX-License-Identifier: Apache-2.0 */
/* test_gateway_streams.c - what a listener may hear, and where it stands, as text. */
#include "streams.h"

#include <criterion/criterion.h>
#include <string.h>

static struct err err;

Test(cursor, is_the_same_from_its_text)
{
    struct cursor c = {.cluster = "0123456789abcdef", .topic_count = 2}, again;
    char text[CURSOR_TEXT_MAX];

    strcpy(c.topics[0].topic, "registry");
    c.topics[0].partitions = 4;
    for (int64_t i = 0; i < 4; i++)
        c.topics[0].next[i] = i * 1000000007;
    strcpy(c.topics[1].topic, "alert");
    c.topics[1].partitions = 1;
    cursor_write(&c, text);
    cr_assert_str_eq(text, "0123456789abcdef;registry=0.1000000007.2000000014.3000000021;alert=0");
    cr_assert_eq(cursor_read(&again, text, &err), ERR_OK, "%s", err.message);
    cr_expect_eq(memcmp(&again, &c, sizeof(c)), 0);
}

Test(cursor, refuses_what_is_none)
{
    static const char *const bad[] = {
        "",
        "x",
        "0123456789abcde",
        "0123456789abcdef0",
        "0123456789abcdef;",
        "0123456789abcdef;=1",
        "0123456789abcdef;a",
        "0123456789abcdef;a=",
        "0123456789abcdef;a=1.",
        "0123456789abcdef;a=-1",
        "0123456789abcdef;a=9999999999999999999",
        "0123456789abcdef;a=1,2",
        "0123456789abcdef a=1",
    };
    struct cursor c;
    char many[CURSOR_TEXT_MAX] = "0123456789abcdef;a=1";

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_eq(cursor_read(&c, bad[i], &err), ERR_INVALID, "'%s'", bad[i]);
    for (int i = 0; i < CURSOR_PARTITIONS_MAX; i++)
        strcat(many, ".1");
    cr_expect_eq(cursor_read(&c, many, &err), ERR_INVALID, "too many partitions");
}

Test(hearing, is_what_the_caller_may_read)
{
    struct auth_caller viewer = {.workspace = "default", .roles = AUTH_VIEWER};
    struct auth_caller narrow = {
        .workspace = "default", .roles = AUTH_VIEWER, .scopes = "event:read registry:read"};
    struct hearing h;

    cr_assert_eq(hearing_choose(&h, &viewer, NULL, &err), ERR_OK);
    cr_expect_eq(h.topic_count, 8);
    cr_expect_eq(h.type_count, 0);
    cr_assert_eq(hearing_choose(&h, &narrow, "", &err), ERR_OK);
    cr_assert_eq(h.topic_count, 1);
    cr_expect_str_eq(h.topics[0]->suffix, "registry");
    cr_assert_eq(hearing_choose(&h, &narrow, "AliasMoved,ModelRegistered", &err), ERR_OK);
    cr_expect(h.topic_count == 1 && h.type_count == 2);
    cr_expect_eq(hearing_choose(&h, &narrow, "AliasMoved,DriftDetected", &err), ERR_FORBIDDEN);
    cr_expect_eq(hearing_choose(&h, &viewer, "PredictionsLogged", &err), ERR_INVALID);
    cr_expect_eq(hearing_choose(&h, &viewer, "EndpointState", &err), ERR_INVALID);
    cr_expect_eq(hearing_choose(&h, &viewer, "AliasMoved,,", &err), ERR_INVALID);
}
