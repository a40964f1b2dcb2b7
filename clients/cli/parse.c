/* SPDX-License-Identifier: Apache-2.0 */
/* parse.c - the command line against the table of commands. */
#include "command.h"

#include <stdlib.h>
#include <string.h>

/* Levenshtein distance of short words; longer ones are never near. */
static unsigned
distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    unsigned row[33];

    if (n > 32 || m > 32)
        return 99;
    for (size_t j = 0; j <= m; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j - 1] + 1 < change)
                change = row[j - 1] + 1;
            if (row[j] + 1 < change)
                change = row[j] + 1;
            row[j] = change;
        }
    }
    return row[m];
}

const char *
nearest_word(const char *word, const char *(*each)(void *arg, size_t i), void *arg)
{
    const char *best = NULL;
    unsigned least = strlen(word) > 3 ? 3 : 2;

    for (size_t i = 0; each(arg, i); i++) {
        unsigned d = distance(word, each(arg, i));
        if (d < least) {
            least = d;
            best = each(arg, i);
        }
    }
    return best;
}

/* Whether path is the words given, and how many words that is. */
static size_t
match_path(const char *path, char *const *words, size_t count)
{
    size_t used = 0;

    for (const char *p = path; *p;) {
        size_t len = strcspn(p, " ");
        if (used == count || strlen(words[used]) != len || strncmp(words[used], p, len) != 0)
            return 0;
        used++;
        p += len + (p[len] == ' ');
    }
    return used;
}

static const char *
path_at(void *arg, size_t i)
{
    static char word[64];
    const char *group = arg; /* NULL: first words */
    size_t skip = group ? strlen(group) + 1 : 0;

    for
        EACH_COMMAND(c)
        {
            if (c->hidden ||
                (group && (strncmp(c->path, group, skip - 1) != 0 || c->path[skip - 1] != ' ')))
                continue;
            if (i-- == 0) {
                snprintf(word, sizeof(word), "%.*s", (int)strcspn(c->path + skip, " "),
                         c->path + skip);
                return word;
            }
        }
    return NULL;
}

static bool
is_group(const char *word)
{
    size_t len = strlen(word);

    for
        EACH_COMMAND(c)
    if (strncmp(c->path, word, len) == 0 && c->path[len] == ' ')
        return true;
    return false;
}

static enum err_code
no_such_command(char *const *words, size_t count, struct err *err)
{
    const char *group = count && is_group(words[0]) ? words[0] : NULL;
    const char *word = group ? (count > 1 ? words[1] : NULL) : words[0];
    char near[64] = "";

    if (!word)
        return err_set(err, ERR_INVALID, "`modelbus %s` needs a command; see modelbus %s --help",
                       group, group);
    /* nearest_word() may return a buffer that the next candidate overwrites. */
    unsigned least = 3;
    for (size_t i = 0; path_at((void *)(uintptr_t)group, i); i++) {
        const char *candidate = path_at((void *)(uintptr_t)group, i);
        if (distance(word, candidate) < least) {
            least = distance(word, candidate);
            snprintf(near, sizeof(near), "%s", candidate);
        }
    }
    return err_set(err, ERR_INVALID, "no command '%s%s%s'%s%s%s; see modelbus %s%s--help",
                   group ? group : "", group ? " " : "", word, *near ? "; did you mean '" : "",
                   near, *near ? "'" : "", group ? group : "", group ? " " : "");
}

static const struct option_row *
find_option(const struct option_row *rows, const char *name, size_t len)
{
    for (const struct option_row *row = rows; row && row->name; row++)
        if ((strlen(row->name) == len && strncmp(row->name, name, len) == 0) ||
            (len == 1 && row->letter == name[0]))
            return row;
    return NULL;
}

static const char *
option_at(void *arg, size_t i)
{
    const struct command *command = arg;

    for (const struct option_row *row = command ? command->options : NULL; row && row->name; row++)
        if (i-- == 0)
            return row->name;
    for (const struct option_row *row = global_options; row->name; row++)
        if (i-- == 0)
            return row->name;
    return NULL;
}

/* One word that begins with a dash; *at moves on when its value is the next word. */
static enum err_code
take_option(struct cli *cli, int argc, char *const *argv, int *at, struct err *err)
{
    const char *word = argv[*at];
    const char *name = word + (word[1] == '-' ? 2 : 1);
    size_t len = strcspn(name, "=");
    const struct option_row *row =
        find_option(cli->command ? cli->command->options : NULL, name, len);

    if (!row)
        row = find_option(global_options, name, len);
    if (!row || (word[1] != '-' && len != 1)) {
        CLEANUP(mem_free) char *bare = mem_strndup(name, len);
        const char *near = nearest_word(bare, option_at, (void *)(uintptr_t)cli->command);
        return err_set(err, ERR_INVALID, "no option '%s'%s%s%s", word,
                       near ? "; did you mean '--" : "", near ? near : "", near ? "'" : "");
    }
    const char *value = name[len] == '=' ? name + len + 1 : NULL;
    if (!row->value && value)
        return err_set(err, ERR_INVALID, "--%s takes no value", row->name);
    if (row->value && !value) {
        if (*at + 1 >= argc)
            return err_set(err, ERR_INVALID, "--%s needs a value: --%s %s", row->name, row->name,
                           row->value);
        value = argv[++*at];
    }
    if (cli->given_count == CLI_OPTIONS_MAX)
        return err_set(err, ERR_INVALID, "too many options");
    cli->given[cli->given_count].row = row;
    cli->given[cli->given_count++].value = value ? value : "";
    return ERR_OK;
}

/* "NAME ALIAS [VERSION]", "[TOPIC ...]" */
static enum err_code
check_words(const struct cli *cli, struct err *err)
{
    const struct command *command = cli->command;
    size_t least = 0, most = 0;

    for (const char *p = command->args; p && *p;) {
        size_t len = strcspn(p, " ");
        if (strncmp(p, "...", 3) == 0)
            most = CLI_WORDS_MAX;
        else if (most < CLI_WORDS_MAX)
            most++;
        if (*p != '[' && *p != '.')
            least++;
        p += len + (p[len] == ' ');
    }
    if (cli->word_count < least || cli->word_count > most)
        return err_set(err, ERR_INVALID, "usage: modelbus %s%s%s", command->path,
                       *command->args ? " " : "", command->args);
    return ERR_OK;
}

enum err_code
cli_parse(struct cli *cli, int argc, char *const *argv, struct err *err)
{
    char *words[CLI_WORDS_MAX];
    size_t count = 0, used = 0;
    int first = 0;

    /* The leading words name the command; options of the program may stand before them. */
    for (; first < argc && argv[first][0] == '-' && argv[first][1]; first++)
        if (take_option(cli, argc, argv, &first, err))
            return err->code;
    for (int i = first; i < argc && i < first + 3 && argv[i][0] != '-'; i++)
        words[count++] = argv[i];
    for
        EACH_COMMAND(c)
        {
            size_t n = match_path(c->path, words, count);
            if (n > used) {
                used = n;
                cli->command = c;
            }
        }
    if (!cli->command && count) {
        /* `modelbus model --help` asks about a group. */
        if (count == 1 && is_group(words[0]))
            for (int i = first + 1; i < argc; i++)
                if (take_option(cli, argc, argv, &i, err))
                    return err->code;
        cli->words[cli->word_count++] = words[0];
        if (is_group(words[0]) && cli_option(cli, "help"))
            return ERR_OK;
        return no_such_command(words, count, err);
    }
    bool only_words = false;
    for (int i = first + (int)used; i < argc; i++) {
        if (!only_words && strcmp(argv[i], "--") == 0) {
            only_words = true;
        } else if (!only_words && argv[i][0] == '-' && argv[i][1]) {
            if (take_option(cli, argc, argv, &i, err))
                return err->code;
        } else {
            if (cli->word_count == CLI_WORDS_MAX)
                return err_set(err, ERR_INVALID, "too many words");
            cli->words[cli->word_count++] = argv[i];
        }
    }
    if (!cli->command || cli_option(cli, "help"))
        return ERR_OK;
    return check_words(cli, err);
}

const char *
cli_option(const struct cli *cli, const char *name)
{
    for (size_t i = cli->given_count; i-- > 0;)
        if (strcmp(cli->given[i].row->name, name) == 0)
            return cli->given[i].value;
    return NULL;
}

const char *
cli_option_at(const struct cli *cli, const char *name, size_t n)
{
    for (size_t i = 0; i < cli->given_count; i++)
        if (strcmp(cli->given[i].row->name, name) == 0 && n-- == 0)
            return cli->given[i].value;
    return NULL;
}

static enum err_code
to_number(const char *text, const char *what, int64_t min, int64_t max, int64_t *value,
          struct err *err)
{
    char *end;
    long long n = strtoll(text, &end, 10);

    if (!*text || *end || n < min || n > max)
        return err_set(err, ERR_INVALID, "%s: '%s' is not a number from %lld to %lld", what, text,
                       (long long)min, (long long)max);
    *value = n;
    return ERR_OK;
}

enum err_code
cli_number(const struct cli *cli, const char *name, int64_t min, int64_t max, int64_t fallback,
           int64_t *value, struct err *err)
{
    const char *text = cli_option(cli, name);
    CLEANUP(mem_free) char *what = mem_printf("--%s", name);

    if (!text) {
        *value = fallback;
        return ERR_OK;
    }
    return to_number(text, what, min, max, value, err);
}

enum err_code
cli_duration(const struct cli *cli, const char *name, int64_t fallback, int64_t *seconds,
             struct err *err)
{
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    const char *text = cli_option(cli, name);
    long long n = 0;
    char unit = 0, rest = 0;

    *seconds = text ? 0 : fallback;
    if (!text)
        return ERR_OK;
    if (sscanf(text, "%9lld%c%c", &n, &unit, &rest) == 2 && n > 0)
        for (size_t i = 0; i < ARRAY_LEN(units); i++)
            if (units[i].unit == unit)
                *seconds = n * units[i].seconds;
    if (!*seconds)
        return err_set(err, ERR_INVALID, "--%s: '%s' is not like 90d, 12h or 30m", name, text);
    return ERR_OK;
}

enum err_code
cli_word_number(const struct cli *cli, size_t at, const char *what, int64_t *value, struct err *err)
{
    return to_number(cli->words[at], what, 0, INT64_MAX, value, err);
}

const char *
cli_word(const struct cli *cli, size_t at)
{
    return at < cli->word_count ? cli->words[at] : NULL;
}

int
cli_exit_code(enum err_code code)
{
    switch (code) {
    case ERR_OK:
        return 0;
    case ERR_INVALID:
        return EXIT_USAGE;
    case ERR_NOT_FOUND:
        return 3;
    case ERR_EXISTS:
    case ERR_CONFLICT:
    case ERR_PRECONDITION:
        return 4;
    case ERR_UNAVAILABLE:
    case ERR_DEADLINE:
    case ERR_RATE_LIMITED:
    case ERR_CANCELLED:
        return 5;
    case ERR_UNAUTHENTICATED:
    case ERR_FORBIDDEN:
        return 6;
    default:
        return 1;
    }
}
