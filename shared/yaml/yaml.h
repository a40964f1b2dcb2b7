/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yaml.h - a YAML document (JSON is YAML too) as a JSON value, and where in it each value stood.
 *
 *     yaml_doc_read(text, len, &limits, &doc, err)
 *     pbjson_from(&type, yaml_doc_value(doc), PBJSON_TEXT, arena, &message, err) … own checks …
 *         on an error: yaml_doc_locate(doc, err)    "line 3, column 7: tasks[0].run: expected …"
 *
 * Scalars are texts as they were written, because YAML's guesses turn 007 into 7 and no into false;
 * null, ~ and nothing are null. One mapping, no anchors and aliases (so no "billion laughs"), no name
 * twice in a mapping, UTF-8. One thread. (libyaml has names like yaml_free() for itself.)
 */
#pragma once

#include "buf/buf.h"
#include "err/err.h"

#include <jansson.h>

struct yaml_limits {
    size_t bytes, nodes, depth; /* past them ERR_TOO_LARGE, or ERR_INVALID with the place (depth) */
    const char *expects;        /* of a document that is no mapping: "rules:, receivers: …" */
    /* Names of mappings that become lists of {"key", "value"} in their order; NULL-ended; NULL: none. */
    const char *const *pairs;
};

struct yaml_doc;
/* *doc is set on success only. ERR_INVALID "line L, column C: …". An empty text is an empty mapping. */
MUST_CHECK enum err_code yaml_doc_read(const char *text, size_t len,
                                       const struct yaml_limits *limits, struct yaml_doc **doc,
                                       struct err *err);
void yaml_doc_free(struct yaml_doc *doc);
CLEANUP_DEFINE(struct yaml_doc, yaml_doc_free)
const json_t *yaml_doc_value(const struct yaml_doc *doc); /* lives as long as doc */

/* Put the place in front of an error whose message begins with a path, as pbjson's do
 * ("rules[2].labels[0]: …", "rules[2]: labels[0]: …"): of the longest part of it that was there. */
void yaml_doc_locate(const struct yaml_doc *doc, struct err *err);

/* Append a JSON value as a YAML document, in its order; texts that would be read as something else are
 * quoted. */
void yaml_doc_write(const json_t *value, struct buf *out);
