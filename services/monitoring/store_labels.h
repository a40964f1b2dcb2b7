/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_labels.h - durable state of predictions and labels; the other half of store.h, whose
 * rules hold here, too. Whoever writes has locked the endpoint's row of monitor.
 */
#pragma once

#include "label_rules.h"
#include "store.h"

typedef Modelbus__Monitoring__V1__LabelState LabelState;
typedef Modelbus__Monitoring__V1__Performance Performance;
typedef Modelbus__Monitoring__V1__PerformanceReport PerformanceReport;
typedef Modelbus__Monitoring__V1__VersionPerformance VersionPerformance;

/* ---- the state of an endpoint ---- */

/* *state NULL: there is none. */
MUST_CHECK enum err_code store_find_labels(const struct store *store, const char *endpoint,
                                           LabelState **state, struct err *err);
/* Not waited for. */
MUST_CHECK enum err_code store_set_labels(const struct store *store, const char *endpoint,
                                          const LabelState *state, struct err *err);
/* Predictions and labels that wait, and when all, reports and state as well. Not waited for. */
MUST_CHECK enum err_code store_drop_labels(const struct store *store, const char *endpoint,
                                           bool all, struct err *err);

/* ---- predictions ---- */

struct prediction {
    const char *id;
    int64_t at_ms;
    double output;
    bool labelled;
    double label;
};
/* *added: how many ids were new; the others stay as they were. */
MUST_CHECK enum err_code store_add_predictions(const struct store *store, const char *endpoint,
                                               const char *model_name, int64_t version,
                                               const struct prediction *rows, size_t count,
                                               size_t *added, struct err *err);
/* Of these ids, in their order. */
MUST_CHECK enum err_code store_find_predictions(const struct store *store, const char *endpoint,
                                                const char *const *ids, size_t count,
                                                struct prediction **found, size_t *found_count,
                                                struct err *err);
/* Labels of a model's version. */
struct share {
    const char *model_name;
    int64_t version;
    uint64_t rows;
};
/* rows: id and label are read. They are numbered from first on and become labelled rows, which wait for a
 * window; *shares: of which versions they are. */
MUST_CHECK enum err_code store_join(const struct store *store, const char *endpoint,
                                    const struct prediction *rows, size_t count, int64_t first,
                                    struct share **shares, size_t *share_count, struct err *err);
/* Forget predictions: those before before_ms, and as many of the oldest others. *gone, and
 * how many of them had no label. */
MUST_CHECK enum err_code store_prune_predictions(const struct store *store, const char *endpoint,
                                                 int64_t before_ms, size_t oldest, uint64_t *gone,
                                                 uint64_t *unlabelled, struct err *err);

/* ---- labels that wait ---- */

struct waiting {
    const char *id, *value;
};
/* Of these ids, in their order. */
MUST_CHECK enum err_code store_find_waiting(const struct store *store, const char *endpoint,
                                            const char *const *ids, size_t count,
                                            struct waiting **found, size_t *found_count,
                                            struct err *err);
/* Not waited for. */
MUST_CHECK enum err_code store_add_waiting(const struct store *store, const char *endpoint,
                                           const struct waiting *labels, size_t count,
                                           int64_t now_ms, struct err *err);
/* Take those of these ids out, in the order in which they came. */
MUST_CHECK enum err_code store_take_waiting(const struct store *store, const char *endpoint,
                                            const char *const *ids, size_t count,
                                            struct waiting **taken, size_t *taken_count,
                                            struct err *err);
/* As store_prune_predictions(). */
MUST_CHECK enum err_code store_prune_waiting(const struct store *store, const char *endpoint,
                                             int64_t before_ms, size_t oldest, uint64_t *gone,
                                             struct err *err);

/* ---- windows ---- */

/* Forget labelled rows that were predicted before, of versions that get no labels any more. *gone: one
 * entry each, with its number as rows. */
MUST_CHECK enum err_code store_prune_labelled(const struct store *store, const char *endpoint,
                                              int64_t before_ms, struct share **gone, size_t *count,
                                              struct err *err);
/* Take the first so many of a version's rows after the number *judged, which becomes the last one's: nobody
 * gets them again. ERR_INTERNAL: there are fewer. */
MUST_CHECK enum err_code store_take_window(const struct store *store, const char *endpoint,
                                           const char *model_name, int64_t version, uint32_t count,
                                           int64_t *judged, struct performance_row **rows,
                                           int64_t *start_ms, int64_t *end_ms, struct err *err);

/* ---- reports ---- */

/* And forget those of the endpoint older than the newest `kept`. Not waited for. */
MUST_CHECK enum err_code store_add_performance(const struct store *store,
                                               const PerformanceReport *report, int64_t kept,
                                               struct err *err);
/* ERR_NOT_FOUND. */
MUST_CHECK enum err_code store_get_performance(const struct store *store, const char *id,
                                               PerformanceReport **report, struct err *err);
/* Newest first, those of windows before the number. version 0: all. */
MUST_CHECK enum err_code store_list_performance(const struct store *store, const char *endpoint,
                                                int64_t version, bool degraded, int64_t before,
                                                int64_t limit, PerformanceReport ***reports,
                                                size_t *count, bool *more, struct err *err);
