/* SPDX-License-Identifier: Apache-2.0 */
/* drift_columns.c - cells of two files as two columns of one kind, or the finding that they are not. */
#include "drift_check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define EVIDENTLY_INTEGERS 10 /* different ones, up to which Evidently takes them for categories */

bool
drift_named(char *const *names, const char *name)
{
    for (; names && *names; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

static void
say(struct checked *c, enum drift_outcome outcome, const char *finding, char *text)
{
    c->outcome = outcome;
    c->finding = finding;
    free(c->text);
    c->text = text;
}

/* Columns that cannot be compared at all. */
static bool
refused(struct checked *c, const struct check *check, const struct table_info *ref,
        const struct table_info *cur)
{
    const struct table_info *sides[] = {ref, cur};
    bool forced = drift_named(check->categorical, c->name);

    if (!cur->present) {
        say(c, DRIFT_FOUND, "column_gone", mem_printf("not in %s", check->paths[TABLE_CUR]));
        return true;
    }
    if (!ref->present) {
        say(c, DRIFT_ABSENT, "column_new", mem_printf("not in %s", check->paths[TABLE_REF]));
        return true;
    }
    for (size_t s = 0; s < 2; s++) {
        if (sides[s]->words_lost) {
            say(c, DRIFT_UNDECIDED, "too_many_words",
                mem_printf("%s has more different words than can be compared", check->paths[s]));
            return true;
        }
        const struct table_info *other = sides[1 - s];
        if (!forced && sides[s]->words && !other->words && other->numbers) {
            bool numbers_before = s == TABLE_CUR;
            if (!numbers_before && sides[s]->numbers)
                continue;
            say(c, DRIFT_FOUND, "type_changed",
                mem_printf("%s: %zu of %zu values are words (first '%.40s', line %zu), all %zu of "
                           "%s are numbers",
                           check->paths[s], sides[s]->words, sides[s]->words + sides[s]->numbers,
                           sides[s]->first_word, sides[s]->first_word_line, other->numbers,
                           check->paths[1 - s]));
            return true;
        }
    }
    if (drift_named(check->numeric, c->name) && (ref->words || cur->words)) {
        say(c, DRIFT_UNDECIDED, "not_numbers", mem_strdup("--numeric, but there are words"));
        return true;
    }
    return false;
}

static enum drift_kind
kind_of(const struct check *check, const struct checked *c, struct drift_side *side)
{
    const struct drift_side *cur = &side[TABLE_CUR];

    if (side[TABLE_REF].info.words || cur->info.words || drift_named(check->categorical, c->name))
        return DRIFT_CATEGORICAL;
    if (drift_named(check->numeric, c->name) || check->plan.profile != DRIFT_EVIDENTLY)
        return DRIFT_NUMERIC;
    /* Evidently goes by the current column alone. */
    if (!cur->info.integers)
        return DRIFT_NUMERIC;
    struct drift_column numbers = {.numbers = cur->cells.numbers, .rows = cur->cells.number_count};
    return drift_distinct(&numbers, &numbers, EVIDENTLY_INTEGERS) > EVIDENTLY_INTEGERS
               ? DRIFT_NUMERIC
               : DRIFT_CATEGORICAL;
}

/* Words of which more than half are different: Evidently compares them as text, by a classifier. */
static bool
is_text(struct check *check, const struct drift_side *cur)
{
    size_t different = 0;

    for (size_t i = 0; i < cur->cells.word_count; i++)
        different += check->codes[cur->cells.words[i]]++ == DRIFT_MISSING;
    for (size_t i = 0; i < cur->cells.word_count; i++)
        check->codes[cur->cells.words[i]] = DRIFT_MISSING;
    return 2 * different > cur->cells.word_count;
}

/* pandas has no type for truth values of which some are missing, and so Evidently has none. */
static bool
is_broken_truth(const struct check *check, const struct drift_side *cur)
{
    bool truth = cur->info.missing && cur->cells.word_count && !cur->cells.number_count;

    for (size_t i = 0; i < cur->cells.word_count && truth; i++) {
        const char *word = table_word(check->table, cur->cells.words[i]);
        truth = strcasecmp(word, "true") == 0 || strcasecmp(word, "false") == 0;
    }
    return truth;
}

/* What Evidently refuses by the current column's type, unless the type is given. */
static bool
evidently_refuses(struct check *check, struct checked *c, const struct drift_side *cur)
{
    if (check->plan.profile != DRIFT_EVIDENTLY || drift_named(check->categorical, c->name))
        return false;
    if (is_broken_truth(check, cur))
        say(c, DRIFT_UNDECIDED, "kind_unknown",
            mem_strdup("truth values with missing ones: Evidently does not know their kind "
                       "(--categorical compares them)"));
    else if (is_text(check, cur))
        say(c, DRIFT_UNDECIDED, "text",
            mem_strdup("more than half of the words are different: Evidently takes them for text "
                       "(--categorical compares them)"));
    return c->finding != NULL;
}

static struct drift_plan
plan_of(const struct check *check, const char *name)
{
    const struct column_rule *rule = column_rules_find(&check->rules, name);
    struct drift_plan plan = check->plan;

    if (rule && rule->method) {
        (void)drift_method_from_name(rule->method, plan.profile, &plan.method); /* was checked */
        plan.threshold = NAN; /* of another method it means something else */
    }
    if (rule && !isnan(rule->threshold))
        plan.threshold = rule->threshold;
    return plan;
}

static void
compare(struct check *check, struct checked *c, struct drift_side *side)
{
    struct drift_column *ref = &side[TABLE_REF].column, *cur = &side[TABLE_CUR].column;
    struct drift_plan plan = plan_of(check, c->name);
    double missing_threshold = .05;

    drift_compare(ref, cur, &plan, &c->verdict);
    c->compared = true;
    c->digest = drift_digest(ref);
    if (!isnan(plan.threshold) && c->verdict.comparator[0] == '<')
        missing_threshold = plan.threshold;
    if (plan.profile == DRIFT_NATIVE && (c->verdict.missing_ref || c->verdict.missing_cur)) {
        c->missing = mem_zalloc(sizeof(*c->missing));
        drift_compare_missing(ref, cur, missing_threshold, c->missing);
    }
    if (!c->labels[0])
        c->bars = DRIFT_BARS;
    c->low = c->high = NAN;
    drift_histogram(ref, cur, c->bars ? c->bars : 1, c->ref_bars, c->cur_bars, &c->low, &c->high);
    if (!c->labels[0] && isnan(c->low))
        c->bars = 0;
}

enum err_code
drift_check_column(struct check *check, size_t column, struct checked *c, struct err *err)
{
    struct drift_side side[TABLE_SIDES] = {0};
    enum err_code code = ERR_OK;

    for (size_t s = 0; s < TABLE_SIDES; s++)
        table_column_info(check->table, column, (enum table_side)s, &side[s].info);
    c->name = table_column_name(check->table, column);
    if (refused(c, check, &side[TABLE_REF].info, &side[TABLE_CUR].info))
        return ERR_OK;
    for (size_t s = 0; s < TABLE_SIDES && !code; s++) {
        code = table_load(check->table, column, (enum table_side)s, &side[s].cells, err);
        side[s].column = (struct drift_column){.numbers = side[s].cells.numbers,
                                               .rows = side[s].cells.number_count,
                                               .missing = side[s].info.missing,
                                               .integers = side[s].info.integers};
    }
    if (!code) {
        c->kind = kind_of(check, c, side);
        side[TABLE_REF].column.kind = side[TABLE_CUR].column.kind = c->kind;
        if (!evidently_refuses(check, c, &side[TABLE_CUR])) {
            if (c->kind == DRIFT_CATEGORICAL && !drift_to_codes(check, c, side))
                say(c, DRIFT_UNDECIDED, "too_many_words", mem_strdup("too many categories"));
            else
                compare(check, c, side);
        }
    }
    for (size_t s = 0; s < TABLE_SIDES; s++) {
        table_cells_done(&side[s].cells);
        free(side[s].codes);
    }
    return code;
}

void
drift_settle(struct checked *c)
{
    const struct drift_verdict *v = &c->verdict, *m = c->missing;

    if (!c->compared)
        return;
    c->outcome = v->outcome;
    if (m && m->outcome == DRIFT_FOUND) {
        c->outcome = DRIFT_FOUND;
        say(c, DRIFT_FOUND, "missing_changed",
            mem_printf("missing values: %.3g %% of the reference, %.3g %% now (p %.3g)",
                       100. * (double)m->missing_ref / (double)m->n_ref,
                       100. * (double)m->missing_cur / (double)m->n_cur, m->p_adjusted));
    } else if (c->outcome == DRIFT_UNDECIDED) {
        say(c, DRIFT_UNDECIDED, "undecided", mem_strdup(v->reason));
    }
}
