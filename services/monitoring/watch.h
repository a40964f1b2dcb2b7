/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.h - an endpoint being watched: what of its rows is in memory, and how it fills windows.
 *
 * Memory is a cache of the database: a watch is good as long as its revision is the row's, and
 * whoever changes the row gives it another one. So a transaction that fails, a partition that
 * went to another instance and a kill -9 all end the same way: it is loaded again.
 *
 * Rows go into panes. A pane that is full ends a window of rules.panes of them, which is
 * judged, and the oldest pane goes. Until there is a reference, rows make one.
 */
#pragma once

#include "judge.h"

#include "modelbus/monitoring/v1/state.pb-c.h"

typedef Modelbus__Monitoring__V1__Monitor Monitor;
typedef Modelbus__Monitoring__V1__Reference Reference;
typedef Modelbus__Monitoring__V1__Report Report;
typedef Modelbus__Monitoring__V1__WatchState WatchState;
typedef Modelbus__Monitoring__V1__Window Window;

#define WATCH_ROOM 1024 /* rows compared of a window: with the reference 40 KiB a column */
#define WATCH_PARTS 32  /* pieces of a pane, then they are written as one */

struct pane {
    int64_t number, start_ms, end_ms;
    uint64_t rows;
    uint32_t parts;
    struct reservoir *sample;
};

enum reference_kind { REFERENCE_NONE, REFERENCE_SAMPLE, REFERENCE_ROWS_SEEN };

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
    enum reference_kind kind;
    char *uri, *problem;
    uint64_t reference_rows;
    struct reservoir *reference; /* NULL: none yet */

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
void watch_drop_panes(struct watch *watch);
void watch_drop_reference(struct watch *watch);
void watch_set_features(struct watch *watch, char *const *features, size_t count);

/* Borrowed from watch or in arena. */
WatchState *watch_state(const struct watch *watch, struct arena *arena);
Monitor *watch_monitor(const struct watch *watch, struct arena *arena);
Reference *watch_reference(const struct watch *watch, struct arena *arena);

/*
 * Feed rows from *first on, as far as the pane goes, and count *first on. The pane is full when
 * watch_pane_full() says so; then it is up to the caller to judge and to begin the next one.
 * ERR_TOO_LARGE: too many columns.
 */
MUST_CHECK enum err_code watch_feed(struct watch *watch, const PredictionsLogged *rows,
                                    int64_t now_ms, size_t *first, struct err *err);
/* next_ms: of the row that would follow; 0: none does. */
bool watch_pane_full(const struct watch *watch, int64_t next_ms);
/* The full pane becomes the reference. */
void watch_learn(struct watch *watch);
bool watch_window_full(const struct watch *watch); /* the full pane ends a window */
void watch_window(const struct watch *watch, Window *window);
/* Begin another pane; the oldest goes when a window's worth is there. *gone: its number, or 0. */
void watch_next_pane(struct watch *watch, int64_t *gone);
struct pane *watch_filling(struct watch *watch); /* NULL: none */
size_t watch_room(const struct watch *watch);    /* rows that a pane keeps */
