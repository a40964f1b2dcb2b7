/* SPDX-License-Identifier: Apache-2.0 */
/* test_yaml.c - documents become values, and faults get their place. */
#include "yaml/yaml.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const char *const pairs[] = {"labels", NULL};
static const struct yaml_limits limits = {
    .bytes = 4096, .nodes = 64, .depth = 4, .expects = "tasks: …", .pairs = pairs};
static struct err err;

static char *
json_of(const char *text)
{
    CLEANUP(yaml_doc_free) struct yaml_doc *doc = NULL;

    cr_assert_eq(yaml_doc_read(text, strlen(text), &limits, &doc, &err), ERR_OK, "%s", err.message);
    return json_dumps(yaml_doc_value(doc), JSON_COMPACT);
}

#define IS(text, json)                                                                             \
    do {                                                                                           \
        char *got = json_of(text);                                                                 \
        cr_expect_str_eq(got, json);                                                               \
        free(got);                                                                                 \
    } while (0)

Test(yaml, scalars_stay_what_was_written)
{
    IS("a: 007\nb: no\nc: 1.50\nd: true\ne:\nf: ~\ng: \"\"\nh: 'null'\n",
       "{\"a\":\"007\",\"b\":\"no\",\"c\":\"1.50\",\"d\":\"true\",\"e\":null,\"f\":null,\"g\":\"\","
       "\"h\":\"null\"}");
    IS("", "{}");
    IS("# nothing\n", "{}");
}

Test(yaml, json_is_yaml_and_pairs_keep_their_order)
{
    IS("{\"a\": [1, {\"b\": null}]}", "{\"a\":[\"1\",{\"b\":null}]}");
    IS("labels: {z: 1, a: 2, z: 3}",
       "{\"labels\":[{\"key\":\"z\",\"value\":\"1\"},{\"key\":\"a\",\"value\":\"2\"},"
       "{\"key\":\"z\",\"value\":\"3\"}]}");
    IS("x:\n  labels:\n    a: b\n", "{\"x\":{\"labels\":[{\"key\":\"a\",\"value\":\"b\"}]}}");
}

static void
refused(const char *text, enum err_code code, const char *begins)
{
    struct yaml_doc *doc = NULL;

    cr_expect_eq(yaml_doc_read(text, strlen(text), &limits, &doc, &err), code, "%s", text);
    cr_expect_eq(strncmp(err.message, begins, strlen(begins)), 0, "%s: %s", text, err.message);
    cr_expect_null(doc);
}

Test(yaml, faults_have_a_place)
{
    refused("a: 1\na: 2\n", ERR_INVALID, "line 2, column 1: the name is given twice");
    refused("a: [1\n", ERR_INVALID, "line 2, column 1: ");
    refused("- a\n", ERR_INVALID, "line 1, column 1: tasks: … is expected");
    refused("a: &x 1\nb: *x\n", ERR_INVALID, "line 2, column 4: anchors");
    refused("a: {b: {c: {d: {e: 1}}}}\n", ERR_INVALID, "line 1, column 20: too deep");
    refused("a: 1\n---\nb: 2\n", ERR_INVALID, "line 2, column 4: one document");
    refused("[a]: 1\n", ERR_INVALID, "line 1, column 1: ");
    refused("labels: {a: [1]}\n", ERR_INVALID, "line 1, column 13: a text is expected");
}

Test(yaml, bounds)
{
    char text[5000] = "a: [";

    for (int i = 0; i < 100; i++)
        strcat(text, "1,");
    strcat(text, "]");
    refused(text, ERR_TOO_LARGE, "line 1: more than 64 values");
    memset(text, ' ', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    refused(text, ERR_TOO_LARGE, "more than 4096 bytes");
}

Test(yaml, errors_by_path_are_located)
{
    static const char text[] = "tasks:\n  - name: a\n  - name: b\n    needs: [c]\n";
    CLEANUP(yaml_doc_free) struct yaml_doc *doc = NULL;
    static const struct {
        const char *message, *place;
    } rows[] = {
        {"tasks[1].needs[0]: no task 'c'", "line 4, column 13: tasks[1].needs[0]: no"},
        {"tasks[1]: needs[0]: no task 'c'", "line 4, column 13: "},
        {"tasks[1].when: wrong", "line 3, column 5: "},
        {"nothing of it", "line 1, column 1: "},
    };

    cr_assert_eq(yaml_doc_read(text, strlen(text), &limits, &doc, &err), ERR_OK, "%s", err.message);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        err_set(&err, ERR_INVALID, "%s", rows[i].message);
        yaml_doc_locate(doc, &err);
        cr_expect_eq(strncmp(err.message, rows[i].place, strlen(rows[i].place)), 0, "%s",
                     err.message);
    }
}

Test(yaml, what_is_written_reads_as_it_was)
{
    static const char text[] =
        "{\"a\":[\"007\",\"no\",\"\",\"~\",\"- x\",\"a: b\",\"# c\",\"two\\nlines\\n\",\"é\",\" "
        "x\"],\"b\":{\"null\":\"1.5\",\"k\":\"plain\"},\"c\":[],\"d\":{}}";
    CLEANUP(yaml_doc_free) struct yaml_doc *doc = NULL;
    CLEANUP(buf_done) struct buf out = {0};
    json_t *value = json_loads(text, 0, NULL);

    yaml_doc_write(value, &out);
    cr_assert_eq(yaml_doc_read(out.data, out.len, &limits, &doc, &err), ERR_OK, "%s\n%s",
                 err.message, out.data);
    cr_expect(json_equal(value, yaml_doc_value(doc)), "%s", out.data);
    cr_expect(strstr(out.data, "k: plain\n") && strstr(out.data, "- \"007\"\n"), "%s", out.data);
    json_decref(value);
}
