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
};

/* A number inside a string, as XGBoost writes its parameters. */
static bool
read_quoted_integer(struct doc *d, void *place)
{
    struct json_text text;
    int64_t *value = place;
    char copy[24], *end;

    if (!doc_raw_string(d, &text))
        return false;
    if (text.len == 0 || !doc_text_copy(&text, copy, sizeof(copy)))
        return doc_fail(d, "expected an integer in a string");
    *value = strtoll(copy, &end, 10);
    if (*end || *value < 0)
        return doc_fail(d, "expected an integer in a string");
    return true;
}

static bool
read_base_score(struct doc *d, void *place)
{
    struct json_text text;
    char **score = place;

    if (!doc_raw_string(d, &text))
        return false;
    free(*score);
    *score = mem_strndup(text.data, text.len);
    return true;
}

static bool
read_learner_param(struct doc *d, void *reading)
{
    static const struct doc_field fields[] = {
        DOC_FIELD(struct reading, "base_score", base_score, read_base_score),
        DOC_FIELD(struct reading, "num_class", num_class, read_quoted_integer),
        DOC_FIELD(struct reading, "num_feature", num_feature, read_quoted_integer),
        DOC_FIELD(struct reading, "num_target", num_target, read_quoted_integer),
    };

    return doc_object(d, fields, ARRAY_LEN(fields), reading);
}

static bool
read_name(struct doc *d, char *out, size_t size)
{
    struct json_text text;

    if (!doc_raw_string(d, &text))
        return false;
    return doc_text_copy(&text, out, size) || doc_fail(d, "a name is too long");
}

static bool
read_objective_name(struct doc *d, void *reading)
{
    struct xgb_model *m = ((struct reading *)reading)->m;

    return read_name(d, m->objective, sizeof(m->objective));
}

static bool
read_objective(struct doc *d, void *reading)
{
    static const struct doc_field fields[] = {{"name", read_objective_name, 0}};

    return doc_object(d, fields, ARRAY_LEN(fields), reading);
}

static bool
read_feature_names(struct doc *d, void *reading)
{
    struct reading *r = reading;
    struct xgb_model *m = r->m;
    size_t cap = r->name_count, len;
    const char *name;

    if (m->feature_names)
        return doc_fail(d, "feature_names twice");
    if (!doc_enter_array(d))
        return false;
    while (doc_element(d)) {
        arena_reset(r->arena);
        if (!doc_string(d, r->arena, &name, &len))
            return false;
        if (len == 0 || len > RUNTIME_NAME_MAX || strlen(name) != len ||
            r->name_count == RUNTIME_FEATURES_MAX)
            return doc_fail(d, "a feature's name is empty or too long, or there are too many");
        if (r->name_count == cap) {
            cap = cap ? cap * 2 : 32;
            m->feature_names = mem_realloc(m->feature_names, cap * sizeof(*m->feature_names));
        }
        m->feature_names[r->name_count++] = mem_strdup(name);
    }
    return !doc_failed(d);
}

static bool
read_trees(struct doc *d, void *reading)
{
    struct reading *r = reading;

    if (r->m->trees.tree_count)
        return doc_fail(d, "trees twice");
    if (!doc_enter_array(d))
        return false;
    while (doc_element(d))
        if (!xgb_tree_read(d, &r->arrays, &r->m->trees))
            return false;
    return !doc_failed(d);
}

/* 3.1 and later: categories that were strings are numbered anew at prediction time. */
static bool
refuse_recoding(struct doc *d, void *reading)
{
    if (!doc_enter_array(d))
        return false;
    if (!doc_element(d))
        return !doc_failed(d);
    ((struct reading *)reading)->arrays.unsupported =
        "categories that XGBoost recodes (`cats`): encode them before training";
    return doc_fail(d, "recoded categories");
}

static bool
read_cats(struct doc *d, void *reading)
{
    static const struct doc_field fields[] = {{"enc", refuse_recoding, 0}};

    return doc_at_object(d) ? doc_object(d, fields, ARRAY_LEN(fields), reading) : doc_skip(d);
}

static bool
read_booster_model(struct doc *d, void *reading)
{
    static const struct doc_field fields[] = {
        {"trees", read_trees, 0},
        DOC_FIELD(struct reading, "tree_info", tree_info, doc_ints),
        DOC_FIELD(struct reading, "weights", weights, doc_floats),
        {"cats", read_cats, 0},
    };

    return doc_object(d, fields, ARRAY_LEN(fields), reading);
}

/* What dart has inside of itself: {name, model}. */
static bool
read_gbtree(struct doc *d, void *reading)
{
    static const struct doc_field fields[] = {{"model", read_booster_model, 0}};

    return doc_object(d, fields, ARRAY_LEN(fields), reading);
}

static bool
read_booster_name(struct doc *d, void *reading)
{
    struct xgb_model *m = ((struct reading *)reading)->m;

    return read_name(d, m->booster, sizeof(m->booster));
}

/* {name, model}, and for dart {name, gbtree, weight_drop}. */
static bool
read_booster(struct doc *d, void *reading)
{
    static const struct doc_field fields[] = {
        {"name", read_booster_name, 0},
        {"model", read_booster_model, 0},
        {"gbtree", read_gbtree, 0},
        DOC_FIELD(struct reading, "weight_drop", weight_drop, doc_floats),
    };

    return doc_object(d, fields, ARRAY_LEN(fields), reading);
}

static bool
read_learner(struct doc *d, void *reading)
{
    static const struct doc_field fields[] = {
        {"learner_model_param", read_learner_param, 0},
        {"objective", read_objective, 0},
        {"feature_names", read_feature_names, 0},
        {"gradient_booster", read_booster, 0},
    };

    return doc_object(d, fields, ARRAY_LEN(fields), reading);
}

static bool
read_file(struct doc *d, struct reading *r)
{
    static const struct doc_field fields[] = {{"learner", read_learner, 0}};

    return doc_object(d, fields, ARRAY_LEN(fields), r);
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
    if (!read_file(&r.doc, &r))
        doc_fail(&r.doc, "not an XGBoost model");
    code = doc_finish(&r.doc, err);
    if (code && r.arrays.unsupported)
        code = err_set(err, ERR_UNSUPPORTED, "%s", r.arrays.unsupported);
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
