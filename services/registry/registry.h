/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry.h - the rules of the model registry, on plain values.
 *
 * A model has versions, numbered from 1 without gaps or races; a number is never given
 * twice. An alias names one version of a model; `champion` is the alias of what is in
 * production, and the two go together always:
 *
 *     a version is in stage production  <=>  the alias champion points to it
 *
 * so moving `champion` archives the old production version, and the stage production
 * cannot be entered or left any other way. Nothing here does I/O; any thread.
 */
#pragma once

#include "arena/arena.h"
#include "values.h"

#include "modelbus/registry/v1/events.pb-c.h"
#include "modelbus/registry/v1/queries.pb-c.h"

typedef Modelbus__Registry__V1__Model Model;
typedef Modelbus__Registry__V1__ModelVersion ModelVersion;
typedef Modelbus__Registry__V1__Alias Alias;
typedef Modelbus__Registry__V1__Stage Stage;
typedef Modelbus__Registry__V1__PromotionPolicy PromotionPolicy;
typedef Modelbus__Registry__V1__Evaluation Evaluation;
typedef Modelbus__Registry__V1__PromotionDecided PromotionDecided;

#define STAGE(name) MODELBUS__REGISTRY__V1__STAGE__STAGE_##name /* STAGE(PRODUCTION) */

#define REGISTRY_CHAMPION "champion"
/* Packed bytes of a version's metrics, tags, features and texts: its event must fit the bus. */
#define REGISTRY_VERSION_MAX (512u << 10)

/* A new version as somebody describes it: name, run_id, description, created_by, artifact (required),
 * reference_sample, metrics, tags, feature_names. ERR_INVALID; ERR_TOO_LARGE. */
MUST_CHECK enum err_code registry_check_version(const ModelVersion *version, struct err *err);
MUST_CHECK enum err_code registry_check_model(const char *name, const char *description,
                                              Tag *const *tags, size_t tag_count, struct err *err);

const char *registry_stage_name(Stage stage); /* "production"; "unspecified" when unknown */
/* ERR_INVALID unless one of the four stages. */
MUST_CHECK enum err_code registry_check_stage(Stage stage, struct err *err);

/* ERR_CONFLICT with both revisions unless expected is 0 or revision. what: "model 'x'". */
MUST_CHECK enum err_code registry_check_revision(const char *what, int64_t revision,
                                                 int64_t expected, struct err *err);

/* Compare and set: may the alias move (or be removed) from where it is now (version 0: it points
 * nowhere), given what the caller expects? ERR_CONFLICT with both values. expected 0: whatever it is;
 * expected_version -1: it must point nowhere. */
MUST_CHECK enum err_code registry_check_alias(const Alias *now, int64_t expected_revision,
                                              int64_t expected_version, struct err *err);

/* May the version go to stage by SetStage? ERR_PRECONDITION when that would leave the champion
 * out of production. Production itself means moving the alias. */
MUST_CHECK enum err_code registry_check_stage_change(Stage from, Stage to, struct err *err);

/* ---- promotion ---- */

#define REGISTRY_MAXIMIZE "maximize"
#define REGISTRY_MINIMIZE "minimize"
#define REGISTRY_MARGIN_MAX 1e6
/* A margin that is missed by less than this share of the greater value was reached: 0.3 is better
 * than 0.2 by 0.1, which doubles do not say. */
#define REGISTRY_MARGIN_SLACK 1e-12

/* The policy's alias was checked by its own rule. ERR_INVALID. */
MUST_CHECK enum err_code registry_check_policy(const PromotionPolicy *policy, struct err *err);
/* Window, rows, at least one metric. ERR_INVALID, ERR_TOO_LARGE. */
MUST_CHECK enum err_code registry_check_evaluation(const Evaluation *evaluation, struct err *err);
/* The value of a metric, of several points the last; NULL: it is not there. Borrowed. */
const Metric *registry_metric(const Evaluation *evaluation, const char *metric);

/*
 * Fill the decision's promoted, values, margin, champion_window and reason (in arena). champion NULL:
 * no version holds the alias. Both evaluations have the metric. The challenger wins when it is better
 * by min_margin and by anything at all; NaN loses, against NaN too.
 */
void registry_judge(const PromotionPolicy *policy, const Evaluation *challenger,
                    const Evaluation *champion, struct arena *arena, PromotionDecided *decision);
