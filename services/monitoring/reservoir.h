/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reservoir.h - rows drawn evenly from a stream, in bounded memory.
 *
 * However many rows are fed, each is among the kept ones with the same probability (J. S. Vitter,
 * "Random sampling with a reservoir", ACM TOMS 11(1), 1985, algorithm R); until `room` rows came,
 * all are. Whole rows are kept, column by column, eight bytes a cell: a number, or for a word the
 * FNV-1a of its text, which is enough to count categories and bounds what a word can cost. Where
 * words are to be named as well, the texts of the most frequent ones are kept (A. Metwally et al.,
 * "Efficient computation of frequent and top-k elements", ICDT 2005: Space-Saving).
 *
 * What changed since the last call can be packed, and packed pieces be applied in their order to an
 * empty reservoir to get the same rows again (on another machine too: little endian).
 *
 * Columns come with the rows. A column that a row does not have is missing in it. One thread.
 */
#pragma once

#include "buf/buf.h"

#include "modelbus/serving/v1/events.pb-c.h"

typedef Modelbus__Serving__V1__PredictionsLogged PredictionsLogged;

#define RESERVOIR_COLUMNS_MAX 4096
#define RESERVOIR_CELLS_MAX ((size_t)2 << 20) /* room shrinks to this: 16 MiB */
#define RESERVOIR_ROOM_MAX 4096
#define RESERVOIR_NAME_MAX 250
#define RESERVOIR_TEXTS 32 /* of a column */
#define RESERVOIR_TEXT_MAX 64

struct reservoir_text {
    uint64_t word;
    uint32_t count;
    char text[RESERVOIR_TEXT_MAX + 1]; /* UTF-8, cut */
};

struct reservoir_column {
    char *name;
    bool output; /* else a feature */
    bool words;  /* cells are hashes; 0: missing */
    bool mixed;  /* some rows had a number and others a word: those that came second are missing */
    bool floats; /* every number came as a float */
    bool integers;                /* every number came as an integer */
    bool fresh;                   /* not packed yet */
    uint64_t *cells;              /* room of them; of numbers the double's bits, NaN: missing */
    struct reservoir_text *texts; /* RESERVOIR_TEXTS of them, or NULL */
    size_t text_count;
};

struct reservoir {
    size_t room; /* rows that are kept at most */
    uint64_t seen;
    struct reservoir_column *columns;
    size_t column_count, column_room;
    uint64_t random;
    uint8_t *dirty; /* room of them */
    bool changed;
    bool texts;        /* are kept, of words that come from now on */
    uint32_t left_out; /* columns of a message that have no place, at most */
};

/* room: 1 … RESERVOIR_ROOM_MAX. */
struct reservoir *reservoir_new(size_t room);
void reservoir_free(struct reservoir *reservoir);
CLEANUP_DEFINE(struct reservoir, reservoir_free)

size_t reservoir_rows(const struct reservoir *reservoir); /* kept */
size_t reservoir_bytes(const struct reservoir *reservoir);
const struct reservoir_column *reservoir_find(const struct reservoir *reservoir, const char *name,
                                              bool output);

bool reservoir_missing(const struct reservoir_column *column, size_t row); /* of the kept ones */

/* ERR_INVALID: lists of another length than row_count, names that are not text, a column twice. */
MUST_CHECK enum err_code reservoir_check(const PredictionsLogged *rows, struct err *err);
/* The rows [first, first + count) of a message that reservoir_check() took. The first
 * RESERVOIR_COLUMNS_MAX columns are kept, others counted. */
void reservoir_feed(struct reservoir *reservoir, const PredictionsLogged *rows, size_t first,
                    size_t count);

/* A column of numbers or words for rows that do not come as a stream; cells: room of them, and texts
 * are taken. ERR_TOO_LARGE: there is no place. */
MUST_CHECK enum err_code reservoir_add_column(struct reservoir *reservoir,
                                              const struct reservoir_column *column,
                                              struct err *err);
uint64_t reservoir_word(const char *text, size_t len); /* never 0 but for an empty text */
/* A row of column has the word: keep its text if it is frequent. Its hash. */
uint64_t reservoir_note(struct reservoir_column *column, const char *text, size_t len);
const char *reservoir_text(const struct reservoir_column *column, uint64_t word); /* or NULL */

/* What changed since the last call is appended to buf; with all, everything. */
void reservoir_pack(struct reservoir *reservoir, bool all, struct buf *buf);
/* ERR_INTERNAL: not packed by reservoir_pack(). */
MUST_CHECK enum err_code reservoir_apply(struct reservoir *reservoir, const void *data, size_t len,
                                         struct err *err);
