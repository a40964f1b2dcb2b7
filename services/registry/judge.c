/* SPDX-License-Identifier: Apache-2.0 */
/* judge.c - whether a challenger takes an alias, on plain values. */
#include "registry.h"

#include <math.h>
#include <string.h>

enum err_code
registry_check_policy(const PromotionPolicy *policy, struct err *err)
{
    if (value_check_name("metric", policy->metric, err))
        return err->code;
    if (strcmp(policy->direction, REGISTRY_MAXIMIZE) != 0 &&
        strcmp(policy->direction, REGISTRY_MINIMIZE) != 0)
        return err_set(err, ERR_INVALID,
                       "direction '%.40s': " REGISTRY_MAXIMIZE " or " REGISTRY_MINIMIZE
                       " is expected",
                       policy->direction);
    if (!(policy->min_margin >= 0 && policy->min_margin <= REGISTRY_MARGIN_MAX))
        return err_set(err, ERR_INVALID, "min_margin %g: 0 to %g is expected", policy->min_margin,
                       REGISTRY_MARGIN_MAX);
    return ERR_OK;
}

enum err_code
registry_check_evaluation(const Evaluation *evaluation, struct err *err)
{
    if (value_check_name("window", evaluation->window, err) ||
        value_check_metrics(evaluation->metrics, evaluation->n_metrics, err))
        return err->code;
    if (evaluation->rows < 0)
        return err_set(err, ERR_INVALID, "rows: negative");
    if (evaluation->n_metrics == 0)
        return err_set(err, ERR_INVALID, "metrics: at least one is expected");
    size_t bytes = protobuf_c_message_get_packed_size(&evaluation->base);
    if (bytes > REGISTRY_VERSION_MAX)
        return err_set(err, ERR_TOO_LARGE, "evaluation of %zu bytes, at most %u", bytes,
                       REGISTRY_VERSION_MAX);
    return ERR_OK;
}

const Metric *
registry_metric(const Evaluation *evaluation, const char *metric)
{
    for (size_t i = evaluation->n_metrics; i-- > 0;)
        if (strcmp(evaluation->metrics[i]->key, metric) == 0)
            return evaluation->metrics[i];
    return NULL;
}

static bool
better(const PromotionPolicy *policy, double challenger, double champion, double margin)
{
    if (isnan(champion))
        return !isnan(challenger);
    double slack = REGISTRY_MARGIN_SLACK * fmax(fabs(challenger), fabs(champion));
    return margin > 0 && (isinf(margin) || margin + slack >= policy->min_margin);
}

void
registry_judge(const PromotionPolicy *policy, const Evaluation *challenger,
               const Evaluation *champion, struct arena *arena, PromotionDecided *d)
{
    bool minimize = strcmp(policy->direction, REGISTRY_MINIMIZE) == 0;

    d->metric = policy->metric;
    d->direction = policy->direction;
    d->min_margin = policy->min_margin;
    d->window = challenger->window;
    d->challenger_value = registry_metric(challenger, policy->metric)->value;
    if (!champion) {
        d->promoted = !isnan(d->challenger_value);
        d->reason = arena_printf(arena, "%s %.6g; no version held the alias '%s'", policy->metric,
                                 d->challenger_value, policy->alias);
        return;
    }
    d->champion_window = champion->window;
    d->champion_value = registry_metric(champion, policy->metric)->value;
    d->margin = minimize ? d->champion_value - d->challenger_value
                         : d->challenger_value - d->champion_value;
    d->promoted = better(policy, d->challenger_value, d->champion_value, d->margin);
    d->reason =
        arena_printf(arena, "%s %.6g %s %.6g (%s, by at least %.6g)", policy->metric,
                     d->challenger_value, d->promoted ? "is better than" : "is not better than",
                     d->champion_value, policy->direction, policy->min_margin);
}
