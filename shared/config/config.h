/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h - a program's settings as one alphabetical table.
 *
 * A row binds a name to a field of the program's struct, with type, default, range
 * and the sentence that docs/configuration.md prints. Sources, later ones win:
 * the row's default, a YAML file (--config FILE or <PREFIX>_CONFIG; flat `name: value`
 * in lower case), the environment (<PREFIX>_NAME), a flag (--name VALUE or
 * --name=VALUE, lower case with dashes; booleans too take a value). An unknown key, a wrong
 * type or a value out of range is an error that names source, key and what was expected, and
 * the nearest key; so is an unknown <PREFIX>_* in the environment, but for the variables that
 * Kubernetes sets for a Service of that name (<PREFIX>_SERVICE_HOST, <PREFIX>_PORT…).
 * "@PATH" as the value of a secret reads the file's first line (at most 4096 bytes).
 *
 * Values of secrets are never printed: config_print() shows "(set)" or "(not set)".
 *
 *     struct settings { char *brokers; int64_t db_conns; };
 *     static const struct config_key keys[] = {
 *         CONFIG_STR(struct settings, "BROKERS", brokers, NULL, "Kafka bootstrap host:port list"),
 *         CONFIG_INT(struct settings, "DB_CONNS", db_conns, "8", 1, 64, "PostgreSQL pool size"),
 *         CONFIG_END,
 *     };
 *
 * Field types: STR, SECRET and CHOICE char *; INT int64_t; BOOL bool; DOUBLE double.
 * Loading happens once in main() before threads start; reload is described below.
 */
#pragma once

#include "err/err.h"

#include <stdio.h>

enum config_type {
    CONFIG_TYPE_STR,
    CONFIG_TYPE_SECRET,
    CONFIG_TYPE_CHOICE,
    CONFIG_TYPE_INT,
    CONFIG_TYPE_BOOL,
    CONFIG_TYPE_DOUBLE
};

struct config_key {
    const char *name; /* UPPER_CASE without the prefix; NULL ends the table */
    enum config_type type;
    size_t offset;
    const char *fallback; /* default as text; NULL: none (STR NULL, others zero) */
    double min, max;      /* INT (inclusive) and DOUBLE */
    const char *choices;  /* CHOICE: "none|token" */
    bool required;        /* an error when no source gives it */
    bool reloadable;      /* taken over by config_reload() */
    const char *doc;
};

#define CONFIG_STR(st, n, f, def, text)                                                            \
    {                                                                                              \
        .name = n, .type = CONFIG_TYPE_STR, .offset = offsetof(st, f), .fallback = def,            \
        .doc = text                                                                                \
    }
#define CONFIG_SECRET(st, n, f, text)                                                              \
    {                                                                                              \
        .name = n, .type = CONFIG_TYPE_SECRET, .offset = offsetof(st, f), .doc = text              \
    }
#define CONFIG_CHOICE(st, n, f, def, list, text)                                                   \
    {                                                                                              \
        .name = n, .type = CONFIG_TYPE_CHOICE, .offset = offsetof(st, f), .fallback = def,         \
        .choices = list, .doc = text                                                               \
    }
#define CONFIG_INT(st, n, f, def, lo, hi, text)                                                    \
    {                                                                                              \
        .name = n, .type = CONFIG_TYPE_INT, .offset = offsetof(st, f), .fallback = def, .min = lo, \
        .max = hi, .doc = text                                                                     \
    }
#define CONFIG_BOOL(st, n, f, def, text)                                                           \
    {                                                                                              \
        .name = n, .type = CONFIG_TYPE_BOOL, .offset = offsetof(st, f), .fallback = def,           \
        .doc = text                                                                                \
    }
#define CONFIG_DOUBLE(st, n, f, def, lo, hi, text)                                                 \
    {                                                                                              \
        .name = n, .type = CONFIG_TYPE_DOUBLE, .offset = offsetof(st, f), .fallback = def,         \
        .min = lo, .max = hi, .doc = text                                                          \
    }
#define CONFIG_END                                                                                 \
    {                                                                                              \
        .name = NULL                                                                               \
    }

/* A table bound to the struct that it fills. A program may have several (the common
 * rows of every service and its own); names must not repeat among them. */
struct config_table {
    const struct config_key *keys;
    void *target;
};

struct config; /* remembers prefix, tables, file and flags for reload and printing */

/*
 * Load tables (ended by .keys == NULL; borrowed for the life of *config). args are the
 * command line without argv[0], NULL-ended or argc long; positional words are an error.
 * Strings in the targets belong to *config. ERR_INVALID, ERR_NOT_FOUND (file).
 */
MUST_CHECK enum err_code config_load(struct config **config, const char *prefix,
                                     const struct config_table *tables, int argc, char *const *argv,
                                     struct err *err);
void config_free(struct config *config);
CLEANUP_DEFINE(struct config, config_free)

/*
 * Read file and environment again and take over the rows marked reloadable; the
 * others keep their value (a changed one is named in *ignored, comma-separated, for
 * the caller to log; free() it). On an error nothing changes. Scalar fields are written with
 * relaxed atomic stores; replaced strings stay allocated until config_free(), so
 * readers never see freed memory.
 */
MUST_CHECK enum err_code config_reload(struct config *config, char **ignored, struct err *err);

/* "NAME = value (source)" a line, secrets masked. */
void config_print(const struct config *config, FILE *out);
/* A --help text: flag, environment name, default, doc. */
void config_help(const char *prefix, const struct config_table *tables, FILE *out);
/* The same rows as one JSON array of {name, environment, flag, type, choices, min, max,
 * default, required, reloadable, doc} (for docs/configuration.md). */
void config_describe(const char *prefix, const struct config_table *tables, FILE *out);
/* Parse one YAML text of flat `name: value` pairs (at most 64 KiB and 1000 names; no
 * nesting, anchors or second document); the fuzzer's entry. *pairs is a NULL-ended array
 * name, value, name, value, …, free with config_pairs_free(). */
MUST_CHECK enum err_code config_parse_yaml(const char *text, size_t len, char ***pairs,
                                           struct err *err);
void config_pairs_free(char **pairs);
