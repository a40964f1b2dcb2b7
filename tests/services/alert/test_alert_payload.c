/* SPDX-License-Identifier: Apache-2.0 */
/* test_alert_payload.c - what receivers are sent. */
#include "payload.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>

#define STARTED_MS INT64_C(1790000000123)

static Label labels[3], notes[2], group_label;
static Label *label_list[] = {&labels[0], &labels[1], &labels[2]},
             *note_list[] = {&notes[0], &notes[1]}, *group_list[] = {&group_label};
static Alert alerts[2];
static Alert *alert_list[] = {&alerts[0], &alerts[1]};
static AlertGroup group;

static Label
label(const char *key, const char *value)
{
    Label l = MODELBUS__ALERT__V1__LABEL__INIT;

    l.key = (char *)key;
    l.value = (char *)value;
    return l;
}

static void
set_up(void)
{
    labels[0] = label("alertname", "DriftDetected");
    labels[1] = label("endpoint", "churn");
    labels[2] = label("severity", "warning");
    notes[0] = label("summary", "it <drifts> & \"more\"\xc3\xa9");
    notes[1] = label("description", "two columns");
    group_label = label("endpoint", "churn");
    for (int i = 0; i < 2; i++) {
        modelbus__alert__v1__alert__init(&alerts[i]);
        alerts[i].id = "0190-id";
        alerts[i].fingerprint = i ? "ffff" : "eeee";
        alerts[i].name = "DriftDetected";
        alerts[i].severity = "warning";
        alerts[i].labels = label_list;
        alerts[i].n_labels = i ? 2 : 3;
        alerts[i].annotations = note_list;
        alerts[i].n_annotations = i ? 0 : 2;
        alerts[i].state = i ? "resolved" : "firing";
        alerts[i].started_at_ms = STARTED_MS;
        alerts[i].resolved_at_ms = i ? STARTED_MS + 60000 : 0;
    }
    modelbus__alert__v1__alert_group__init(&group);
    group.key = "r/{endpoint=\"churn\"}";
    group.labels = group_list;
    group.n_labels = 1;
    group.alerts = alert_list;
    group.n_alerts = 2;
    group.ends_at_ms = STARTED_MS + 3600000;
}

TestSuite(alert_payload, .init = set_up);

static const char *
text_at(const json_t *value, const char *path)
{
    char name[100];

    for (const char *p = path; value && *p;) {
        size_t n = strcspn(p, ".");
        memcpy(name, p, n);
        name[n] = '\0';
        value = json_is_array(value) ? json_array_get(value, strtoul(name, NULL, 10))
                                     : json_object_get(value, name);
        p += n + (p[n] == '.');
    }
    return json_is_string(value) ? json_string_value(value) : "(none)";
}

static json_t *
parsed(const struct buf *body)
{
    json_error_t error;
    json_t *value = json_loadb(body->data, body->len, JSON_REJECT_DUPLICATES, &error);

    cr_assert(value, "%s: %s", error.text, body->data);
    return value;
}

Test(alert_payload, the_webhook_is_alertmanagers_version_4)
{
    CLEANUP(buf_done) struct buf body = {0};

    payload_webhook(&group, "hook", "https://mb.example", &body);
    json_t *v = parsed(&body);
    cr_expect_str_eq(text_at(v, "version"), "4");
    cr_expect_str_eq(text_at(v, "groupKey"), "r/{endpoint=\"churn\"}");
    cr_expect_str_eq(text_at(v, "status"), "firing");
    cr_expect_str_eq(text_at(v, "receiver"), "hook");
    cr_expect_str_eq(text_at(v, "groupLabels.endpoint"), "churn");
    cr_expect_str_eq(text_at(v, "commonLabels.alertname"), "DriftDetected");
    cr_expect_str_eq(text_at(v, "commonLabels.severity"), "(none)");
    cr_expect_eq(json_object_size(json_object_get(v, "commonAnnotations")), 0);
    cr_expect_str_eq(text_at(v, "externalURL"), "https://mb.example");
    cr_expect_eq(json_integer_value(json_object_get(v, "truncatedAlerts")), 0);
    cr_expect_str_eq(text_at(v, "alerts.0.status"), "firing");
    cr_expect_str_eq(text_at(v, "alerts.0.labels.severity"), "warning");
    cr_expect_str_eq(text_at(v, "alerts.0.annotations.summary"), notes[0].value);
    cr_expect_str_eq(text_at(v, "alerts.0.startsAt"), "2026-09-21T14:13:20.123Z");
    cr_expect_str_eq(text_at(v, "alerts.0.endsAt"), "0001-01-01T00:00:00Z");
    cr_expect_str_eq(text_at(v, "alerts.0.fingerprint"), "eeee");
    cr_expect_str_eq(text_at(v, "alerts.0.generatorURL"),
                     "https://mb.example/api/v1/alerts/0190-id");
    cr_expect_str_eq(text_at(v, "alerts.1.status"), "resolved");
    cr_expect_str_eq(text_at(v, "alerts.1.endsAt"), "2026-09-21T14:14:20.123Z");
    json_decref(v);
    alerts[0].state = "resolved";
    cr_expect_str_eq(payload_status(&group), "resolved");
}

Test(alert_payload, an_alertmanager_gets_a_list_of_alerts)
{
    CLEANUP(buf_done) struct buf body = {0};

    payload_alertmanager(&group, "", &body);
    json_t *v = parsed(&body);
    cr_expect_eq(json_array_size(v), 2);
    cr_expect_str_eq(text_at(v, "0.labels.alertname"), "DriftDetected");
    cr_expect_str_eq(text_at(v, "0.endsAt"), "2026-09-21T15:13:20.123Z");
    cr_expect_str_eq(text_at(v, "1.endsAt"), "2026-09-21T14:14:20.123Z");
    cr_expect_str_eq(text_at(v, "0.generatorURL"), "(none)");
    json_decref(v);
}

Test(alert_payload, slack_gets_text_and_blocks_with_its_marks_escaped)
{
    CLEANUP(buf_done) struct buf body = {0};

    payload_slack(&group, "", &body);
    json_t *v = parsed(&body);
    cr_expect_str_eq(text_at(v, "text"), "[FIRING:1] DriftDetected (churn)");
    cr_expect_eq(json_array_size(json_object_get(v, "blocks")), 3);
    cr_expect_str_eq(text_at(v, "blocks.0.type"), "section");
    cr_expect(strstr(text_at(v, "blocks.1.text.text"), "it &lt;drifts&gt; &amp; \"more\"\xc3\xa9"));
    json_decref(v);

    /* A long text is cut between characters, many alerts are counted. */
    char text[6000];
    for (size_t i = 0; i < sizeof(text) - 2; i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    text[sizeof(text) - 2] = '\0';
    notes[0].value = text;
    Alert *many[60];
    for (int i = 0; i < 60; i++)
        many[i] = &alerts[0];
    group.alerts = many;
    group.n_alerts = 60;
    buf_clear(&body);
    payload_slack(&group, "", &body);
    v = parsed(&body);
    json_t *blocks = json_object_get(v, "blocks");
    cr_expect_leq(json_array_size(blocks), 50);
    cr_expect_leq(strlen(text_at(v, "blocks.1.text.text")), 3000);
    cr_expect_str_eq(
        json_string_value(json_object_get(
            json_object_get(json_array_get(blocks, json_array_size(blocks) - 1), "text"), "text")),
        "and 40 more");
    json_decref(v);
}

Test(alert_payload, a_label_cannot_write_headers_of_a_mail)
{
    CLEANUP(buf_done) struct buf body = {0};
    char *to[] = {"a@example.com", "b@example.com"};

    group_label.value = "x\r\nBcc: c@example.com\r\n\r\nhello";
    payload_email(&group, "id-1", "mb@example.com", to, 2, "", STARTED_MS, &body);
    cr_expect_null(strstr(body.data, "Bcc"));
    char *end = strstr(body.data, "\r\n\r\n");
    cr_assert(end);
    cr_expect(strstr(body.data, "Content-Transfer-Encoding: base64") < end);
    cr_expect(strstr(body.data, "To: <a@example.com>,\r\n <b@example.com>\r\n"));
    cr_expect(strstr(body.data, "Message-ID: <id-1@modelbus>\r\n"));
    cr_expect(strstr(body.data, "Subject: =?UTF-8?B?"));
    for (const char *p = body.data; (p = strchr(p, '\n')); p++)
        cr_expect(p[-1] == '\r');
}
