/* SPDX-License-Identifier: Apache-2.0 */
/* test_alert_delivery.c - who is told what, when, and how often: a real database and a real receiver. */
#include "stage.h"

#include "life/life.h"

TestSuite(alert_delivery, .init = stage_open, .fini = stage_close);

#define HOUR_MS (INT64_C(3600) * 1000)
#define TOLD(at, text) cr_expect_str_eq(stage_told(at), text)

Test(alert_delivery, a_receiver_is_told_once_that_it_fires_and_once_that_it_is_over)
{
    stage_route("");
    OK(stage_drift("churn"));
    OK(stage_drift("churn"));
    stage_deliver();
    cr_assert_eq(stage.heard_count, 1);
    TOLD(0, "firing churn");
    cr_expect_str_eq(stage.heard[0].path, "/hook");
    cr_expect_eq(strlen(stage.heard[0].id), 36);
    cr_expect_str_eq(stage.heard[0].id, stage.heard[0].key);
    stage_deliver();
    cr_expect_eq(stage.heard_count, 1);
    OK(stage_clear("churn"));
    stage_deliver();
    cr_assert_eq(stage.heard_count, 2);
    TOLD(1, "resolved churn/over");
    cr_expect_str_neq(stage.heard[0].id, stage.heard[1].id);
    stage.moved_ms = 30 * HOUR_MS;
    stage_deliver();
    cr_expect_eq(stage.heard_count, 2);
}

Test(alert_delivery, what_fires_and_is_over_before_anybody_was_told_is_told_in_order)
{
    stage_route("");
    OK(stage_drift("churn"));
    OK(stage_clear("churn"));
    OK(stage_drift("churn"));
    stage_deliver();
    cr_assert_eq(stage.heard_count, 3);
    TOLD(0, "firing churn");
    TOLD(1, "resolved churn/over");
    TOLD(2, "firing churn");
}

Test(alert_delivery, a_group_is_told_together_after_its_wait)
{
    stage_route(",\"group_wait_s\":30");
    OK(stage_drift("a"));
    OK(stage_drift("b"));
    cr_expect_eq(stage_deliver(), 0);
    stage.moved_ms = 31000;
    stage_deliver();
    cr_assert_eq(stage.heard_count, 1);
    TOLD(0, "firing a,b");
    OK(stage_clear("a"));
    stage_deliver();
    cr_assert_eq(stage.heard_count, 2);
    TOLD(1, "firing a/over,b");
}

Test(alert_delivery, groups_are_told_apart)
{
    stage_route(",\"group_by\":[\"endpoint\"]");
    OK(stage_drift("a"));
    OK(stage_drift("b"));
    OK(stage_load_failed("a"));
    stage_deliver();
    cr_assert_eq(stage.heard_count, 2);
    TOLD(0, "firing a,a");
    TOLD(1, "firing b");
}

Test(alert_delivery, it_is_repeated_while_it_fires_and_nobody_has_acknowledged_it)
{
    char request[100];

    stage_route(",\"repeat_interval_s\":600");
    OK(stage_drift("churn"));
    stage_deliver();
    stage.moved_ms = 599 * 1000;
    stage_deliver();
    cr_assert_eq(stage.heard_count, 1);
    stage.moved_ms = 601 * 1000;
    stage_deliver();
    cr_assert_eq(stage.heard_count, 2);
    TOLD(1, "firing churn");
    cr_expect_str_neq(stage.heard[0].id, stage.heard[1].id);
    snprintf(request, sizeof(request), "{\"id\":\"%s\"}", stage_alert_id("churn"));
    json_decref(stage_ask("AcknowledgeAlert", request));
    stage.moved_ms = HOUR_MS;
    stage_deliver();
    cr_expect_eq(stage.heard_count, 2);
}

Test(alert_delivery, a_receiver_that_was_down_for_an_hour_is_told_in_order_once_a_group)
{
    static const struct db_stmt attempts = {"SELECT max(attempts) FROM notification"};

    stage_route(",\"group_by\":[\"endpoint\"]");
    stage.status = 503;
    OK(stage_drift("a"));
    OK(stage_drift("b"));
    for (int minute = 0; minute < 60; minute++) {
        stage.moved_ms = minute * INT64_C(60000);
        stage_deliver();
        if (minute == 10)
            OK(stage_clear("a"));
        if (minute == 20)
            OK(stage_drift("a"));
        if (minute == 30)
            OK(stage_drift("b")); /* fires already */
    }
    cr_expect_eq(stage.heard_count, 0);
    cr_expect_leq(fixture_number(&stage.f, &attempts), 25, "it backs off");
    cr_expect_geq(fixture_number(&stage.f, &attempts), 12, "to five minutes at most");
    stage.status = 0;
    stage.moved_ms = HOUR_MS + 300 * 1000;
    stage_deliver();
    cr_assert_eq(stage.heard_count, 4);
    size_t of_a = 0;
    static const char *const in_order[] = {"firing a", "resolved a/over", "firing a"};
    for (size_t i = 0; i < 4; i++)
        if (strcmp(stage_told(i), "firing b") != 0)
            cr_expect_str_eq(stage_told(i), in_order[of_a++]);
    cr_expect_eq(of_a, 3);
}

Test(alert_delivery, every_attempt_has_the_same_id_and_content)
{
    static const struct db_stmt body = {"SELECT ('x' || left(encode(sha256(body), 'hex'), 15))"
                                        "::bit(64)::bigint FROM notification ORDER BY seq LIMIT 1"};

    stage_route("");
    stage.status = 500;
    OK(stage_drift("a"));
    stage_deliver();
    int64_t first = fixture_number(&stage.f, &body);
    OK(stage_drift("b")); /* the same group: told after it, not with it */
    stage.moved_ms = 60000;
    stage_deliver();
    cr_expect_eq(fixture_number(&stage.f, &body), first);
    stage.status = 0;
    stage.moved_ms = 120000;
    stage_deliver();
    cr_assert_eq(stage.heard_count, 2);
    TOLD(0, "firing a");
    TOLD(1, "firing b,a");
}

Test(alert_delivery, what_a_thread_died_with_is_sent_again_after_its_lease)
{
    static const struct db_stmt died = {
        "UPDATE notification SET attempts = attempts + 1, due_at_ms = due_at_ms + 40000"
        " WHERE kind = 'change' RETURNING 1"};

    stage_route("");
    stage.status = 500;
    OK(stage_drift("a"));
    stage_deliver();
    stage.status = 0;
    fixture_number(&stage.f, &died); /* as after a claim that nobody finished */
    stage.moved_ms = 20000;
    cr_expect_eq(stage_deliver(), 0);
    stage.moved_ms = 60000;
    stage_deliver();
    cr_expect_eq(stage.heard_count, 1);
}

Test(alert_delivery, nobody_is_told_of_what_is_silenced_until_the_silence_ends)
{
    stage_route(",\"group_by\":[\"alertname\"]");
    json_decref(stage_ask("CreateSilence", "{\"match\":[\"endpoint = a\"],\"duration_s\":600}"));
    OK(stage_drift("a"));
    OK(stage_drift("b"));
    stage_deliver();
    cr_assert_eq(stage.heard_count, 1);
    TOLD(0, "firing b");
    OK(stage_drift("c")); /* what is held back does not hold up others */
    stage_deliver();
    cr_assert_eq(stage.heard_count, 2);
    TOLD(1, "firing c,b");
    stage.moved_ms = 601 * 1000;
    stage_deliver();
    cr_assert_eq(stage.heard_count, 3);
    TOLD(2, "firing a,b,c");
}

Test(alert_delivery, a_silence_that_is_ended_early_lets_go)
{
    char request[100];

    stage_route("");
    json_t *reply = stage_ask("CreateSilence", "{\"match\":[\"endpoint ~ *\"],\"duration_s\":600}");
    snprintf(request, sizeof(request), "{\"id\":\"%s\"}",
             json_string_value(json_object_get(json_object_get(reply, "silence"), "id")));
    json_decref(reply);
    OK(stage_drift("a"));
    stage_deliver();
    cr_expect_eq(stage.heard_count, 0);
    json_decref(stage_ask("DeleteSilence", request));
    stage.moved_ms = 10;
    stage_deliver();
    cr_assert_eq(stage.heard_count, 1);
    TOLD(0, "firing a");
}

Test(alert_delivery, who_was_not_told_that_it_fires_is_not_told_that_it_is_over)
{
    static const struct db_stmt left = {"SELECT count(*) FROM notification WHERE NOT done"};

    stage_route("");
    json_decref(stage_ask("CreateSilence", "{\"match\":[\"endpoint = a\"],\"duration_s\":600}"));
    OK(stage_drift("a"));
    stage_deliver();
    OK(stage_clear("a"));
    OK(stage_drift("a"));
    OK(stage_clear("a")); /* before anybody looked */
    stage_deliver();
    stage.moved_ms = HOUR_MS;
    stage_deliver();
    cr_expect_eq(stage.heard_count, 0);
    cr_expect_eq(fixture_number(&stage.f, &left), 0);
}

Test(alert_delivery, what_was_held_back_is_not_told_when_it_is_over)
{
    /* Resolved while the delivery was putting it aside, so that the change did not see it. */
    static const struct db_stmt over = {
        "UPDATE alert SET firing = false, resolved_at_ms = 1 RETURNING 1"};

    stage_route("");
    json_decref(stage_ask("CreateSilence", "{\"match\":[\"endpoint = a\"],\"duration_s\":600}"));
    OK(stage_drift("a"));
    stage_deliver();
    fixture_number(&stage.f, &over);
    stage.moved_ms = HOUR_MS;
    stage_deliver();
    cr_expect_eq(stage.heard_count, 0);
}

Test(alert_delivery, an_inhibited_alert_waits_for_its_source)
{
    stage_route(",\"group_by\":[\"...\"]");
    json_decref(stage_ask("PutAlertInhibition",
                          "{\"name\":\"i\",\"source\":[\"alertname = ModelLoadFailed\"],"
                          "\"target\":[\"alertname = DriftDetected\"],\"equal\":[\"endpoint\"]}"));
    OK(stage_load_failed("a"));
    OK(stage_drift("a"));
    OK(stage_drift("b"));
    stage_deliver();
    cr_assert_eq(stage.heard_count, 2);
    TOLD(0, "firing a");
    TOLD(1, "firing b");
    Modelbus__Serving__V1__ModelLoaded loaded = MODELBUS__SERVING__V1__MODEL_LOADED__INIT;
    loaded.endpoint = "a";
    OK(fixture_hear(&stage.f, "l", &loaded));
    stage.moved_ms = 10;
    stage_deliver();
    cr_assert_eq(stage.heard_count, 4);
}

Test(alert_delivery, it_escalates_when_nobody_acknowledges)
{
    char text[300];

    snprintf(text, sizeof(text), "{\"name\":\"boss\",\"type\":\"webhook\",\"url\":\"%s/boss\"}",
             stage.url);
    json_decref(stage_ask("PutAlertReceiver", text));
    stage_route(",\"escalate_after_s\":900,\"escalate_to\":\"boss\",\"group_by\":[\"endpoint\"]");
    OK(stage_drift("a"));
    OK(stage_drift("b"));
    OK(stage_drift("c"));
    stage_deliver();
    cr_assert_eq(stage.heard_count, 3);
    snprintf(text, sizeof(text), "{\"id\":\"%s\"}", stage_alert_id("b"));
    json_decref(stage_ask("AcknowledgeAlert", text));
    OK(stage_clear("c"));
    stage_deliver();
    cr_assert_eq(stage.heard_count, 4);
    stage.moved_ms = 901 * 1000;
    stage_deliver();
    cr_assert_eq(stage.heard_count, 5);
    cr_expect_str_eq(stage.heard[4].path, "/boss");
    TOLD(4, "firing a");
    OK(stage_clear("a"));
    stage_deliver();
    cr_expect_eq(stage.heard_count, 7, "both hear of the end");
}

Test(alert_delivery, it_is_given_up_after_days_and_the_next_comes)
{
    static const struct db_stmt given_up = {
        "SELECT count(*) FROM notification WHERE done AND error <> ''"};

    stage_route("");
    stage.status = 500;
    OK(stage_drift("a"));
    stage_deliver();
    OK(stage_clear("a"));
    stage.moved_ms = DELIVERY_GIVE_UP_MS + 1000;
    stage.status = 0;
    stage_deliver();
    cr_expect_eq(stage.heard_count, 2, "an answer is still an answer");
    stage.status = 500;
    OK(stage_drift("b"));
    stage.moved_ms += DELIVERY_GIVE_UP_MS + 1000; /* it waited, but was not tried */
    stage_deliver();
    cr_expect_eq(fixture_number(&stage.f, &given_up), 0);
    stage.moved_ms += DELIVERY_GIVE_UP_MS + 1000;
    stage_deliver();
    cr_expect_eq(stage.heard_count, 2);
    cr_expect_eq(fixture_number(&stage.f, &given_up), 1);
}

Test(alert_delivery, two_threads_send_nothing_twice)
{
    static const struct db_stmt waiting = {
        "SELECT count(*) FROM notification WHERE NOT done AND kind = 'change'"};
    char endpoint[20];

    stage_route(",\"group_by\":[\"endpoint\"]");
    OK(delivery_start(stage.state.delivery, 4, &stage.f.err));
    for (int i = 0; i < 50; i++) {
        snprintf(endpoint, sizeof(endpoint), "e%d", i);
        OK(stage_drift(endpoint));
    }
    while (fixture_number(&stage.f, &waiting) > 0)
        ;
    cr_expect_eq(stage.heard_count, 50);
}

/* ---- receivers ---- */

static json_t *
test_receiver(const char *fields)
{
    char text[600];

    snprintf(text, sizeof(text), "{\"name\":\"t\",%s}", fields);
    json_decref(stage_ask("PutAlertReceiver", text));
    return stage_ask("TestAlertReceiver", "{\"name\":\"t\"}");
}

static bool
delivered(const char *fields, const char **error)
{
    json_t *reply = test_receiver(fields);
    bool yes = json_is_true(json_object_get(reply, "delivered"));

    *error = arena_strdup(stage.f.arena, json_string_value(json_object_get(reply, "error")));
    json_decref(reply);
    return yes;
}

Test(alert_delivery, a_receiver_can_be_tried)
{
    const char *error;
    char fields[300];

    snprintf(fields, sizeof(fields),
             "\"type\":\"webhook\",\"url\":\"%s/try\",\"authorization\":\"Bearer x\"", stage.url);
    cr_expect(delivered(fields, &error), "%s", error);
    cr_assert_eq(stage.heard_count, 1);
    cr_expect_str_eq(stage.heard[0].path, "/try");
    cr_expect_str_eq(stage.heard[0].authorization, "Bearer x");
    snprintf(fields, sizeof(fields), "\"type\":\"alertmanager\",\"url\":\"%s/am/\"", stage.url);
    cr_expect(delivered(fields, &error), "%s", error);
    cr_expect_str_eq(stage.heard[1].path, "/am/api/v2/alerts");
    cr_expect(delivered("\"type\":\"log\"", &error));
    stage.status = 500;
    cr_expect_not(delivered(fields, &error));
    cr_expect(strstr(error, "HTTP status 500"), "%s", error);
    cr_expect_not(delivered("\"type\":\"email\",\"to\":[\"a@example.com\"]", &error));
    cr_expect(strstr(error, "ALERT_SMTP_URL"), "%s", error);
}

Test(alert_delivery, a_redirect_is_not_followed)
{
    const char *error;
    char fields[300];

    stage.status = 302;
    snprintf(fields, sizeof(fields), "\"type\":\"webhook\",\"url\":\"%s/a\"", stage.url);
    cr_expect_not(delivered(fields, &error));
    cr_expect(strstr(error, "302"), "%s", error);
    cr_expect_eq(stage.heard_count, 0);
}

Test(alert_delivery, a_url_does_not_lead_into_the_own_network)
{
    static const char *const hosts[] = {
        "127.0.0.1",          "localhost",  "[::1]", "0.0.0.0",
        "[::ffff:127.0.0.1]", "2130706433", "127.1", "0x7f.1",
    };
    const char *error;
    char fields[300];

    OK(address_list_parse("", &stage.allowed, &stage.f.err));
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        snprintf(fields, sizeof(fields), "\"type\":\"webhook\",\"url\":\"http://%s:%s/\"", hosts[i],
                 strrchr(stage.url, ':') + 1);
        cr_expect_not(delivered(fields, &error), "%s", hosts[i]);
        cr_expect(strstr(error, "not one that may be called"), "%s: %s", hosts[i], error);
    }
    cr_expect_eq(stage.heard_count, 0);
    /* Nor does a proxy of the environment. */
    cr_assert_eq(setenv("http_proxy", stage.url, 1), 0);
    cr_expect_not(delivered("\"type\":\"webhook\",\"url\":\"http://10.0.0.1/\"", &error));
    cr_expect(strstr(error, "not one that may be called"), "%s", error);
    cr_expect_eq(stage.heard_count, 0);
}
