/* SPDX-License-Identifier: Apache-2.0 */
/* model.c - a runtime with its names. */
#include "model.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t
hash(const char *name, size_t len)
{
    uint32_t h = 2166136261u; /* FNV-1a */

    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)name[i]) * 16777619u;
    return h;
}

static enum err_code
index_names(struct model *m, struct err *err)
{
    size_t size = 4;

    while (size < m->info->features * 2)
        size *= 2;
    m->mask = (uint32_t)size - 1;
    m->by_name = mem_calloc(size, sizeof(*m->by_name));
    for (size_t f = 0; f < m->info->features; f++) {
        size_t len = strlen(m->feature_names[f]);
        if (model_feature(m, m->feature_names[f], len, SIZE_MAX) >= 0)
            return err_set(err, ERR_INVALID, "feature '%.80s' is named twice", m->feature_names[f]);
        uint32_t slot = hash(m->feature_names[f], len) & m->mask;
        while (m->by_name[slot])
            slot = (slot + 1) & m->mask;
        m->by_name[slot] = (uint32_t)f + 1;
    }
    return ERR_OK;
}

static enum err_code
name_features(struct model *m, const struct model_spec *spec, struct err *err)
{
    const struct runtime_info *info = m->info;

    if (!info->feature_names && spec->feature_count > 0 && spec->feature_count != info->features)
        return err_set(err, ERR_INVALID, "the file has %zu features, the registry names %zu",
                       info->features, spec->feature_count);
    m->feature_names = mem_calloc(info->features, sizeof(*m->feature_names));
    for (size_t f = 0; f < info->features; f++) {
        if (info->feature_names)
            m->feature_names[f] = mem_strdup(info->feature_names[f]);
        else if (spec->feature_count > 0)
            m->feature_names[f] = mem_strdup(spec->feature_names[f]);
        else
            m->feature_names[f] = mem_printf("f%zu", f);
    }
    return index_names(m, err);
}

enum err_code
model_new(const struct model_spec *spec, struct runtime *runtime, struct model **model,
          struct err *err)
{
    struct model *m = mem_zalloc(sizeof(*m));

    atomic_init(&m->refs, 1);
    m->endpoint = mem_strdup(spec->endpoint);
    m->name = mem_strdup(spec->name);
    m->version = spec->version;
    m->generation = spec->generation;
    m->fallback = spec->fallback;
    snprintf(m->version_text, sizeof(m->version_text), "%" PRId64, spec->version);
    snprintf(m->uri, sizeof(m->uri), "%s", spec->uri ? spec->uri : "");
    m->runtime = runtime;
    m->info = &runtime->info;
    if (name_features(m, spec, err)) {
        model_unref(m);
        return err->code;
    }
    m->answered =
        metrics_counter("modelbus_inference_requests_total", "Prediction requests answered.",
                        "endpoint", m->endpoint, "version", m->version_text, "status", "200", NULL);
    *model = m;
    return ERR_OK;
}

struct model *
model_ref(struct model *model)
{
    atomic_fetch_add_explicit(&model->refs, 1, memory_order_relaxed);
    return model;
}

void
model_unref(struct model *model)
{
    if (!model || atomic_fetch_sub_explicit(&model->refs, 1, memory_order_acq_rel) != 1)
        return;
    runtime_names_free(model->feature_names, model->info->features);
    runtime_close(model->runtime);
    free(model->by_name);
    free(model->endpoint);
    free(model->name);
    free(model);
}

static bool
is_named(const struct model *model, size_t f, const char *name, size_t len)
{
    const char *have = model->feature_names[f];

    return strncmp(have, name, len) == 0 && have[len] == '\0';
}

int64_t
model_feature(const struct model *model, const char *name, size_t len, size_t hint)
{
    if (hint < model->info->features && is_named(model, hint, name, len))
        return (int64_t)hint;
    for (uint32_t slot = hash(name, len) & model->mask; model->by_name[slot];
         slot = (slot + 1) & model->mask)
        if (is_named(model, model->by_name[slot] - 1, name, len))
            return model->by_name[slot] - 1;
    return -1;
}

enum err_code
model_warm_up(const struct model *model, struct err *err)
{
    const struct runtime_info *info = model->info;
    float *row = mem_calloc(info->features + info->width + info->scratch, sizeof(*row));
    float *out = row + info->features;
    bool numbers = true;

    runtime_predict(model->runtime, row, 1, out, out + info->width);
    for (size_t i = 0; i < info->width; i++)
        numbers = numbers && !isnan(out[i]);
    free(row);
    return numbers ? ERR_OK : err_set(err, ERR_INVALID, "the warm-up's prediction is not a number");
}
