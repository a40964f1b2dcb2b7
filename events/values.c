/* SPDX-License-Identifier: Apache-2.0 */
/* values.c - the bounds of shared values, checked. */
#include "values.h"

#include "artifact/artifact.h"
#include "buf/text.h"

#include <stdlib.h>
#include <string.h>

#define WORD "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"
#define SHOWN 60 /* bytes of a refused value that a message repeats */

static bool
is_text(const char *text, const char *controls)
{
    for (const char *p = text; *p; p++)
        if (((unsigned char)*p < 0x20 && !strchr(controls, *p)) || *p == 0x7f)
            return false;
    return text_utf8_valid(text, strlen(text));
}

enum err_code
value_check_text(const char *what, const char *text, size_t max, struct err *err)
{
    if (strnlen(text, max + 1) > max)
        return err_set(err, ERR_INVALID, "%s: longer than %zu bytes", what, max);
    if (!is_text(text, "\t\n\r"))
        return err_set(err, ERR_INVALID, "%s: not UTF-8 text", what);
    return ERR_OK;
}

enum err_code
value_check_name(const char *what, const char *name, struct err *err)
{
    if (!*name)
        return err_set(err, ERR_INVALID, "%s: empty", what);
    if (strnlen(name, VALUE_NAME_MAX + 1) > VALUE_NAME_MAX)
        return err_set(err, ERR_INVALID, "%s: longer than %d bytes", what, VALUE_NAME_MAX);
    if (!is_text(name, ""))
        return err_set(err, ERR_INVALID, "%s: not UTF-8 text of one line", what);
    return ERR_OK;
}

enum err_code
value_check_model_name(const char *name, struct err *err)
{
    size_t len = strnlen(name, VALUE_MODEL_NAME_MAX + 1);

    if (len == 0 || len > VALUE_MODEL_NAME_MAX || !strchr(WORD, name[0]) ||
        strspn(name, WORD " .-") != len || name[len - 1] == ' ')
        return err_set(err, ERR_INVALID,
                       "model name '%.*s': 1 to %d letters, digits, '_', and after the first "
                       "also ' ', '.', '-'",
                       SHOWN, is_text(name, "") ? name : "?", VALUE_MODEL_NAME_MAX);
    return ERR_OK;
}

enum err_code
value_check_alias(const char *alias, struct err *err)
{
    size_t len = strnlen(alias, 256);
    const char *shown = is_text(alias, "") ? alias : "?";

    if (len == 0 || len > 255 || !strchr(WORD, alias[0]) || strspn(alias, "0123456789") > 0 ||
        strspn(alias, WORD "-") != len)
        return err_set(err, ERR_INVALID,
                       "alias '%.*s': 1 to 255 letters, digits, '_', '-', not starting with a "
                       "digit or '-'",
                       SHOWN, shown);
    if (strcmp(alias, "latest") == 0)
        return err_set(err, ERR_INVALID, "alias 'latest' is reserved");
    if (alias[0] == 'v' && len > 1 && strspn(alias + 1, "0123456789") == len - 1)
        return err_set(err, ERR_INVALID, "alias '%.*s' would read as a version", SHOWN, shown);
    return ERR_OK;
}

static int
by_key(const void *a, const void *b)
{
    return strcmp((*(Tag *const *)a)->key, (*(Tag *const *)b)->key);
}

enum err_code
value_check_tags(const char *what, Tag *const *tags, size_t count, struct err *err)
{
    const Tag *sorted[VALUE_TAGS_MAX];

    if (count > VALUE_TAGS_MAX)
        return err_set(err, ERR_INVALID, "%s: %zu, at most %d", what, count, VALUE_TAGS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (value_check_name(what, tags[i]->key, err))
            return err_wrap(err, "key");
        if (value_check_text(what, tags[i]->value, VALUE_TEXT_MAX, err))
            return err_wrap(err, "value of '%s'", tags[i]->key);
        sorted[i] = tags[i];
    }
    qsort(sorted, count, sizeof(sorted[0]), by_key);
    for (size_t i = 1; i < count; i++)
        if (strcmp(sorted[i - 1]->key, sorted[i]->key) == 0)
            return err_set(err, ERR_INVALID, "%s: '%s' twice", what, sorted[i]->key);
    return ERR_OK;
}

enum err_code
value_check_metrics(Metric *const *metrics, size_t count, struct err *err)
{
    if (count > VALUE_METRICS_MAX)
        return err_set(err, ERR_INVALID, "metrics: %zu, at most %d", count, VALUE_METRICS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (value_check_name("metric", metrics[i]->key, err))
            return err->code;
        if (metrics[i]->step < 0 || metrics[i]->timestamp_ms < 0)
            return err_set(err, ERR_INVALID, "metric '%s': negative step or time", metrics[i]->key);
    }
    return ERR_OK;
}

enum err_code
value_check_artifact(const char *what, const Artifact *artifact, bool required, struct err *err)
{
    if (!artifact)
        return required ? err_set(err, ERR_INVALID, "%s: missing", what) : ERR_OK;
    if (!artifact_uri_valid(artifact->uri))
        return err_set(err, ERR_INVALID, "%s: uri is not sha256:<64 hex digits>", what);
    if (artifact->size_bytes > INT64_MAX)
        return err_set(err, ERR_INVALID, "%s: size_bytes is out of range", what);
    if (value_check_text("format", artifact->format, 50, err) ||
        value_check_text("file_name", artifact->file_name, VALUE_NAME_MAX, err))
        return err_wrap(err, "%s", what);
    return ERR_OK;
}

enum err_code
value_check_features(char *const *names, size_t count, struct err *err)
{
    size_t bytes = 0;

    if (count > VALUE_FEATURES_MAX)
        return err_set(err, ERR_INVALID, "feature_names: %zu, at most %d", count,
                       VALUE_FEATURES_MAX);
    for (size_t i = 0; i < count; i++) {
        if (value_check_name("feature name", names[i], err))
            return err->code;
        bytes += strlen(names[i]);
    }
    if (bytes > VALUE_FEATURE_BYTES)
        return err_set(err, ERR_INVALID, "feature_names: %zu bytes, at most %d", bytes,
                       VALUE_FEATURE_BYTES);
    return ERR_OK;
}
