/* SPDX-License-Identifier: Apache-2.0 */
/* xgboost_model.c - walk an XGBoost model file and check what it says. */
#include "xgboost_model.h"

#include "doc.h"
#include "runtime.h"
#include "xgboost_tree.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* How base_score, which is in the space of predictions, becomes a margin. */
enum base_space { BASE_MARGIN, BASE_PROBABILITY, BASE_LOG };

static const struct {
    const char *name;
    enum link link;
    enum base_space base;
} objectives[] = {
    {"binary:hinge", LINK_HINGE, BASE_MARGIN},
    {"binary:logistic", LINK_LOGISTIC, BASE_PROBABILITY},
    {"binary:logitraw", LINK_IDENTITY, BASE_MARGIN},
    {"count:poisson", LINK_EXP, BASE_LOG},
    {"multi:softmax", LINK_ARGMAX, BASE_MARGIN},
    {"multi:softprob", LINK_SOFTMAX, BASE_MARGIN},
    {"rank:map", LINK_IDENTITY, BASE_MARGIN},
    {"rank:ndcg", LINK_IDENTITY, BASE_MARGIN},
    {"rank:pairwise", LINK_IDENTITY, BASE_MARGIN},
    {"reg:absoluteerror", LINK_IDENTITY, BASE_MARGIN},
    {"reg:gamma", LINK_EXP, BASE_LOG},
    {"reg:linear", LINK_IDENTITY, BASE_MARGIN},
    {"reg:logistic", LINK_LOGISTIC, BASE_PROBABILITY},
    {"reg:pseudohubererror", LINK_IDENTITY, BASE_MARGIN},
    {"reg:quantileerror", LINK_IDENTITY, BASE_MARGIN},
    {"reg:squarederror", LINK_IDENTITY, BASE_MARGIN},
    {"reg:squaredlogerror", LINK_IDENTITY, BASE_MARGIN},
    {"reg:tweedie", LINK_EXP, BASE_LOG},
    {"survival:aft", LINK_EXP, BASE_LOG},
    {"survival:cox", LINK_EXP, BASE_LOG},
};

/* What has been read so far; members come in any order. */
struct reading {
    struct doc doc;
    struct xgb_model *m;
    struct arena *arena;
    struct xgb_tree_arrays arrays;
    struct doc_ints tree_info;
    struct doc_floats weight_drop, weights;
    char *base_score;
    int64_t num_class, num_feature, num_target;
    size_t name_count;
    const char *unsupported;
};

/* A number inside a string, as XGBoost writes its parameters. */
static bool
read_quoted_integer(struct reading *r, int64_t *value)
{
    struct json_text text;
    char copy[24], *end;

    if (!doc_raw_string(&r->doc, &text))
        return false;
    if (text.len == 0 || !doc_text_copy(&text, copy, sizeof(copy)))
        return doc_fail(&r->doc, "expected an integer in a string");
    *value = strtoll(copy, &end, 10);
    if (*end || *value < 0)
        return doc_fail(&r->doc, "expected an integer in a string");
    return true;
}

static bool
read_learner_param(struct reading *r)
{
    struct json_text key, text;

    if (!doc_enter_object(&r->doc))
        return false;
    while (doc_member(&r->doc, &key)) {
        bool ok = true;
        if (jr_key_is(&key, "base_score")) {
            ok = doc_raw_string(&r->doc, &text);
            if (ok) {
                free(r->base_score);
                r->base_score = mem_strndup(text.data, text.len);
            }
        } else if (jr_key_is(&key, "num_class")) {
            ok = read_quoted_integer(r, &r->num_class);
        } else if (jr_key_is(&key, "num_feature")) {
            ok = read_quoted_integer(r, &r->num_feature);
        } else if (jr_key_is(&key, "num_target")) {
            ok = read_quoted_integer(r, &r->num_target);
        } else {
            ok = doc_skip(&r->doc);
        }
        if (!ok)
            return false;
    }
    return !doc_failed(&r->doc);
}

static bool
read_name_of(struct reading *r, char *out, size_t size)
{
    struct json_text text;

    if (!doc_raw_string(&r->doc, &text))
        return false;
    return doc_text_copy(&text, out, size) || doc_fail(&r->doc, "a name is too long");
}

static bool
read_objective(struct reading *r)
{
    struct json_text key;

    if (!doc_enter_object(&r->doc))
        return false;
    while (doc_member(&r->doc, &key))
        if (jr_key_is(&key, "name") ? !read_name_of(r, r->m->objective, sizeof(r->m->objective))
                                    : !doc_skip(&r->doc))
            return false;
    return !doc_failed(&r->doc);
}

static bool
read_feature_names(struct reading *r)
{
    struct xgb_model *m = r->m;
    size_t cap = r->name_count, len;
    const char *name;

    if (m->feature_names)
        return doc_fail(&r->doc, "feature_names twice");
    if (!doc_enter_array(&r->doc))
        return false;
    while (doc_element(&r->doc)) {
        arena_reset(r->arena);
        if (!doc_string(&r->doc, r->arena, &name, &len))
            return false;
        if (len == 0 || len > RUNTIME_NAME_MAX || strlen(name) != len ||
            r->name_count == RUNTIME_FEATURES_MAX)
            return doc_fail(&r->doc,
                            "a feature's name is empty or too long, or there are too many");
        if (r->name_count == cap) {
            cap = cap ? cap * 2 : 32;
            m->feature_names = mem_realloc(m->feature_names, cap * sizeof(*m->feature_names));
        }
        m->feature_names[r->name_count++] = mem_strdup(name);
    }
    return !doc_failed(&r->doc);
}

static bool
read_trees(struct reading *r)
{
    if (r->m->trees.tree_count)
        return doc_fail(&r->doc, "trees twice");
    if (!doc_enter_array(&r->doc))
        return false;
    while (doc_element(&r->doc))
        if (!xgb_tree_read(&r->doc, &r->arrays, &r->m->trees, &r->unsupported))
            return false;
    return !doc_failed(&r->doc);
}

/* 3.1 and later: categories that were strings are numbered anew at prediction time. */
static bool
read_cats(struct reading *r)
{
    struct json_text key;

    if (!doc_enter_object(&r->doc))
        return false;
    while (doc_member(&r->doc, &key)) {
        if (!jr_key_is(&key, "enc")) {
            if (!doc_skip(&r->doc))
                return false;
            continue;
        }
        if (!doc_enter_array(&r->doc))
            return false;
        while (doc_element(&r->doc)) {
            r->unsupported =
                "categories that XGBoost recodes (`cats`): encode them before training";
            return doc_fail(&r->doc, "recoded categories");
        }
    }
    return !doc_failed(&r->doc);
}

static bool
read_booster_model(struct reading *r)
{
    struct json_text key;

    if (!doc_enter_object(&r->doc))
        return false;
    while (doc_member(&r->doc, &key)) {
        bool ok;
        if (jr_key_is(&key, "trees"))
            ok = read_trees(r);
        else if (jr_key_is(&key, "tree_info"))
            ok = doc_int_array(&r->doc, &r->tree_info);
        else if (jr_key_is(&key, "weights"))
            ok = doc_float_array(&r->doc, &r->weights);
        else if (jr_key_is(&key, "cats") && doc_at_object(&r->doc))
            ok = read_cats(r);
        else
            ok = doc_skip(&r->doc);
        if (!ok)
            return false;
    }
    return !doc_failed(&r->doc);
}

/* {name, model}, and for dart {name, gbtree: {name, model}, weight_drop}. */
static bool
read_booster(struct reading *r, bool inner)
{
    struct json_text key;
    char ignored[16];

    if (!doc_enter_object(&r->doc))
        return false;
    while (doc_member(&r->doc, &key)) {
        bool ok;
        if (jr_key_is(&key, "name"))
            ok = inner ? read_name_of(r, ignored, sizeof(ignored))
                       : read_name_of(r, r->m->booster, sizeof(r->m->booster));
        else if (jr_key_is(&key, "model"))
            ok = read_booster_model(r);
        else if (jr_key_is(&key, "gbtree") && !inner)
            ok = read_booster(r, true);
        else if (jr_key_is(&key, "weight_drop"))
            ok = doc_float_array(&r->doc, &r->weight_drop);
        else
            ok = doc_skip(&r->doc);
        if (!ok)
            return false;
    }
    return !doc_failed(&r->doc);
}

static bool
read_learner(struct reading *r)
{
    struct json_text key;

    if (!doc_enter_object(&r->doc))
        return false;
    while (doc_member(&r->doc, &key)) {
        bool ok;
        if (jr_key_is(&key, "learner_model_param"))
            ok = read_learner_param(r);
        else if (jr_key_is(&key, "objective"))
            ok = read_objective(r);
        else if (jr_key_is(&key, "feature_names"))
            ok = read_feature_names(r);
        else if (jr_key_is(&key, "gradient_booster"))
            ok = read_booster(r, false);
        else
            ok = doc_skip(&r->doc);
        if (!ok)
            return false;
    }
    return !doc_failed(&r->doc);
}

static bool
read_file(struct reading *r)
{
    struct json_text key;

    if (!doc_enter_object(&r->doc))
        return false;
    while (doc_member(&r->doc, &key))
        if (jr_key_is(&key, "learner") ? !read_learner(r) : !doc_skip(&r->doc))
            return false;
    return !doc_failed(&r->doc);
}

static enum err_code
margin_of(float score, enum base_space space, float *margin, struct err *err)
{
    if (space == BASE_PROBABILITY) {
        if (!(score > 0.0f && score < 1.0f))
            return err_set(err, ERR_INVALID, "base_score %g is not between 0 and 1", score);
        *margin = -logf(1.0f / score - 1.0f);
    } else if (space == BASE_LOG) {
        if (!(score > 0.0f))
            return err_set(err, ERR_INVALID, "base_score %g is not above 0", score);
        *margin = logf(score);
    } else {
        *margin = score;
    }
    return isfinite(*margin) ? ERR_OK : err_set(err, ERR_INVALID, "base_score is not finite");
}

/* "5E-1", "[5E-1]" or one number a group, "[a,b,…]" (3.1 and later). */
static enum err_code
set_base(struct reading *r, enum base_space space, struct err *err)
{
    struct xgb_model *m = r->m;
    const char *p = r->base_score ? r->base_score : "5E-1";
    bool list = *p == '[';
    size_t count = 0;

    m->base = mem_calloc(m->groups, sizeof(*m->base));
    if (list)
        p++;
    for (;;) {
        char *end;
        float score = strtof(p, &end);
        if (end == p || count == m->groups)
            return err_set(err, ERR_INVALID, "base_score is '%.60s'", r->base_score);
        if (margin_of(score, space, &m->base[count++], err))
            return err->code;
        p = end;
        if (!list || *p != ',')
            break;
        p++;
    }
    if (strcmp(p, list ? "]" : "") != 0 || (count != 1 && count != m->groups))
        return err_set(err, ERR_INVALID, "base_score is '%.60s'", r->base_score);
    /* gblinear uses the first element for every class even when there are more. */
    if (count == 1 || m->weights)
        for (size_t g = 1; g < m->groups; g++)
            m->base[g] = m->base[0];
    return ERR_OK;
}

static enum err_code
finish_linear(struct reading *r, struct err *err)
{
    struct xgb_model *m = r->m;

    if (r->weights.len != (m->features + 1) * m->groups)
        return err_set(err, ERR_INVALID, "gblinear has %zu weights for %zu features and %zu groups",
                       r->weights.len, m->features, m->groups);
    m->weights = TAKE_PTR(r->weights.data);
    r->weights = (struct doc_floats){0};
    return ERR_OK;
}

static enum err_code
finish_trees(struct reading *r, struct err *err)
{
    struct xgb_model *m = r->m;
    struct ensemble *e = &m->trees;
    bool dart = strcmp(m->booster, "dart") == 0;

    if (r->tree_info.len != e->tree_count)
        return err_set(err, ERR_INVALID, "tree_info names %zu trees, there are %zu",
                       r->tree_info.len, e->tree_count);
    if (dart && r->weight_drop.len != e->tree_count)
        return err_set(err, ERR_INVALID, "weight_drop has %zu weights for %zu trees",
                       r->weight_drop.len, e->tree_count);
    for (size_t i = 0; i < e->tree_count; i++) {
        struct tree *t = &e->trees[i];
        int64_t group = r->tree_info.data[i];
        if (group < 0 || (uint64_t)group >= m->groups)
            return err_set(err, ERR_INVALID, "tree %zu belongs to group %lld of %zu", i,
                           (long long)group, m->groups);
        t->group = (uint32_t)group;
        for (size_t n = t->first; n < t->first + t->count; n++) {
            struct tree_node *node = &e->nodes[n];
            if (node->left && (node->feature & TREE_FEATURE) >= m->features)
                return err_set(err, ERR_INVALID, "tree %zu splits on feature %u of %zu", i,
                               node->feature & TREE_FEATURE, m->features);
            if (dart && !node->left)
                node->u.value *= r->weight_drop.data[i];
        }
    }
    e->features = m->features;
    e->groups = m->groups;
    return ERR_OK;
}

static enum err_code
finish(struct reading *r, struct err *err)
{
    struct xgb_model *m = r->m;
    enum base_space space = BASE_MARGIN;
    bool known = false;

    if (r->num_feature < 1 || r->num_feature > RUNTIME_FEATURES_MAX)
        return err_set(err, ERR_INVALID, "the model has %lld features", (long long)r->num_feature);
    m->features = (size_t)r->num_feature;
    int64_t groups = r->num_class > r->num_target ? r->num_class : r->num_target;
    if (groups > RUNTIME_OUTPUTS_MAX)
        return err_set(err, ERR_TOO_LARGE, "the model has %lld outputs", (long long)groups);
    m->groups = groups < 1 ? 1 : (size_t)groups;
    if (m->feature_names && r->name_count != m->features)
        return err_set(err, ERR_INVALID, "%zu feature names for %zu features", r->name_count,
                       m->features);
    for (size_t i = 0; i < ARRAY_LEN(objectives) && !known; i++)
        if ((known = strcmp(objectives[i].name, m->objective) == 0)) {
            m->link = objectives[i].link;
            space = objectives[i].base;
        }
    if (!known)
        return err_set(err, ERR_UNSUPPORTED, "objective '%s' is not supported", m->objective);

    bool linear = strcmp(m->booster, "gblinear") == 0;
    if (!linear && strcmp(m->booster, "gbtree") != 0 && strcmp(m->booster, "dart") != 0)
        return err_set(err, ERR_UNSUPPORTED, "booster '%s' is not supported", m->booster);
    if (linear ? finish_linear(r, err) : finish_trees(r, err))
        return err->code;
    return set_base(r, space, err);
}

enum err_code
xgb_model_read(bool binary, const void *data, size_t len, struct xgb_model *model, struct err *err)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(4096, 0);
    struct reading r = {.m = model, .arena = arena};
    enum err_code code;

    doc_open(&r.doc, binary, data, len);
    if (!read_file(&r))
        doc_fail(&r.doc, "not an XGBoost model");
    code = doc_finish(&r.doc, err);
    if (code && r.unsupported)
        code = err_set(err, ERR_UNSUPPORTED, "%s", r.unsupported);
    if (!code)
        code = finish(&r, err);
    if (code) {
        /* finish() may not have run: the names' count is only here. */
        runtime_names_free(model->feature_names, r.name_count);
        model->feature_names = NULL;
        xgb_model_done(model);
    }
    xgb_tree_arrays_done(&r.arrays);
    doc_ints_done(&r.tree_info);
    doc_floats_done(&r.weight_drop);
    doc_floats_done(&r.weights);
    free(r.base_score);
    return code;
}

void
xgb_model_done(struct xgb_model *model)
{
    runtime_names_free(model->feature_names, model->features);
    ensemble_done(&model->trees);
    free(model->weights);
    free(model->base);
    *model = (struct xgb_model){0};
}
