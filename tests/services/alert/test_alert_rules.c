/* SPDX-License-Identifier: Apache-2.0 */
/* test_alert_rules.c - labels, matchers, templates, conditions, routes, muting, the rules file. */
#include "fields.h"
#include "layers.h"

#include "modelbus/deployment/v1/events.pb-c.h"
#include "modelbus/monitoring/v1/events.pb-c.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OK(call) cr_assert_eq(call, ERR_OK, "%s: %s", #call, err.message)
#define DRIFT (&modelbus__monitoring__v1__drift_detected__descriptor)

static struct err err;
static struct arena *arena;

static void
set_up(void)
{
    arena = arena_new(0, 0);
}

static void
tear_down(void)
{
    arena_free(arena);
}

TestSuite(alert_rules, .init = set_up, .fini = tear_down);

/* "a=1,b=2" */
static struct labels
labels(const char *text)
{
    struct labels all = {arena_alloc(arena, 10 * sizeof(Label *)), 0};
    char *copy = arena_strdup(arena, text), *save = NULL;

    for (char *p = strtok_r(copy, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
        Label *label = all.items[all.count++] = arena_alloc(arena, sizeof(*label));
        modelbus__alert__v1__label__init(label);
        label->key = p;
        label->value = strchr(p, '=') + 1;
        *strchr(p, '=') = '\0';
    }
    labels_sort(&all);
    return all;
}

static Alert *
alert(const char *text)
{
    struct labels all = labels(text);
    Alert *a = arena_alloc(arena, sizeof(*a));

    modelbus__alert__v1__alert__init(a);
    a->labels = all.items;
    a->n_labels = all.count;
    a->fingerprint = arena_alloc(arena, ALERT_FINGERPRINT_LEN + 1);
    labels_fingerprint(&all, a->fingerprint);
    return a;
}

static bool
matches(const char *matcher, const char *text)
{
    struct labels all = labels(text);
    char *texts[] = {(char *)matcher};

    OK(matchers_check("match", texts, 1, &err));
    return matchers_hold(texts, 1, &all);
}

Test(alert_rules, the_label_set_is_the_identity_whatever_its_order)
{
    cr_expect_str_eq(alert("a=1,b=2")->fingerprint, alert("b=2,a=1")->fingerprint);
    cr_expect_str_neq(alert("a=1,b=2")->fingerprint, alert("a=1,b=3")->fingerprint);
    cr_expect_str_neq(alert("a=1b,c=2")->fingerprint, alert("a=1,bc=2")->fingerprint);
    cr_expect_eq(strlen(alert("a=1")->fingerprint), ALERT_FINGERPRINT_LEN);
}

Test(alert_rules, matchers_compare_labels)
{
    static const struct {
        const char *matcher;
        bool holds;
    } rows[] = {
        {"endpoint = churn", true},
        {"endpoint=churn", true},
        {"  endpoint   =  churn  ", true},
        {"endpoint = fraud", false},
        {"endpoint != fraud", true},
        {"endpoint != churn", false},
        {"endpoint ~ ch*", true},
        {"endpoint ~ *rn", true},
        {"endpoint ~ c*u*n", true},
        {"endpoint ~ c*x*n", false},
        {"endpoint ~ fraud|churn", true},
        {"endpoint ~ fraud|spam", false},
        {"endpoint ~ *", true},
        {"endpoint ~ churn.*", false},
        {"endpoint !~ test-*", true},
        {"endpoint !~ ch*|x", false},
        {"missing = ", true},
        {"missing != x", true},
        {"missing ~ *", true},
        {"endpoint = ", false},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        cr_expect_eq(matches(rows[i].matcher, "endpoint=churn,severity=info"), rows[i].holds, "%s",
                     rows[i].matcher);
}

Test(alert_rules, a_hostile_pattern_takes_no_time)
{
    char pattern[MATCHER_MAX] = "a ~ ", value[1100] = "a=";

    for (int i = 0; i < 200; i++)
        strcat(pattern, "*a");
    strcat(pattern, "*b");
    memset(value + 2, 'a', 1000);
    cr_expect_not(matches(pattern, value));
}

Test(alert_rules, wrong_matchers_are_named)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"", "does not begin with a name"},
        {"= x", "does not begin with a name"},
        {"1a = x", "does not begin with a name"},
        {"a", "after the name"},
        {"a like b", "after the name"},
        {"a =~ b.*", "regular expressions"},
        {"a > 3", "labels are texts"},
        {"a.b = 3", "name of a label"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *texts[] = {(char *)rows[i].text};
        cr_expect_eq(matchers_check("match", texts, 1, &err), ERR_INVALID, "%s", rows[i].text);
        cr_expect(strstr(err.message, rows[i].says) && strstr(err.message, "match[0]"), "%s: %s",
                  rows[i].text, err.message);
    }
}

/* ---- fields of events ---- */

static Modelbus__Monitoring__V1__DriftDetected drift;

static const ProtobufCMessage *
drifted(void)
{
    static Modelbus__Monitoring__V1__ColumnVerdict columns[2];
    static Modelbus__Monitoring__V1__ColumnVerdict *list[] = {&columns[0], &columns[1]};
    static Modelbus__Monitoring__V1__Window window;

    for (int i = 0; i < 2; i++)
        modelbus__monitoring__v1__column_verdict__init(&columns[i]);
    columns[0].column = "age";
    columns[0].score = 0.25;
    columns[1].column = "in{come";
    modelbus__monitoring__v1__window__init(&window);
    window.rows = UINT64_MAX;
    modelbus__monitoring__v1__drift_detected__init(&drift);
    drift.endpoint = "churn";
    drift.model_name = "m";
    drift.version = -3;
    drift.drifted = 2;
    drift.checked = 30;
    drift.window = &window;
    drift.columns = list;
    drift.n_columns = 2;
    return &drift.base;
}

Test(alert_rules, templates_have_fields_of_every_kind)
{
    static const struct {
        const char *template, *text;
    } rows[] = {
        {"plain", "plain"},
        {"{endpoint}: {drifted} of {checked}", "churn: 2 of 30"},
        {"{version}/{window.rows}", "-3/18446744073709551615"},
        {"{columns.column} {columns.score}", "age, in{come 0.25, 0"},
        {"{{{endpoint}}", "{churn}"},
        {"", ""},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        OK(template_check(DRIFT, rows[i].template, false, &err));
        cr_expect_str_eq(template_expand(drifted(), rows[i].template, 1000, arena), rows[i].text);
    }
    drifted();
    drift.window = NULL;
    cr_expect_str_eq(template_expand(&drift.base, "<{window.rows}>", 1000, arena), "<>");
    drift.endpoint = "\xc3\xa9\xc3\xa9\xc3\xa9";
    cr_expect_str_eq(template_expand(&drift.base, "{endpoint}", 5, arena), "\xc3\xa9\xc3\xa9");
}

Test(alert_rules, wrong_templates_are_named)
{
    static const struct {
        const char *template, *says;
        bool identity;
    } rows[] = {
        {"{endpont}", "did you mean endpoint", false}, {"{window}", "is a message", false},
        {"{endpoint.x}", "has no fields", false},      {"{endpoint", "{field} is expected", false},
        {"{}", "{field} is expected", false},          {"{columns.score}", "annotations", true},
        {"{columns.column}", "a list", true},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        cr_expect_eq(template_check(DRIFT, rows[i].template, rows[i].identity, &err), ERR_INVALID);
        cr_expect(strstr(err.message, rows[i].says), "%s: %s", rows[i].template, err.message);
    }
}

Test(alert_rules, conditions_compare_fields)
{
    static const struct {
        const char *condition;
        bool holds;
    } rows[] = {
        {"drifted > 1", true},      {"drifted >= 2", true},    {"drifted < 2", false},
        {"drifted <= 2", true},     {"version < -2.5", true},  {"version = -3", true},
        {"endpoint = churn", true}, {"endpoint ~ f*", false},  {"endpoint !~ f*", true},
        {"drifted > 1e0", true},    {"window.rows > 1", true}, {"endpoint != churn", false},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        OK(condition_check(DRIFT, rows[i].condition, &err));
        cr_expect_eq(condition_holds(drifted(), rows[i].condition), rows[i].holds, "%s",
                     rows[i].condition);
    }
    cr_expect_eq(condition_check(DRIFT, "endpoint > 3", &err), ERR_INVALID);
    cr_expect_eq(condition_check(DRIFT, "drifted > many", &err), ERR_INVALID);
    cr_expect_eq(condition_check(DRIFT, "columns.column = age", &err), ERR_INVALID);
    cr_expect_eq(condition_check(DRIFT, "driftd > 3", &err), ERR_INVALID);
}

/* ---- routes, groups, muting ---- */

static AlertRoute *
route(const char *name, char *match, char *group_by)
{
    AlertRoute *r = arena_alloc(arena, sizeof(*r));

    modelbus__alert__v1__alert_route__init(r);
    r->name = (char *)name;
    r->match = arena_memdup(arena, &match, sizeof(match));
    r->n_match = match != NULL;
    r->group_by = arena_memdup(arena, &group_by, sizeof(group_by));
    r->n_group_by = group_by != NULL;
    return r;
}

Test(alert_rules, the_first_route_that_matches_takes_an_alert)
{
    AlertRoute *routes[] = {route("a", "severity = critical", NULL), route("b", NULL, NULL)};
    struct labels critical = labels("severity=critical"), info = labels("severity=info");

    cr_expect_str_eq(route_of(routes, 2, &critical)->name, "a");
    cr_expect_str_eq(route_of(routes, 2, &info)->name, "b");
    cr_expect_null(route_of(routes, 1, &info));
    cr_expect_eq(route_repeat_ms(NULL), 4 * 3600 * 1000);
}

static const char *
key_of(const AlertRoute *r, const char *text)
{
    struct labels all = labels(text), group = group_labels(r, &all, arena);

    return group_key(r, &group, arena);
}

Test(alert_rules, alerts_are_grouped_by_labels)
{
    cr_expect_str_eq(key_of(NULL, "alertname=A,x=1"), "/{alertname=\"A\"}");
    cr_expect_str_eq(key_of(route("r", NULL, NULL), "alertname=A,x=1"), "r/{alertname=\"A\"}");
    cr_expect_str_eq(key_of(route("r", NULL, "x"), "alertname=A,x=\"1"), "r/{x=\"\\\"1\"}");
    cr_expect_str_eq(key_of(route("r", NULL, "y"), "alertname=A,x=1"), "r/{}");
    cr_expect_str_eq(key_of(route("r", NULL, "..."), "alertname=A,x=1"),
                     "r/{alertname=\"A\",x=\"1\"}");
}

Test(alert_rules, a_firing_alert_inhibits_those_with_equal_labels)
{
    char *source[] = {"severity = critical"}, *target[] = {"severity = warning"},
         *equal[] = {"endpoint"};
    AlertInhibition rule = MODELBUS__ALERT__V1__ALERT_INHIBITION__INIT, *rules[] = {&rule};
    Alert *firing[] = {alert("severity=critical,endpoint=a")};

    rule.source = source;
    rule.target = target;
    rule.equal = equal;
    rule.n_source = rule.n_target = rule.n_equal = 1;
    cr_expect(inhibited(rules, 1, firing, 1, alert("severity=warning,endpoint=a")));
    cr_expect_not(inhibited(rules, 1, firing, 1, alert("severity=warning,endpoint=b")));
    cr_expect_not(inhibited(rules, 1, firing, 1, alert("severity=info,endpoint=a")));
    cr_expect_not(inhibited(rules, 1, firing, 0, alert("severity=warning,endpoint=a")));
    target[0] = "endpoint = a"; /* the source itself is not inhibited */
    cr_expect_not(inhibited(rules, 1, firing, 1, firing[0]));
}

Test(alert_rules, a_silence_ends)
{
    char *match[] = {"endpoint = a"};
    Silence silence = MODELBUS__ALERT__V1__SILENCE__INIT, *silences[] = {&silence};
    struct labels a = labels("endpoint=a"), b = labels("endpoint=b");

    silence.match = match;
    silence.n_match = 1;
    silence.ends_at_ms = 1000;
    cr_expect_eq(silenced_until(silences, 1, &a, 999), 1000);
    cr_expect_eq(silenced_until(silences, 1, &a, 1000), 0);
    cr_expect_eq(silenced_until(silences, 1, &b, 999), 0);
}

Test(alert_rules, attempts_back_off_to_five_minutes)
{
    cr_expect_eq(delivery_backoff_ms(1, 0), 1000);
    cr_expect_eq(delivery_backoff_ms(2, 0), 2000);
    cr_expect_eq(delivery_backoff_ms(4, 0), 8000);
    cr_expect_eq(delivery_backoff_ms(100, 0), 300000);
    cr_expect_eq(delivery_backoff_ms(INT64_MAX, 0.999), 300000 - 74925);
    cr_expect_geq(delivery_backoff_ms(1, 0.9999), 750);
}

/* ---- what is configured ---- */

Test(alert_rules, what_is_put_has_the_fields_of_what_is_kept)
{
    static const ProtobufCMessageDescriptor *const puts[ENTRY_KINDS] = {
        [ENTRY_RULE] = &modelbus__alert__v1__put_alert_rule_request__descriptor,
        [ENTRY_RECEIVER] = &modelbus__alert__v1__put_alert_receiver_request__descriptor,
        [ENTRY_ROUTE] = &modelbus__alert__v1__put_alert_route_request__descriptor,
        [ENTRY_INHIBITION] = &modelbus__alert__v1__put_alert_inhibition_request__descriptor,
    };

    for (int kind = 0; kind < ENTRY_KINDS; kind++) {
        const ProtobufCMessageDescriptor *kept = entry_types[kind].descriptor;
        cr_assert_eq(puts[kind]->n_fields, kept->n_fields - 1);
        cr_assert_str_eq(kept->fields[kept->n_fields - 1].name, "origin");
        for (unsigned i = 0; i < puts[kind]->n_fields; i++) {
            const ProtobufCFieldDescriptor *a = &puts[kind]->fields[i], *b = &kept->fields[i];
            cr_assert_str_eq(a->name, b->name);
            cr_assert(a->id == b->id && a->type == b->type && a->label == b->label, "%s.%s",
                      kept->short_name, a->name);
        }
    }
}

static enum err_code
parse(const char *text, AlertConfig **config)
{
    return rulebook_parse(text, strlen(text), NULL, arena, config, &err);
}

Test(alert_rules, the_file_has_the_form_of_the_messages)
{
    AlertConfig *c = NULL;

    OK(parse("workspace: lab\n"
             "rules:\n"
             "  - name: Drift\n"
             "    event: DriftDetected\n"
             "    when: [\"drifted > 2\"]\n"
             "    labels: {endpoint: \"{endpoint}\", number: 3}\n"
             "    annotations:\n"
             "      summary: it drifts\n"
             "    resolve_on: DriftCleared\n"
             "receivers:\n"
             "  - {name: hook, type: webhook, url: \"http://example.com/a\"}\n"
             "routes:\n"
             "  - {name: z, match: [\"severity = critical\"], receivers: [hook]}\n"
             "  - {name: a, receivers: [hook], group_by: [endpoint], group_wait_s: 30}\n"
             "inhibitions:\n"
             "  - {name: i, source: [\"a = 1\"], target: [\"b = 2\"], equal: [c]}\n",
             &c));
    cr_expect_str_eq(c->workspace, "lab");
    cr_assert_eq(c->n_rules, 1);
    cr_expect_str_eq(c->rules[0]->when[0], "drifted > 2");
    cr_expect_str_eq(c->rules[0]->labels[1]->key, "number");
    cr_expect_str_eq(c->rules[0]->labels[1]->value, "3");
    cr_expect_str_eq(c->rules[0]->annotations[0]->value, "it drifts");
    cr_expect_eq(c->routes[1]->group_wait_s, 30);
    AlertConfig *merged = rulebook_merge((const AlertConfig *[]){c}, 1, arena);
    cr_expect_str_eq(merged->routes[0]->name, "z", "in the order of the file");
    OK(parse("", &c));
    cr_expect_eq(c->n_rules, 0);
}

Test(alert_rules, the_example_of_the_manual_is_right)
{
    FILE *file = fopen("docs/alerts.md", "r");
    char *page = arena_zalloc(arena, 60000);
    AlertConfig *c = NULL;

    cr_assert(file && fread(page, 1, 59999, file) > 0);
    fclose(file);
    char *yaml = strstr(page, "```yaml\n");
    cr_assert(yaml);
    yaml += 8;
    *strstr(yaml, "```") = '\0';
    OK(parse(yaml, &c));
    cr_expect(c->n_rules && c->n_receivers == 4 && c->n_routes == 2 && c->n_inhibitions == 1);
}

#define RULE "rules:\n  - name: R\n    event: DriftDetected\n"

Test(alert_rules, faults_of_the_file_have_line_and_column)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"rules:\n  - name: R\n    evnt: X\n", "line 3, column 11: rules[0].evnt: no such field"},
        {"rules: 3\n", "line 1, column 8: rules: expected"},
        {"rules:\n\t- a\n", "line 2, column 1: "},
        {"- a\n", "line 1, column 1: "},
        {"a: &x b\nc: *x\n", "line 2, column 4: anchors"},
        {"rules: []\nrules: []\n", "line 2, column 1: the name is given twice"},
        {"rules: []\n---\nrules: []\n", "one document"},
        {"rules:\n  - name: R\n    event: DriftDetcted\n",
         "line 3, column 12: rules[0]: event: there is no event 'DriftDetcted'; did you mean "
         "DriftDetected"},
        {"rules:\n  - name: R\n    event: PredictionsLogged\n", "topic predictions"},
        {"rules:\n  - name: R\n    event: EndpointState\n", "topic endpoint-state"},
        {"rules:\n  - name: R\n    event: AlertFired\n", "topic alert"},
        {"rules:\n  - name: R\n    event: DeadLetter\n", "topic dlq"},
        {RULE "    severity: loud\n", "line 4, column 15: rules[0]: severity: "},
        {RULE "    when:\n      - drifted > 3\n      - endpoint > 3\n",
         "line 6, column 9: rules[0]: when[1]: "},
        {RULE "    labels:\n      a: x\n      b: \"{columns.score}\"\n",
         "line 6, column 10: rules[0]: labels[1]: "},
        {RULE "    labels: {severity: x}\n", "every alert has the label 'severity'"},
        {RULE "    labels: {a: \"{report_id}\"}\n    resolve_on: RolledBack\n",
         "resolve_on must give the same label"},
        {RULE "    annotations: {a: [1]}\n", "line 4, column 22: a text is expected"},
        {RULE "    resolve_when: [\"a = 1\"]\n", "needs resolve_on"},
        {RULE "  - name: R\n    event: RolledBack\n", "line 4, column 11: rules[1]: name: 'R' is"},
        {"receivers:\n  - {name: a, type: webhook, url: \"ftp://x\"}\n",
         "line 2, column 35: receivers[0]: url: "},
        {"receivers:\n  - {name: a, type: email, to: [\"a@b\\r\\nc\"]}\n", "is not an address"},
        {"receivers:\n  - {name: a, type: pager}\n", "receivers[0]: type: "},
        {"receivers:\n  - {name: a, type: log, url: \"http://x\"}\n", "not of a receiver"},
        {"receivers:\n  - {name: a, type: webhook, url: \"http://x\", authorization: \"a\\nb\"}\n",
         "authorization: one line"},
        {"routes:\n  - {name: a, receivers: [nobody]}\n", "there is no receiver 'nobody'"},
        {"routes:\n  - {name: a, receivers: []}\n", "receivers: 1 to"},
        {"receivers:\n  - {name: l, type: log}\nroutes:\n  - {name: a, receivers: [l], "
         "escalate_to: l}\n",
         "goes with escalate_after_s"},
        {"inhibitions:\n  - {name: a, target: [\"a = 1\"]}\n", "source: at least one"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AlertConfig *c;
        enum err_code code = parse(rows[i].text, &c);
        cr_expect(code == ERR_INVALID || code == ERR_PRECONDITION, "%s", rows[i].text);
        cr_expect(strncmp(err.message, "line ", 5) == 0 && strstr(err.message, rows[i].says),
                  "%s: %s, not %s", rows[i].text, err.message, rows[i].says);
    }
}

Test(alert_rules, deep_nesting_is_refused)
{
    CLEANUP(buf_done) struct buf text = {0};
    AlertConfig *c;

    buf_str(&text, "rules: ");
    for (int i = 0; i < 5000; i++)
        buf_char(&text, '[');
    cr_expect_eq(parse(text.data, &c), ERR_INVALID);
    buf_clear(&text);
    for (int i = 0; i < RULEBOOK_TEXT_MAX + 1; i++)
        buf_char(&text, '#');
    cr_expect_eq(parse(text.data, &c), ERR_TOO_LARGE);
}

static char *
write_file(const char *text)
{
    char *path = arena_strdup(arena, "/tmp/alert-rules-XXXXXX");
    int fd = mkstemp(path);

    cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    return path;
}

static void
write_again(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    cr_assert(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static const AlertRule *
rule_named(const AlertConfig *c, const char *name)
{
    for (size_t i = 0; i < c->n_rules; i++)
        if (strcmp(c->rules[i]->name, name) == 0)
            return c->rules[i];
    return NULL;
}

Test(alert_rules, what_is_built_in_is_hidden_by_the_file_and_that_by_the_workspace)
{
    char *path = write_file("rules:\n  - {name: RolledBack, event: RolledBack, severity: info}\n");
    AlertConfig rows = MODELBUS__ALERT__V1__ALERT_CONFIG__INIT;
    AlertRule own = MODELBUS__ALERT__V1__ALERT_RULE__INIT;
    struct layers *layers = NULL;

    OK(layers_open(&layers, path, &err));
    AlertConfig *c = layers_merge(layers, "default", NULL, arena);
    cr_assert_eq(c->n_rules, 6);
    cr_expect_str_eq(rule_named(c, "DriftDetected")->origin, "built in");
    cr_expect_str_eq(rule_named(c, "RolledBack")->origin, "file");
    cr_expect_str_eq(rule_named(c, "RolledBack")->severity, "info");
    cr_expect_not_null(rulebook_receiver(c, "log"));
    c = layers_merge(layers, "other", NULL, arena);
    cr_expect_str_eq(rule_named(c, "RolledBack")->origin, "built in", "the file is for default");
    own.name = "RolledBack";
    own.event = "RolledBack";
    own.origin = "workspace";
    own.disabled = true;
    rulebook_add(&rows, ENTRY_RULE, &own.base, arena);
    c = layers_merge(layers, "default", &rows, arena);
    cr_expect_str_eq(rule_named(c, "RolledBack")->origin, "workspace");
    cr_expect(rule_named(c, "RolledBack")->disabled);

    /* A wrong file changes nothing; a right one is taken over. */
    write_again(path, "rules:\n  - {name: [7]}\n");
    cr_expect_eq(layers_reload(layers, &err), ERR_INVALID);
    cr_expect(strstr(err.message, path) && strstr(err.message, "line 2, column 12"), "%s",
              err.message);
    cr_expect_str_eq(rule_named(layers_merge(layers, "default", NULL, arena), "RolledBack")->origin,
                     "file");
    write_again(path, "rules: []\n");
    OK(layers_reload(layers, &err));
    cr_expect_str_eq(rule_named(layers_merge(layers, "default", NULL, arena), "RolledBack")->origin,
                     "built in");
    unlink(path);
    cr_expect_eq(layers_reload(layers, &err), ERR_NOT_FOUND);
    layers_free(layers);
}

Test(alert_rules, labels_of_a_rule_come_from_the_event)
{
    struct layers *layers = NULL;

    OK(layers_open(&layers, NULL, &err));
    AlertConfig *c = layers_merge(layers, "default", NULL, arena);
    const AlertRule *rule = rule_named(c, "DriftDetected");
    cr_expect(rule_fires(rule, event_type_named("DriftDetected"), drifted()));
    cr_expect_not(rule_resolves(rule, event_type_named("DriftDetected"), drifted()));
    struct labels all = rule_labels(rule, drifted(), "default", arena);
    cr_assert_eq(all.count, 5);
    cr_expect_str_eq(labels_get(&all, "alertname"), "DriftDetected");
    cr_expect_str_eq(labels_get(&all, "severity"), "warning");
    cr_expect_str_eq(labels_get(&all, "endpoint"), "churn");
    struct labels notes = rule_annotations(rule, drifted(), arena);
    cr_expect_str_eq(labels_get(&notes, "description"), "2 of 30 columns drifted: age, in{come");
    layers_free(layers);
}
