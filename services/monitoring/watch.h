/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.h - an endpoint being watched: what of its rows is in memory, and how it fills windows.
 *
 * Memory is a cache of the database: a watch is good as long as its revision is the row's, and
 * whoever changes the row gives it another one. So a transaction that fails, a partition that
 * went to another instance and a kill -9 all end the same way: it is loaded again.
 *
 * Rows go into panes. A pane that is full ends a window of rules.panes of them, which is
 * judged, and the oldest pane goes.
 *
 * The reference has two parts: the sample of the training run, and what was learned of the first
 * rows. Without a sample all columns are learned and nothing is judged meanwhile; with one, columns
 * that it lacks (outputs, mostly) are learned while the others are judged already, but not of an
 * episode's rows: they are not what they should be compared with later. A sample that comes late
 * wins for the columns that it has.
 */
#pragma once

#include "judge.h"

#include "modelbus/monitoring/v1/state.pb-c.h"

typedef Modelbus__Monitoring__V1__Monitor Monitor;
typedef Modelbus__Monitoring__V1__Reference Reference;
typedef Modelbus__Monitoring__V1__Report Report;
typedef Modelbus__Monitoring__V1__WatchState WatchState;
typedef Modelbus__Monitoring__V1__Window Window;

/* Rows compared of a window and of what was learned: with a sample (4096) 56 KiB a column, and
 * with what their words are called 61. */
#define WATCH_ROOM 1024
#define WATCH_LEARN_ROOM 2048
#define WATCH_PARTS 32 /* pieces of a pane, then they are written as one */

struct pane {
    int64_t number, start_ms, end_ms;
    int64_t opened_ms; /* its first row was handled, by our clock */
    uint64_t rows;
    uint32_t parts;
    struct reservoir *sample;
};

struct watch {
    char *workspace, *endpoint;
    int64_t revision;
    int64_t used_ms;     /* CLOCK_MONOTONIC */
    struct arena *arena; /* rules, features */
    struct rules rules;

    char *model_name;
    int64_t version, generation; /* 0: no row came yet */
    char **features;
    size_t feature_count;
    bool registered; /* features and sample are known, or known not to be */
    char *uri, *problem;
    struct reservoir *sample, *learned; /* NULL: none yet */
    uint64_t sample_rows, learned_rows; /* that they were drawn from */
    struct pane learning;               /* number 0: nothing is being learned */

    struct pane panes[RULES_PANES_MAX];
    size_t pane_count; /* the last one is being filled */
    int64_t panes_opened, windows;

    struct episode episode;
    bool judged; /* a window has been */
    int64_t since_ms;
    char episode_id[37], report_id[37];
    uint64_t rows_dropped, rows_other;
};

/* state NULL: of an endpoint that nothing is known of yet. */
struct watch *watch_new(const char *workspace, const char *endpoint, const MonitorRules *rules,
                        const WatchState *state);
void watch_free(struct watch *watch);
CLEANUP_DEFINE(struct watch, watch_free)
size_t watch_bytes(const struct watch *watch);
/* Other rules: what was gathered for a window no longer fits. */
void watch_set_rules(struct watch *watch, const MonitorRules *rules);
void watch_drop_panes(struct watch *watch); /* and what is being learned */
void watch_drop_reference(struct watch *watch);
void watch_set_features(struct watch *watch, char *const *features, size_t count);
bool watch_has_reference(const struct watch *watch);

/* Borrowed from watch or in arena. (watch_view.c) */
WatchState *watch_state(const struct watch *watch, struct arena *arena);
Monitor *watch_monitor(const struct watch *watch, struct arena *arena);
Reference *watch_reference(const struct watch *watch, struct arena *arena);
/* The window that is being filled, or the rows that are being learned when there is no reference. */
void watch_window(const struct watch *watch, Window *window);

/* Whether the rows teach something: there is no reference, or the sample lacks one of their columns and
 * no episode is open. */
bool watch_learns(const struct watch *watch, const PredictionsLogged *rows);
/* Learn from the first rows, as many as are still needed: how many. */
size_t watch_learn(struct watch *watch, const PredictionsLogged *rows, int64_t now_ms);
bool watch_learned(const struct watch *watch); /* enough rows */
void watch_end_learning(struct watch *watch);  /* they are part of the reference from now on */
void watch_drop_learning(struct watch *watch); /* what was learned so far */

/*
 * Feed rows from *first on, as far as the pane goes, and count *first on. The pane is full when
 * watch_pane_full() says so; then it is up to the caller to judge and to begin the next one.
 */
void watch_feed(struct watch *watch, const PredictionsLogged *rows, int64_t now_ms, size_t *first);
/* next_ms: of the row that would follow; 0: none does. */
bool watch_pane_full(const struct watch *watch, int64_t next_ms);
/* When the pane ends by our clock though no row comes; 0: not before more rows come. */
int64_t watch_due_ms(const struct watch *watch);
bool watch_window_full(const struct watch *watch); /* the full pane ends a window */
/* Begin another pane; the oldest goes when a window's worth is there. *gone: its number, or 0. */
void watch_next_pane(struct watch *watch, int64_t *gone);
size_t watch_room(const struct watch *watch); /* rows that a pane keeps */
