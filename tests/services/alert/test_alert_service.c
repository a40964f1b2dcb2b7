/* SPDX-License-Identifier: Apache-2.0 */
/* test_alert_service.c - rules, alerts and what is configured, on a real database. */
#include "stage.h"

#include "life/life.h"

#include "modelbus/pipeline/v1/events.pb-c.h"
#include "modelbus/registry/v1/events.pb-c.h"

typedef Modelbus__Alert__V1__AlertFired AlertFired;
typedef Modelbus__Alert__V1__AlertResolved AlertResolved;

TestSuite(alert_service, .init = stage_open, .fini = stage_close);

static const char *
text_of(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    return json_is_string(value) ? json_string_value(value) : "(none)";
}

static const char *
value_of(Label **labels, size_t count, const char *key)
{
    const struct labels all = {labels, count};

    return labels_get(&all, key);
}

Test(alert_service, drift_fires_an_alert_and_its_end_resolves_it)
{
    OK(stage_drift("churn"));
    AlertFired *fired = fixture_last(&stage.f, &modelbus__alert__v1__alert_fired__descriptor);
    cr_expect_str_eq(fired->name, "DriftDetected");
    cr_expect_str_eq(fired->severity, "warning");
    cr_expect_str_eq(value_of(fired->labels, fired->n_labels, "endpoint"), "churn");
    cr_expect_str_eq(value_of(fired->labels, fired->n_labels, "workspace"), "default");
    cr_expect_str_eq(fired->event_type, "modelbus.monitoring.v1.DriftDetected");
    cr_expect_str_eq(fired->event_id, "d");
    OK(stage_clear("fraud")); /* of another endpoint */
    cr_expect_eq(fixture_said(&stage.f, "AlertResolved"), 0);
    OK(stage_clear("churn"));
    AlertResolved *resolved =
        fixture_last(&stage.f, &modelbus__alert__v1__alert_resolved__descriptor);
    cr_expect_str_eq(resolved->alert_id, fired->alert_id);
    cr_expect_str_eq(resolved->fingerprint, fired->fingerprint);
    cr_expect_str_eq(resolved->reason, "event");
    OK(stage_clear("churn"));
    cr_expect_eq(fixture_said(&stage.f, "AlertResolved"), 1);
    OK(stage_drift("churn"));
    AlertFired *again = fixture_last(&stage.f, &modelbus__alert__v1__alert_fired__descriptor);
    cr_expect_str_eq(again->fingerprint, fired->fingerprint);
    cr_expect_str_neq(again->alert_id, fired->alert_id);
}

Test(alert_service, the_same_labels_are_the_same_alert)
{
    OK(stage_drift("churn"));
    OK(stage_drift("churn"));
    OK(stage_drift("fraud"));
    cr_expect_eq(fixture_said(&stage.f, "AlertFired"), 2);
    json_t *reply = stage_ask("ListAlerts", "{}");
    json_t *alerts = json_object_get(reply, "alerts");
    cr_assert_eq(json_array_size(alerts), 2);
    const json_t *churn = json_array_get(alerts, 1);
    cr_expect_eq(json_integer_value(json_object_get(churn, "events")), 2);
    cr_expect_str_eq(text_of(churn, "state"), "firing");
    json_decref(reply);
}

Test(alert_service, a_pod_that_falls_back_has_not_loaded)
{
    Modelbus__Serving__V1__ModelLoaded loaded = MODELBUS__SERVING__V1__MODEL_LOADED__INIT;

    OK(stage_load_failed("churn"));
    loaded.endpoint = "churn";
    loaded.fallback = true;
    OK(fixture_hear(&stage.f, "l", &loaded));
    cr_expect_eq(fixture_said(&stage.f, "AlertResolved"), 0);
    loaded.fallback = false;
    OK(fixture_hear(&stage.f, "l", &loaded));
    cr_expect_eq(fixture_said(&stage.f, "AlertResolved"), 1);
}

Test(alert_service, an_old_event_fires_nothing_but_resolves)
{
    OK(stage_drift("churn"));
    stage.settings.max_event_age_s = -1; /* every event is older */
    OK(stage_drift("fraud"));
    OK(stage_clear("churn"));
    cr_expect_eq(fixture_said(&stage.f, "AlertFired"), 1);
    cr_expect_eq(fixture_said(&stage.f, "AlertResolved"), 1);
}

Test(alert_service, time_resolves_what_no_event_does)
{
    Modelbus__Deployment__V1__RolledBack event = MODELBUS__DEPLOYMENT__V1__ROLLED_BACK__INIT;

    event.endpoint = "churn";
    OK(fixture_hear(&stage.f, "r", &event));
    stage_deliver();
    stage.moved_ms = 3500 * 1000;
    stage_deliver();
    cr_expect_eq(fixture_said(&stage.f, "AlertResolved"), 0);
    stage.moved_ms = 3601 * 1000;
    cr_expect_gt(stage_deliver(), 0);
    AlertResolved *resolved =
        fixture_last(&stage.f, &modelbus__alert__v1__alert_resolved__descriptor);
    cr_expect_str_eq(resolved->reason, "time");
}

static enum err_code
decided(const char *model, bool promoted)
{
    Modelbus__Registry__V1__PromotionDecided event =
        MODELBUS__REGISTRY__V1__PROMOTION_DECIDED__INIT;

    event.model_name = (char *)model;
    event.alias = "champion";
    event.challenger = 8;
    event.champion = 7;
    event.promoted = promoted;
    event.window = "may";
    event.reason = "auc 0.9 is not better than 0.92";
    return fixture_hear(&stage.f, "p", &event);
}

Test(alert_service, a_challenger_that_lost_fires_until_one_wins)
{
    OK(decided("churn", true));
    cr_expect_eq(fixture_said(&stage.f, "AlertFired"), 0);
    OK(decided("churn", false));
    const AlertFired *fired = fixture_last(&stage.f, &modelbus__alert__v1__alert_fired__descriptor);
    cr_expect_str_eq(fired->name, "ChallengerLost");
    cr_expect_str_eq(fired->severity, "warning");
    cr_expect_str_eq(value_of(fired->labels, fired->n_labels, "model"), "churn");
    cr_expect_str_eq(value_of(fired->labels, fired->n_labels, "alias"), "champion");
    cr_expect_str_eq(value_of(fired->annotations, fired->n_annotations, "summary"),
                     "version 8 of churn did not take the alias champion from version 7");
    cr_expect_str_eq(value_of(fired->annotations, fired->n_annotations, "description"),
                     "auc 0.9 is not better than 0.92, on window may");
    OK(decided("fraud", true));
    cr_expect_eq(fixture_said(&stage.f, "AlertResolved"), 0, "that was another model");
    OK(decided("churn", true));
    cr_expect_eq(fixture_said(&stage.f, "AlertResolved"), 1);
    OK(decided("churn", false));
    stage_deliver();
    stage.moved_ms = 86401 * INT64_C(1000);
    cr_expect_gt(stage_deliver(), 0);
    cr_expect_eq(fixture_said(&stage.f, "AlertResolved"), 2, "or after a day");
}

static enum err_code
finished(const char *pipeline, const char *status)
{
    Modelbus__Pipeline__V1__PipelineFinished event =
        MODELBUS__PIPELINE__V1__PIPELINE_FINISHED__INIT;

    event.run = "r1";
    event.pipeline = (char *)pipeline;
    event.status = (char *)status;
    event.reason = "train failed: exit code 1";
    return fixture_hear(&stage.f, "p", &event);
}

Test(alert_service, a_run_that_failed_is_told_until_one_succeeds)
{
    OK(finished("nightly", "cancelled"));
    cr_expect_eq(fixture_said(&stage.f, "AlertFired"), 0);
    OK(finished("nightly", "failed"));
    const AlertFired *fired = fixture_last(&stage.f, &modelbus__alert__v1__alert_fired__descriptor);
    cr_expect_str_eq(fired->name, "PipelineFailed");
    cr_expect_str_eq(value_of(fired->annotations, fired->n_annotations, "description"),
                     "train failed: exit code 1");
    OK(finished("hourly", "succeeded"));
    cr_expect_eq(fixture_said(&stage.f, "AlertResolved"), 0, "that was another pipeline");
    OK(finished("nightly", "succeeded"));
    cr_expect_eq(fixture_said(&stage.f, "AlertResolved"), 1);
}

Test(alert_service, a_workspace_sees_its_own_only)
{
    OK(stage_drift("churn"));
    const char *id = stage_alert_id("churn");
    char request[100];

    snprintf(request, sizeof(request), "{\"id\":\"%s\"}", id);
    stage.f.workspace = "lab";
    json_t *reply = stage_ask("ListAlerts", "{}");
    cr_expect_eq(json_array_size(json_object_get(reply, "alerts")), 0);
    json_decref(reply);
    FAILS(ERR_NOT_FOUND, stage_call("GetAlert", request, NULL));
    FAILS(ERR_NOT_FOUND, stage_call("AcknowledgeAlert", request, NULL));
    OK(stage_drift("churn"));
    stage.f.workspace = "default";
    reply = stage_ask("ListAlerts", "{}");
    cr_expect_eq(json_array_size(json_object_get(reply, "alerts")), 1);
    json_decref(reply);
}

Test(alert_service, an_own_rule_fires_on_conditions)
{
    json_decref(stage_ask("PutAlertRule",
                          "{\"name\":\"Busy\",\"event\":\"ServingStats\",\"when\":"
                          "[\"shed > 10\",\"endpoint ~ churn-*\"],\"severity\":\"critical\","
                          "\"labels\":[{\"key\":\"endpoint\",\"value\":\"{endpoint}\"}],"
                          "\"resolve_on\":\"ServingStats\",\"resolve_when\":[\"shed = 0\"]}"));
    Modelbus__Serving__V1__ServingStats stats = MODELBUS__SERVING__V1__SERVING_STATS__INIT;
    stats.endpoint = "churn-eu";
    stats.shed = 10;
    OK(fixture_hear(&stage.f, "s", &stats));
    cr_expect_eq(fixture_said(&stage.f, "AlertFired"), 0);
    stats.shed = 11;
    OK(fixture_hear(&stage.f, "s", &stats));
    cr_expect_eq(fixture_said(&stage.f, "AlertFired"), 1);
    stats.endpoint = "fraud";
    OK(fixture_hear(&stage.f, "s", &stats));
    cr_expect_eq(fixture_said(&stage.f, "AlertFired"), 1);
    stats.endpoint = "churn-eu";
    stats.shed = 0;
    OK(fixture_hear(&stage.f, "s", &stats));
    cr_expect_eq(fixture_said(&stage.f, "AlertResolved"), 1);
}

Test(alert_service, a_rule_that_is_built_in_can_be_disabled_and_comes_back)
{
    static const char own[] = "{\"name\":\"DriftDetected\"}";

    FAILS(ERR_PRECONDITION, stage_call("DeleteAlertRule", own, NULL));
    json_decref(stage_ask("PutAlertRule", "{\"name\":\"DriftDetected\",\"event\":"
                                          "\"DriftDetected\",\"disabled\":true}"));
    OK(stage_drift("churn"));
    cr_expect_eq(fixture_said(&stage.f, "AlertFired"), 0);
    json_decref(stage_ask("DeleteAlertRule", own));
    OK(stage_drift("churn"));
    cr_expect_eq(fixture_said(&stage.f, "AlertFired"), 1);
    FAILS(ERR_NOT_FOUND, stage_call("DeleteAlertRule", "{\"name\":\"Nothing\"}", NULL));
}

Test(alert_service, alerts_of_a_rule_that_is_gone_are_resolved)
{
    json_decref(stage_ask("PutAlertRule", "{\"name\":\"Own\",\"event\":\"DriftDetected\"}"));
    OK(stage_drift("churn"));
    cr_expect_eq(fixture_said(&stage.f, "AlertFired"), 2);
    json_decref(stage_ask("DeleteAlertRule", "{\"name\":\"Own\"}"));
    AlertResolved *resolved =
        fixture_last(&stage.f, &modelbus__alert__v1__alert_resolved__descriptor);
    cr_expect_str_eq(resolved->name, "Own");
    cr_expect_str_eq(resolved->reason, "rule removed");
    cr_expect_eq(fixture_said(&stage.f, "AlertResolved"), 1);
}

Test(alert_service, wrong_rules_are_refused)
{
    static const char *const rows[][2] = {
        {"{\"name\":\"a b\",\"event\":\"DriftDetected\"}", "name"},
        {"{\"name\":\"R\",\"event\":\"DriftDetect\"}", "did you mean DriftDetected"},
        {"{\"name\":\"R\",\"event\":\"PredictionsLogged\"}", "topic predictions"},
        {"{\"name\":\"R\",\"event\":\"DriftDetected\",\"when\":[\"x > 1\"]}", "no field 'x'"},
        {"{\"name\":\"R\",\"event\":\"DriftDetected\",\"resolve_after_s\":-1}", "resolve_after_s"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        FAILS(ERR_INVALID, stage_call("PutAlertRule", rows[i][0], NULL));
        cr_expect(strstr(stage.f.err.message, rows[i][1]), "%s", stage.f.err.message);
    }
    FAILS(ERR_PRECONDITION,
          stage_call("PutAlertRoute", "{\"name\":\"r\",\"receivers\":[\"nobody\"]}", NULL));
}

Test(alert_service, what_a_workspace_configures_is_bounded)
{
    CLEANUP(buf_done) struct buf text = {0};
    enum err_code code = ERR_OK;

    for (int rule = 0; rule < 30 && !code; rule++) {
        buf_clear(&text);
        buf_printf(&text, "{\"name\":\"r%d\",\"event\":\"DriftDetected\",\"annotations\":[", rule);
        for (int i = 0; i < ALERT_LABELS_MAX; i++)
            buf_printf(&text, "%s{\"key\":\"a%d\",\"value\":\"%01900d\"}", i ? "," : "", i, 0);
        buf_str(&text, "]}");
        code = stage_call("PutAlertRule", text.data, NULL);
    }
    FAILS(ERR_PRECONDITION, code);
    cr_expect(strstr(stage.f.err.message, "larger than"), "%s", stage.f.err.message);
    json_decref(stage_ask("ListAlertRules", "{}"));
}

Test(alert_service, a_receiver_that_a_route_needs_stays)
{
    stage_route("");
    FAILS(ERR_PRECONDITION, stage_call("DeleteAlertReceiver", "{\"name\":\"hook\"}", NULL));
    json_decref(stage_ask("DeleteAlertRoute", "{\"name\":\"all\"}"));
    json_decref(stage_ask("DeleteAlertReceiver", "{\"name\":\"hook\"}"));
}

Test(alert_service, secrets_are_not_shown)
{
    json_decref(stage_ask(
        "PutAlertReceiver",
        "{\"name\":\"a\",\"type\":\"slack\",\"url\":\"https://hooks.example/T/s3cret\"}"));
    json_t *reply = stage_ask("PutAlertReceiver",
                              "{\"name\":\"b\",\"type\":\"webhook\",\"url\":\"https://x.example\","
                              "\"authorization\":\"Bearer s3cret\"}");
    char *text = json_dumps(reply, 0);
    cr_expect_null(strstr(text, "s3cret"));
    free(text);
    json_decref(reply);
    reply = stage_ask("ListAlertReceivers", "{}");
    text = json_dumps(reply, 0);
    cr_expect_null(strstr(text, "s3cret"));
    cr_expect(strstr(text, "https://hooks.example/(set)"));
    free(text);
    json_decref(reply);
}

Test(alert_service, alerts_are_listed_by_pages)
{
    char endpoint[20];
    size_t seen = 0;
    char request[9000] = "{\"page\":{\"page_size\":2}}";

    for (int i = 0; i < 5; i++) {
        snprintf(endpoint, sizeof(endpoint), "e%d", i);
        OK(stage_drift(endpoint));
    }
    OK(stage_clear("e0"));
    for (int pages = 0; pages < 4; pages++) {
        json_t *reply = stage_ask("ListAlerts", request);
        seen += json_array_size(json_object_get(reply, "alerts"));
        char *token = arena_strdup(stage.f.arena, text_of(reply, "next_page_token"));
        json_decref(reply);
        if (!*token)
            break;
        snprintf(request, sizeof(request), "{\"page\":{\"page_size\":2,\"page_token\":\"%s\"}}",
                 token);
    }
    cr_expect_eq(seen, 4);
    json_t *reply = stage_ask("ListAlerts", "{\"include_resolved\":true}");
    cr_expect_eq(json_array_size(json_object_get(reply, "alerts")), 5);
    json_decref(reply);
}

Test(alert_service, silences_are_made_listed_and_ended)
{
    char request[100];

    FAILS(ERR_INVALID, stage_call("CreateSilence", "{\"duration_s\":60}", NULL));
    FAILS(ERR_INVALID, stage_call("CreateSilence", "{\"match\":[\"a = 1\"]}", NULL));
    FAILS(ERR_INVALID,
          stage_call("CreateSilence", "{\"match\":[\"a > 1\"],\"duration_s\":60}", NULL));
    json_t *reply =
        stage_ask("CreateSilence", "{\"match\":[\"endpoint = churn\"],\"duration_s\":60}");
    const json_t *silence = json_object_get(reply, "silence");
    cr_expect_str_eq(text_of(silence, "created_by"), "user:ann");
    snprintf(request, sizeof(request), "{\"id\":\"%s\"}", text_of(silence, "id"));
    json_decref(reply);
    reply = stage_ask("ListSilences", "{}");
    cr_expect_eq(json_array_size(json_object_get(reply, "silences")), 1);
    json_decref(reply);
    json_decref(stage_ask("DeleteSilence", request));
    reply = stage_ask("ListSilences", "{}");
    cr_expect_eq(json_array_size(json_object_get(reply, "silences")), 0);
    json_decref(reply);
    reply = stage_ask("ListSilences", "{\"include_expired\":true}");
    cr_expect_eq(json_array_size(json_object_get(reply, "silences")), 1);
    json_decref(reply);
    FAILS(ERR_NOT_FOUND,
          stage_call("DeleteSilence", "{\"id\":\"00000000-0000-7000-8000-000000000000\"}", NULL));
}

Test(alert_service, people_acknowledge_and_resolve)
{
    char request[200];

    OK(stage_drift("churn"));
    snprintf(request, sizeof(request), "{\"id\":\"%s\",\"comment\":\"looking\"}",
             stage_alert_id("churn"));
    json_t *reply = stage_ask("AcknowledgeAlert", request);
    cr_expect_str_eq(text_of(json_object_get(reply, "alert"), "acknowledged_by"), "user:ann");
    cr_expect_str_eq(text_of(json_object_get(reply, "alert"), "comment"), "looking");
    json_decref(reply);
    snprintf(request, sizeof(request), "{\"id\":\"%s\"}", stage_alert_id("churn"));
    reply = stage_ask("ResolveAlert", request);
    cr_expect_str_eq(text_of(json_object_get(reply, "alert"), "resolved_by"), "user:ann");
    json_decref(reply);
    FAILS(ERR_PRECONDITION, stage_call("ResolveAlert", request, NULL));
    FAILS(ERR_PRECONDITION, stage_call("AcknowledgeAlert", request, NULL));
    FAILS(ERR_INVALID, stage_call("GetAlert", "{\"id\":\"x\"}", NULL));
}

Test(alert_service, what_is_over_is_forgotten_after_its_time)
{
    static const struct db_stmt count = {
        "SELECT (SELECT count(*) FROM alert) + (SELECT count(*) FROM notification)"
        " + (SELECT count(*) FROM notification_alert) + (SELECT count(*) FROM silence)"};
    struct store store = {.workspace = "", .arena = stage.f.arena};
    int64_t later_ms = life_now_ms() + 1000;

    stage_route("");
    OK(stage_drift("churn"));
    json_decref(stage_ask("CreateSilence", "{\"match\":[\"a = 1\"],\"duration_s\":1}"));
    stage_deliver();
    OK(db_borrow(stage.f.service.db, &store.db, &stage.f.err));
    OK(store_prune(&store, later_ms, &stage.f.err));
    cr_expect_geq(fixture_number(&stage.f, &count), 3, "an alert that fires stays");
    OK(stage_clear("churn"));
    stage_deliver();
    OK(store_prune(&store, later_ms + 60000, &stage.f.err));
    cr_expect_eq(fixture_number(&stage.f, &count), 0);
    db_return(store.db);
}
