/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Windows of ten features as the monitoring service judges them by default (500 rows, Holm, three in a row): how
 * often streams without drift have an episode, and how many windows pass until a drift is one. The
 * table of docs/monitoring.md "Windows in a row". Judges nothing.
 *
 *     drift_windows [STREAMS]
 */
#include "judge.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define FEATURES 10
#define WINDOW 500
#define CALM_WINDOWS 100 /* of a stream without drift */
#define MOST_WINDOWS 50  /* until a drift is given up */

typedef Modelbus__Serving__V1__Column Column;

static uint64_t state = 88172645463325252u;

static double
uniform(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return ((double)(state >> 11) + .5) / 9007199254740992.;
}

/* Rows of normal features, the first one moved by so many sigma. */
static struct reservoir *
draw(size_t rows, double shift)
{
    static double values[FEATURES][RESERVOIR_ROOM_MAX];
    static char names[FEATURES][8];
    Column columns[FEATURES], *pointers[FEATURES];
    PredictionsLogged message = MODELBUS__SERVING__V1__PREDICTIONS_LOGGED__INIT;
    struct reservoir *r = reservoir_new(rows);

    for (size_t f = 0; f < FEATURES; f++) {
        for (size_t i = 0; i < rows; i++)
            values[f][i] = sqrt(-2 * log(uniform())) * cos(2 * M_PI * uniform()) + (f ? 0 : shift);
        snprintf(names[f], sizeof(names[f]), "x%zu", f);
        columns[f] = (Column)MODELBUS__SERVING__V1__COLUMN__INIT;
        columns[f].name = names[f];
        columns[f].doubles = values[f];
        columns[f].n_doubles = rows;
        pointers[f] = &columns[f];
    }
    message.row_count = (uint32_t)rows;
    message.features = pointers;
    message.n_features = FEATURES;
    reservoir_feed(r, &message, 0, rows);
    return r;
}

struct tally {
    size_t windows, drifted, episodes, hit; /* hit: streams that had an episode */
};

/* Windows of one stream until its first episode (most + 1: none), or all of them. */
static size_t
watch(const struct rules *rules, const struct reservoir *reference, double shift, size_t most,
      bool all, struct arena *arena, struct tally *tally)
{
    struct episode episode = {0};
    size_t first = most + 1;

    for (size_t i = 1; i <= most && (all || first > most); i++) {
        CLEANUP(reservoir_free) struct reservoir *window = draw(WINDOW, shift);
        const struct reservoir *panes[] = {window};
        const struct judge_rows rows = {.learned = reference, .panes = panes, .pane_count = 1};
        struct judgement judgement;
        arena_reset(arena);
        judge(rules, &rows, arena, &judgement);
        tally->windows++;
        tally->drifted += judgement.outcome == DRIFT_FOUND;
        if (episode_window(&episode, rules, judgement.outcome) != EPISODE_BEGINS)
            continue;
        tally->episodes++;
        if (first > most)
            first = i;
    }
    tally->hit += first <= most;
    return first;
}

static int
by_size(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;

    return (x > y) - (x < y);
}

static void
calm(const struct rules *rules, size_t reference_rows, size_t streams, struct arena *arena)
{
    struct tally t = {0};

    for (size_t s = 0; s < streams; s++) {
        CLEANUP(reservoir_free) struct reservoir *reference = draw(reference_rows, 0);
        (void)watch(rules, reference, 0, CALM_WINDOWS, true, arena, &t);
    }
    double per = 1000. / (double)streams;
    printf("| %zu | no shift | %.1f %% | %.0f episodes in %.0f of 1,000 streams of %d windows |\n",
           reference_rows, 100. * (double)t.drifted / (double)t.windows, per * (double)t.episodes,
           per * (double)t.hit, CALM_WINDOWS);
}

static void
drifted(const struct rules *rules, size_t reference_rows, double shift, size_t streams,
        struct arena *arena)
{
    CLEANUP(mem_free) size_t *first = mem_calloc(streams, sizeof(*first));
    struct tally t = {0};

    for (size_t s = 0; s < streams; s++) {
        CLEANUP(reservoir_free) struct reservoir *reference = draw(reference_rows, 0);
        first[s] = watch(rules, reference, shift, MOST_WINDOWS, false, arena, &t);
    }
    qsort(first, streams, sizeof(*first), by_size);
    printf("| %zu | %g σ | %.1f %% | ", reference_rows, shift,
           100. * (double)t.drifted / (double)t.windows);
    if (first[streams / 2] > MOST_WINDOWS)
        printf("more than %d windows", MOST_WINDOWS);
    else
        printf("%zu windows", first[streams / 2]);
    printf("; in %.0f %% of streams within %d |\n", 100. * (double)t.hit / (double)streams,
           MOST_WINDOWS);
}

int
main(int argc, char **argv)
{
    static const size_t references[] = {1000, 4096};
    static const double shifts[] = {.1, .2, .3, .5, 1};
    CLEANUP(arena_free) struct arena *arena = arena_new(0, 0);
    MonitorRules message = MODELBUS__MONITORING__V1__MONITOR_RULES__INIT;
    struct rules rules = rules_of(&message);
    size_t streams = argc > 1 ? (size_t)strtoul(argv[1], NULL, 10) : 1000;

    if (streams == 0) {
        fprintf(stderr, "usage: drift_windows [STREAMS]\n");
        return 2;
    }
    printf("| reference rows | shift | windows with drift | episodes |\n|---|---|---|---|\n");
    for (size_t r = 0; r < ARRAY_LEN(references); r++) {
        calm(&rules, references[r], streams, arena);
        fflush(stdout);
        for (size_t i = 0; i < ARRAY_LEN(shifts); i++) {
            drifted(&rules, references[r], shifts[i], (streams + 4) / 5, arena);
            fflush(stdout);
        }
    }
    return 0;
}
