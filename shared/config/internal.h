/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h - what config.c, source.c, value.c and describe.c share. */
#pragma once

#include "config/config.h"

enum source { SOURCE_NONE, SOURCE_DEFAULT, SOURCE_FILE, SOURCE_ENV, SOURCE_FLAG };

/* What the sources say about one row; text is owned. */
struct setting {
    const struct config_key *key;
    void *target; /* the struct that key->offset counts from */
    char *text;   /* as given, NULL: nowhere; "@PATH" is not resolved */
    enum source source;
};

/* All rows of all tables, in their order. */
struct settings {
    struct setting *rows;
    size_t count;
};

struct config {
    char *prefix;
    char *file;   /* path of the YAML file, NULL: none */
    char **flags; /* name, value, …, NULL; names as in the tables */
    struct settings settings;
    char **strings; /* every string that a target ever pointed to */
    size_t string_count;
};

/* A value of a row's type. The string is owned. */
union value {
    char *string;
    int64_t integer;
    double number;
    bool boolean;
};

const char *config_source_name(enum source source);

/* "db_conns" or "db-conns" gives "DB_CONNS". free() it. */
char *config_canonical(const char *name);
struct setting *config_settings_find(struct settings *settings, const char *name);
/* The name of the row that name may have meant, NULL: none near. */
const char *config_settings_nearest(const struct settings *settings, const char *name);

void config_settings_init(struct settings *settings, const struct config_table *tables);
void config_settings_done(struct settings *settings);
/* Fill rows from default, file, environment and flags, in this order. */
MUST_CHECK enum err_code config_settings_collect(struct settings *settings, const char *prefix,
                                                 const char *file, char *const *flags,
                                                 struct err *err);

/* The command line as name, value pairs (canonical names, NULL-ended, owned); --config
 * goes to *file. */
MUST_CHECK enum err_code config_parse_flags(const struct settings *settings, int argc,
                                            char *const *argv, char ***flags, char **file,
                                            struct err *err);

/* Text of a row as a value of its type, within its range; text NULL gives NULL or zero. */
MUST_CHECK enum err_code config_value_parse(const struct setting *setting, union value *value,
                                            struct err *err);
bool config_value_is_string(const struct config_key *key);
