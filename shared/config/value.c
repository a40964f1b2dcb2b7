/* SPDX-License-Identifier: Apache-2.0 */
/* value.c - a row's text as a value of its type. */
#include "config/internal.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SECRET_MAX_BYTES 4096

bool
config_value_is_string(const struct config_key *key)
{
    return key->type == CONFIG_TYPE_STR || key->type == CONFIG_TYPE_SECRET ||
           key->type == CONFIG_TYPE_CHOICE;
}

static enum err_code
expected(const struct setting *s, struct err *err, const char *what)
{
    return err_set(err, ERR_INVALID, "%s (%s): expected %s, got '%.100s'", s->key->name,
                   config_source_name(s->source), what, s->text);
}

static enum err_code
read_secret(const struct setting *s, char **secret, struct err *err)
{
    char line[SECRET_MAX_BYTES + 2];
    const char *path = s->text + 1;
    FILE *file = fopen(path, "re");

    if (!file)
        return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_INVALID, "%s (%s): file '%s': %s",
                       s->key->name, config_source_name(s->source), path, strerror(errno));
    bool got = fgets(line, sizeof(line), file) != NULL;
    fclose(file);
    size_t len = got ? strcspn(line, "\r\n") : 0;
    enum err_code code = ERR_OK;
    if (len == 0)
        code = err_set(err, ERR_INVALID, "%s (%s): the first line of file '%s' is empty",
                       s->key->name, config_source_name(s->source), path);
    else if (len > SECRET_MAX_BYTES)
        code = err_set(err, ERR_TOO_LARGE, "%s (%s): the first line of file '%s' is too long",
                       s->key->name, config_source_name(s->source), path);
    else
        *secret = mem_strndup(line, len);
    explicit_bzero(line, sizeof(line));
    return code;
}

static enum err_code
parse_choice(const struct setting *s, char **choice, struct err *err)
{
    size_t len = strlen(s->text);

    for (const char *p = s->key->choices; *p;) {
        size_t n = strcspn(p, "|");
        if (n == len && memcmp(p, s->text, n) == 0) {
            *choice = mem_strdup(s->text);
            return ERR_OK;
        }
        p += n + (p[n] == '|');
    }
    char *what = mem_printf("one of %s", s->key->choices);
    enum err_code code = expected(s, err, what);
    free(what);
    return code;
}

static enum err_code
parse_int(const struct setting *s, int64_t *integer, struct err *err)
{
    char what[80];
    char *end;

    errno = 0;
    long long n = strtoll(s->text, &end, 10);
    /* strtoll skips blanks; we do not. */
    bool number = end != s->text && *end == '\0' && strchr("+-0123456789", s->text[0]);
    if (number && errno == 0 && (double)n >= s->key->min && (double)n <= s->key->max) {
        *integer = n;
        return ERR_OK;
    }
    snprintf(what, sizeof(what), "a whole number from %.0f to %.0f", s->key->min, s->key->max);
    return expected(s, err, what);
}

static enum err_code
parse_double(const struct setting *s, double *number, struct err *err)
{
    char what[80];
    char *end;
    double x = strtod(s->text, &end);

    if (end != s->text && *end == '\0' && strspn(s->text, "+-.0123456789eE") == strlen(s->text) &&
        isfinite(x) && x >= s->key->min && x <= s->key->max) {
        *number = x;
        return ERR_OK;
    }
    snprintf(what, sizeof(what), "a number from %g to %g", s->key->min, s->key->max);
    return expected(s, err, what);
}

static enum err_code
parse_bool(const struct setting *s, bool *boolean, struct err *err)
{
    static const char *const yes[] = {"true", "yes", "on", "1"};
    static const char *const no[] = {"false", "no", "off", "0"};

    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        bool is_yes = strcasecmp(s->text, yes[i]) == 0;
        if (is_yes || strcasecmp(s->text, no[i]) == 0) {
            *boolean = is_yes;
            return ERR_OK;
        }
    }
    return expected(s, err, "true or false");
}

enum err_code
config_value_parse(const struct setting *s, union value *value, struct err *err)
{
    memset(value, 0, sizeof(*value));
    if (!s->text)
        return ERR_OK;
    switch (s->key->type) {
    case CONFIG_TYPE_STR:
        value->string = mem_strdup(s->text);
        return ERR_OK;
    case CONFIG_TYPE_SECRET:
        if (s->text[0] == '@')
            return read_secret(s, &value->string, err);
        value->string = mem_strdup(s->text);
        return ERR_OK;
    case CONFIG_TYPE_CHOICE:
        return parse_choice(s, &value->string, err);
    case CONFIG_TYPE_INT:
        return parse_int(s, &value->integer, err);
    case CONFIG_TYPE_BOOL:
        return parse_bool(s, &value->boolean, err);
    case CONFIG_TYPE_DOUBLE:
        return parse_double(s, &value->number, err);
    }
    return err_set(err, ERR_INTERNAL, "%s: unknown type", s->key->name);
}
