/* SPDX-License-Identifier: Apache-2.0 */
/*
 * values.h - bounds of the values that several domains share (proto/modelbus/common/v1).
 *
 * Tags, metrics, artifacts, names: the same limits wherever they come in, by an event or by a
 * query, so that what one service accepted the next one accepts too. Every check is
 * pure; a violation is ERR_INVALID (of an event: poison) with what, the limit and the value
 * in the message. Texts must be UTF-8 without control characters other than
 * tab, newline and carriage return.
 */
#pragma once

#include "err/err.h"

#include "modelbus/common/v1/common.pb-c.h"

typedef Modelbus__Common__V1__Tag Tag;
typedef Modelbus__Common__V1__Metric Metric;
typedef Modelbus__Common__V1__Artifact Artifact;
typedef Modelbus__Common__V1__PageRequest PageRequest;

#define VALUE_NAME_MAX 250         /* bytes: keys, names of runs, experiments, features */
#define VALUE_TEXT_MAX 8000        /* bytes: values of tags and params, descriptions */
#define VALUE_MODEL_NAME_MAX 200   /* bytes */
#define VALUE_TAGS_MAX 100         /* tags, params: of one message */
#define VALUE_METRICS_MAX 1000     /* of one message */
#define VALUE_FEATURES_MAX 4096    /* names */
#define VALUE_FEATURE_BYTES 131072 /* all names together */

/* 0…max bytes of text. */
MUST_CHECK enum err_code value_check_text(const char *what, const char *text, size_t max,
                                          struct err *err);
/* 1…VALUE_NAME_MAX bytes of text without newlines. */
MUST_CHECK enum err_code value_check_name(const char *what, const char *name, struct err *err);
/* ^[A-Za-z0-9_][A-Za-z0-9_ .-]{0,199}$, not ending with a space */
MUST_CHECK enum err_code value_check_model_name(const char *name, struct err *err);
/* ^[A-Za-z_][A-Za-z0-9_-]{0,254}$, neither "latest" nor like a version ("v12") */
MUST_CHECK enum err_code value_check_alias(const char *alias, struct err *err);
/* Names with texts of at most VALUE_TEXT_MAX; at most VALUE_TAGS_MAX; a key once. */
MUST_CHECK enum err_code value_check_tags(const char *what, Tag *const *tags, size_t count,
                                          struct err *err);
/* At most VALUE_METRICS_MAX; step and time not negative. A value may be NaN or infinite. */
MUST_CHECK enum err_code value_check_metrics(Metric *const *metrics, size_t count, struct err *err);
/* artifact NULL is an error when required. */
MUST_CHECK enum err_code value_check_artifact(const char *what, const Artifact *artifact,
                                              bool required, struct err *err);
MUST_CHECK enum err_code value_check_features(char *const *names, size_t count, struct err *err);
