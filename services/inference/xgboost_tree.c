/* SPDX-License-Identifier: Apache-2.0 */
/* xgboost_tree.c - renumber a tree breadth first, checking every index on the way. */
#include "xgboost_tree.h"

#include "runtime.h"
#include "xgboost_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool
refuse_vector_leaves(struct doc *doc, void *arrays)
{
    ((struct xgb_tree_arrays *)arrays)->unsupported =
        "vector leaves (multi_strategy=multi_output_tree)";
    return doc_fail(doc, "vector leaves");
}

/* 1.x and 2.x write 0, later versions 1 for one value a leaf. */
static bool
read_leaf_size(struct doc *doc, void *arrays)
{
    struct json_text text;

    if (!doc_raw_string(doc, &text))
        return false;
    return (text.len == 1 && (text.data[0] == '0' || text.data[0] == '1')) ||
           refuse_vector_leaves(doc, arrays);
}

static bool
read_tree_param(struct doc *doc, void *arrays)
{
    static const struct doc_field fields[] = {{"size_leaf_vector", read_leaf_size, 0}};

    return doc_object(doc, fields, ARRAY_LEN(fields), arrays);
}

static bool
read_arrays(struct doc *doc, struct xgb_tree_arrays *a)
{
#define INTS(name, field) DOC_FIELD(struct xgb_tree_arrays, name, field, doc_ints)
    static const struct doc_field fields[] = {
        INTS("left_children", left),
        INTS("right_children", right),
        INTS("split_indices", feature),
        INTS("default_left", default_left),
        INTS("split_type", split_type),
        INTS("categories", categories),
        INTS("categories_nodes", categories_nodes),
        INTS("categories_segments", categories_segments),
        INTS("categories_sizes", categories_sizes),
        DOC_FIELD(struct xgb_tree_arrays, "split_conditions", condition, doc_floats),
        {"leaf_weights", refuse_vector_leaves, 0},
        {"tree_param", read_tree_param, 0},
    };
#undef INTS

    a->left.len = a->right.len = a->feature.len = a->default_left.len = a->split_type.len = 0;
    a->categories.len = a->categories_nodes.len = 0;
    a->categories_segments.len = a->categories_sizes.len = 0;
    a->condition.len = 0;
    return doc_object(doc, fields, ARRAY_LEN(fields), a);
}

static bool
check_lengths(struct doc *doc, const struct xgb_tree_arrays *a)
{
    size_t n = a->left.len;

    if (n == 0 || n > (1u << 28))
        return doc_fail(doc, "a tree without nodes, or with too many");
    if (a->right.len != n || a->feature.len != n || a->condition.len != n ||
        a->default_left.len != n || (a->split_type.len != 0 && a->split_type.len != n))
        return doc_fail(doc, "a tree's arrays differ in length");
    if (a->categories_nodes.len != a->categories_segments.len ||
        a->categories_nodes.len != a->categories_sizes.len)
        return doc_fail(doc, "a tree's category arrays differ in length");
    return true;
}

static int
compare_categories(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

/* The sets of a tree's categorical nodes; set_of[node] is the set's index + 1. */
static bool
read_sets(struct doc *doc, const struct xgb_tree_arrays *a, struct ensemble *e, uint32_t *set_of)
{
    size_t end = 0;

    for (size_t i = 0; i < a->categories_nodes.len; i++) {
        int64_t node = a->categories_nodes.data[i];
        int64_t first = a->categories_segments.data[i], count = a->categories_sizes.data[i];
        if (node < 0 || (size_t)node >= a->left.len || first < 0 || count <= 0 ||
            (size_t)first != end || (size_t)count > a->categories.len - end)
            return doc_fail(doc, "a tree's categories are out of range");
        end += (size_t)count;
        if (e->set_count == e->set_cap) {
            e->set_cap = e->set_cap ? e->set_cap * 2 : 64;
            e->sets = mem_realloc(e->sets, e->set_cap * sizeof(*e->sets));
        }
        if (e->category_count + (size_t)count > e->category_cap) {
            e->category_cap = (e->category_count + (size_t)count) * 2;
            e->categories = mem_realloc(e->categories, e->category_cap * sizeof(*e->categories));
        }
        uint32_t *to = e->categories + e->category_count;
        for (int64_t k = 0; k < count; k++) {
            int64_t category = a->categories.data[first + k];
            if (category < 0 || category >= 16777216)
                return doc_fail(doc, "a category is out of range");
            to[k] = (uint32_t)category;
        }
        if (count > 1)
            qsort(to, (size_t)count, sizeof(*to), compare_categories);
        set_of[node] = (uint32_t)e->set_count + 1;
        e->sets[e->set_count++] = (struct tree_set){e->category_count, (size_t)count};
        e->category_count += (size_t)count;
    }
    return true;
}

static void
reserve_nodes(struct ensemble *e, size_t extra)
{
    if (e->node_count + extra > e->node_cap) {
        e->node_cap = (e->node_count + extra) * 2;
        e->nodes = mem_realloc(e->nodes, e->node_cap * sizeof(*e->nodes));
    }
}

/* Append node `from` of the arrays at new position `to`; children get the next two. */
static bool
place(struct doc *doc, struct xgb_tree_arrays *a, struct ensemble *e, struct tree *t, size_t to,
      const uint32_t *set_of)
{
    int64_t from = a->order.data[to];
    int64_t left = a->left.data[from], right = a->right.data[from];
    struct tree_node *n = &e->nodes[t->first + to];

    *n = (struct tree_node){.u.value = a->condition.data[from]};
    if (left == -1 && right == -1) {
        if (!isfinite(n->u.value))
            return doc_fail(doc, "a leaf is not finite");
        return true;
    }
    size_t count = a->left.len;
    if (left <= 0 || right <= 0 || (size_t)left >= count || (size_t)right >= count)
        return doc_fail(doc, "a child is out of range");
    /* More places than nodes: some node has two parents, or there is a cycle. */
    if (a->order.len + 2 > count)
        return doc_fail(doc, "a node has two parents");
    if (a->feature.data[from] < 0 || a->feature.data[from] >= RUNTIME_FEATURES_MAX)
        return doc_fail(doc, "a split's feature is out of range");
    n->feature = (uint32_t)a->feature.data[from];
    if (a->default_left.data[from])
        n->feature |= TREE_DEFAULT_LEFT;
    int64_t type = a->split_type.len ? a->split_type.data[from] : 0;
    if (type != 0 && type != 1)
        return doc_fail(doc, "unknown split type");
    if (type == 1) {
        if (!set_of || set_of[from] == 0)
            return doc_fail(doc, "a categorical split has no categories");
        n->feature |= TREE_CATEGORICAL;
        n->u.set = set_of[from] - 1;
        t->categorical = true;
    } else if (isnan(n->u.value)) {
        return doc_fail(doc, "a threshold is not a number");
    }
    n->left = (uint32_t)a->order.len;
    a->order.data[a->order.len++] = left;
    a->order.data[a->order.len++] = right;
    return true;
}

static bool
renumber(struct doc *doc, struct xgb_tree_arrays *a, struct ensemble *e, const uint32_t *set_of)
{
    struct tree t = {.first = e->node_count};
    size_t level_end = 1;

    if (a->order.cap < a->left.len) {
        a->order.cap = a->left.len;
        a->order.data = mem_realloc(a->order.data, a->order.cap * sizeof(*a->order.data));
    }
    reserve_nodes(e, a->left.len);
    a->order.len = 1;
    a->order.data[0] = 0;
    for (size_t to = 0; to < a->order.len; to++) {
        if (to == level_end) {
            level_end = a->order.len;
            if (++t.depth > XGB_DEPTH_MAX)
                return doc_fail(doc, "a tree is too deep");
        }
        if (!place(doc, a, e, &t, to, set_of))
            return false;
    }
    t.count = a->order.len;
    e->node_count += t.count;
    if (e->tree_count == e->tree_cap) {
        e->tree_cap = e->tree_cap ? e->tree_cap * 2 : 64;
        e->trees = mem_realloc(e->trees, e->tree_cap * sizeof(*e->trees));
    }
    e->trees[e->tree_count++] = t;
    return true;
}

bool
xgb_tree_read(struct doc *doc, struct xgb_tree_arrays *a, struct ensemble *e)
{
    uint32_t *set_of = NULL;

    if (!read_arrays(doc, a) || !check_lengths(doc, a))
        return false;
    if (a->categories_nodes.len)
        set_of = mem_calloc(a->left.len, sizeof(*set_of));
    bool ok = read_sets(doc, a, e, set_of) && renumber(doc, a, e, set_of);
    free(set_of);
    return ok;
}

void
xgb_tree_arrays_done(struct xgb_tree_arrays *a)
{
    doc_ints_done(&a->left);
    doc_ints_done(&a->right);
    doc_ints_done(&a->feature);
    doc_ints_done(&a->default_left);
    doc_ints_done(&a->split_type);
    doc_ints_done(&a->categories);
    doc_ints_done(&a->categories_nodes);
    doc_ints_done(&a->categories_segments);
    doc_ints_done(&a->categories_sizes);
    doc_ints_done(&a->order);
    doc_floats_done(&a->condition);
}
