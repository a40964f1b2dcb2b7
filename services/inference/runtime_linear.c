/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime_linear.c - linear and logistic models from a small JSON file ("linear-json"):
 *
 *   { "modelbus_linear": 1,                        format version
 *     "link": "identity" | "logistic" | "softmax",
 *     "coef": [[w, …], …],                         one row of weights an output
 *     "intercept": [b, …],                         one number an output
 *     "feature_names": ["…", …],                   optional
 *     "classes": ["…" or integer, …] }             optional: names of the classes
 *
 * scikit-learn's coef_ and intercept_ have this shape: LogisticRegression with two classes is
 * "logistic" with one row (the probability of the second class), with more "softmax".
 * Sums are in double, in the order of the features. Missing values are refused.
 */
#include "link.h"
#include "runtime.h"

#include "json/json_reader.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct linear {
    struct runtime runtime;
    enum link link;
    size_t outputs;
    double *coef; /* outputs × features */
    double *intercept;
    char **classes;
    size_t class_count;
};

struct doubles {
    double *data;
    size_t len, cap;
};

struct reading {
    struct json_reader json;
    struct arena *arena;
    struct doubles coef, intercept;
    size_t rows, columns;
    char **names, **classes;
    size_t name_count, class_count;
    int64_t version;
    int link; /* -1: not seen */
};

static bool
add_double(struct reading *r, struct doubles *v)
{
    double value;

    if (!jr_number(&r->json, &value))
        return false;
    if (!isfinite(value))
        return jr_fail(&r->json, "a weight is not finite");
    if (v->len == v->cap) {
        v->cap = v->cap ? v->cap * 2 : 64;
        v->data = mem_realloc(v->data, v->cap * sizeof(*v->data));
    }
    v->data[v->len++] = value;
    return true;
}

static bool
read_doubles(struct reading *r, struct doubles *v)
{
    if (!jr_enter_array(&r->json))
        return false;
    while (jr_element(&r->json))
        if (!add_double(r, v))
            return false;
    return !r->json.failed;
}

static bool
read_coef(struct reading *r)
{
    if (!jr_enter_array(&r->json))
        return false;
    while (jr_element(&r->json)) {
        size_t before = r->coef.len;
        if (!read_doubles(r, &r->coef))
            return false;
        size_t columns = r->coef.len - before;
        if (columns == 0 || columns > RUNTIME_FEATURES_MAX || (r->rows && columns != r->columns))
            return jr_fail(&r->json, "the rows of coef differ in length, or are empty or too long");
        r->columns = columns;
        if (++r->rows > RUNTIME_OUTPUTS_MAX)
            return jr_fail(&r->json, "too many rows in coef");
    }
    return !r->json.failed;
}

/* Strings, or integers taken as their text. */
static bool
read_names(struct reading *r, char ***names, size_t *count)
{
    size_t cap = *count, len;
    const char *text;
    int64_t number;

    if (*count)
        return jr_fail(&r->json, "given twice");
    if (!jr_enter_array(&r->json))
        return false;
    while (jr_element(&r->json)) {
        arena_reset(r->arena);
        if (jr_peek(&r->json) == JSON_T_NUMBER) {
            if (!jr_integer(&r->json, &number))
                return false;
            text = arena_printf(r->arena, "%lld", (long long)number);
            len = strlen(text);
        } else if (!jr_string(&r->json, r->arena, &text, &len)) {
            return false;
        }
        if (len == 0 || len > RUNTIME_NAME_MAX || strlen(text) != len ||
            *count == RUNTIME_FEATURES_MAX)
            return jr_fail(&r->json, "a name is empty or too long, or there are too many");
        if (*count == cap) {
            cap = cap ? cap * 2 : 16;
            *names = mem_realloc(*names, cap * sizeof(**names));
        }
        (*names)[(*count)++] = mem_strdup(text);
    }
    return !r->json.failed;
}

static bool
read_link(struct reading *r)
{
    struct json_text text;

    if (!jr_raw_string(&r->json, &text))
        return false;
    if (jr_key_is(&text, "identity"))
        r->link = LINK_IDENTITY;
    else if (jr_key_is(&text, "logistic"))
        r->link = LINK_LOGISTIC;
    else if (jr_key_is(&text, "softmax"))
        r->link = LINK_SOFTMAX;
    else
        return jr_fail(&r->json, "link must be identity, logistic or softmax");
    return true;
}

static bool
read_file(struct reading *r)
{
    struct json_text key;

    if (!jr_enter_object(&r->json))
        return false;
    while (jr_member(&r->json, &key)) {
        bool ok;
        if (jr_key_is(&key, "modelbus_linear"))
            ok = jr_integer(&r->json, &r->version);
        else if (jr_key_is(&key, "link"))
            ok = read_link(r);
        else if (jr_key_is(&key, "coef"))
            ok = read_coef(r);
        else if (jr_key_is(&key, "intercept"))
            ok = read_doubles(r, &r->intercept);
        else if (jr_key_is(&key, "feature_names"))
            ok = read_names(r, &r->names, &r->name_count);
        else if (jr_key_is(&key, "classes"))
            ok = read_names(r, &r->classes, &r->class_count);
        else
            ok = jr_fail(&r->json, "unknown member");
        if (!ok)
            return false;
    }
    return !r->json.failed;
}

static enum err_code
check(const struct reading *r, struct err *err)
{
    if (r->version != 1)
        return err_set(err, ERR_UNSUPPORTED, "modelbus_linear is %lld, this build reads 1",
                       (long long)r->version);
    if (r->link < 0 || r->rows == 0)
        return err_set(err, ERR_INVALID, "link and coef are needed");
    if (r->intercept.len != r->rows)
        return err_set(err, ERR_INVALID, "%zu intercepts for %zu rows of coef", r->intercept.len,
                       r->rows);
    if (r->names && r->name_count != r->columns)
        return err_set(err, ERR_INVALID, "%zu feature names for %zu features", r->name_count,
                       r->columns);
    if (r->link == LINK_SOFTMAX && r->rows < 2)
        return err_set(err, ERR_INVALID, "softmax needs two rows of coef or more");
    size_t classes = r->link == LINK_LOGISTIC && r->rows == 1 ? 2 : r->rows;
    if (r->classes && r->class_count != classes)
        return err_set(err, ERR_INVALID, "%zu classes for %zu outputs", r->class_count, classes);
    return ERR_OK;
}

static enum err_code
open_linear(const void *data, size_t len, struct runtime **runtime, struct err *err)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(4096, 0);
    struct reading r = {.arena = arena, .link = -1};

    jr_open(&r.json, data, len);
    if (!read_file(&r))
        jr_fail(&r.json, "not a linear-json model");
    if (jr_finish(&r.json, err) || check(&r, err)) {
        free(r.coef.data);
        free(r.intercept.data);
        runtime_names_free(r.names, r.name_count);
        runtime_names_free(r.classes, r.class_count);
        return err->code;
    }
    struct linear *l = mem_zalloc(sizeof(*l));
    l->link = (enum link)r.link;
    l->outputs = r.rows;
    l->coef = r.coef.data;
    l->intercept = r.intercept.data;
    l->classes = r.classes;
    l->class_count = r.class_count;
    l->runtime.type = &runtime_linear;
    l->runtime.info = (struct runtime_info){
        .format = "linear-json",
        .platform = "modelbus_linear",
        .objective = r.link == LINK_IDENTITY   ? "identity"
                     : r.link == LINK_LOGISTIC ? "logistic"
                                               : "softmax",
        .features = r.columns,
        .feature_names = r.names,
        .output = "predict",
        .width = r.rows,
        .classes = r.class_count == r.rows ? r.classes : NULL,
        .bytes = sizeof(*l) + (r.columns + 1) * r.rows * sizeof(double),
    };
    *runtime = &l->runtime;
    return ERR_OK;
}

static void
predict(const struct runtime *runtime, const float *rows, size_t n, float *out, float *scratch)
{
    const struct linear *l = (const struct linear *)runtime;
    size_t features = runtime->info.features;

    (void)scratch;
    for (size_t r = 0; r < n; r++)
        for (size_t o = 0; o < l->outputs; o++) {
            const double *weights = l->coef + o * features;
            double sum = l->intercept[o];
            for (size_t f = 0; f < features; f++)
                sum += weights[f] * rows[r * features + f];
            out[r * l->outputs + o] =
                (float)(l->link == LINK_LOGISTIC ? 1.0 / (1.0 + exp(-sum)) : sum);
        }
    if (l->link == LINK_SOFTMAX)
        link_apply(LINK_SOFTMAX, out, n, l->outputs, out);
}

static void
close_linear(struct runtime *runtime)
{
    struct linear *l = (struct linear *)runtime;

    runtime_names_free(runtime->info.feature_names, runtime->info.features);
    runtime_names_free(l->classes, l->class_count);
    free(l->coef);
    free(l->intercept);
    free(l);
}

const struct runtime_type runtime_linear = {"linear-json", open_linear, predict, close_linear};
