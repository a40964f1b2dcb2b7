/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command.h - one row a command: what it is called, what it takes, what it does.
 *
 * Each cmd_*.c ends with its table; commands.c lists the tables. Dispatch, --help, the shell
 * completions and the suggestions for misspelt words all come from these rows, so a
 * new command is a handler and a row.
 */
#pragma once

#include "err/err.h"

#include <jansson.h>
#include <stdio.h>

/* What completes a word: shell words separated by spaces, or one of these. */
#define COMPLETE_FILE "<file>"
#define COMPLETE_FOLDER "<folder>"
#define COMPLETE_SERVICE "<service>"
#define COMPLETE_EVENT "<event>"
#define COMPLETE_TOPIC "<topic>"

struct option_row {
    const char *name;  /* without the dashes; NULL ends the list */
    const char *value; /* "N"; NULL: a switch */
    const char *doc;
    const char *complete; /* of its value; NULL: none */
    char letter;          /* short form; 0: none */
};

struct cli;
typedef enum err_code (*command_handler)(struct cli *cli, struct err *err);

struct command {
    const char *path; /* "model alias"; NULL ends a table */
    const char *args; /* "NAME ALIAS VERSION", "[TOPIC ...]"; checked against the words given */
    const char *doc;  /* one sentence, imperative */
    command_handler run;
    const struct option_row *options; /* own ones; NULL: none. The global ones apply everywhere */
    const char *examples;             /* lines; NULL: none */
    const char *complete;             /* of its positional words; NULL: none */
    bool hidden;
};

/* NULL-ended lists. */
extern const struct command *const command_tables[];
extern const struct option_row global_options[];
#define EACH_COMMAND(c)                                                                            \
    (const struct command *const *table_ = command_tables; *table_;                                \
     table_++) for (const struct command *c = *table_; c->path; c++)

#define CLI_WORDS_MAX 64
#define CLI_OPTIONS_MAX 256 /* some may be given once for each column */

/* One call of the program. */
struct cli {
    const struct command *command;
    const char *words[CLI_WORDS_MAX]; /* positional */
    size_t word_count;
    struct {
        const struct option_row *row;
        const char *value;
    } given[CLI_OPTIONS_MAX];
    size_t given_count;
    bool json, color;
    json_t *env;   /* of the local folder; settings.c reads it on first use */
    int exit_code; /* of a handler that did its work and has an answer to tell by it */
};

/*
 * Find the command of argv and sort its words. ERR_INVALID, with the nearest right word, is
 * exit code 2. *cli is filled as far as the words could be read, also on an error.
 */
MUST_CHECK enum err_code cli_parse(struct cli *cli, int argc, char *const *argv, struct err *err);
/* Value of an option; NULL when not given. A switch gives "". */
const char *cli_option(const struct cli *cli, const char *name);
/* Of an option that was given several times the n-th value, from 0; NULL: there are no more. */
const char *cli_option_at(const struct cli *cli, const char *name, size_t n);
/* The same as a number; fallback when not given. */
MUST_CHECK enum err_code cli_number(const struct cli *cli, const char *name, int64_t min,
                                    int64_t max, int64_t fallback, int64_t *value, struct err *err);
/* The same as a time, "90d", "12h", "30m", "45s", in seconds. */
MUST_CHECK enum err_code cli_duration(const struct cli *cli, const char *name, int64_t fallback,
                                      int64_t *seconds, struct err *err);
/* A positional word as a number. */
MUST_CHECK enum err_code cli_word_number(const struct cli *cli, size_t at, const char *what,
                                         int64_t *value, struct err *err);
/* Positional word at index; NULL when there are fewer. */
const char *cli_word(const struct cli *cli, size_t at);

/* Exit code of an error, as `modelbus --help` lists them. */
int cli_exit_code(enum err_code code);
#define EXIT_USAGE 2

void help_program(FILE *out);
void help_group(const char *group, FILE *out);
void help_command(const struct command *command, FILE *out);
/* The nearest of the words that begin a command, or of a command's options; NULL: none is near. */
const char *nearest_word(const char *word, const char *(*each)(void *arg, size_t i), void *arg);

extern const struct command alert_commands[], artifact_commands[], completion_commands[],
    deploy_commands[], dlq_commands[], drift_commands[], endpoint_commands[], event_commands[],
    label_commands[], local_commands[], monitor_commands[], model_commands[], pipeline_commands[],
    pipeline_run_commands[], predict_commands[], promotion_commands[], query_commands[],
    run_commands[], token_commands[], version_commands[], worker_commands[];
