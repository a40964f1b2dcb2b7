/* SPDX-License-Identifier: Apache-2.0 */
/* test_config.c - every source, their precedence, and what is refused. */
#include "config/config.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct own {
    char *brokers, *auth, *db_url;
    int64_t db_conns;
    bool verbose;
    double rate;
};
struct common {
    char *log_level;
    char *name;
};

static struct own own;
static struct common common;

static const struct config_key own_keys[] = {
    CONFIG_CHOICE(struct own, "AUTH", auth, "token", "none|token", "who may call"),
    CONFIG_STR(struct own, "BROKERS", brokers, NULL, "Kafka bootstrap list"),
    CONFIG_INT(struct own, "DB_CONNS", db_conns, "8", 1, 64, "pool size"),
    CONFIG_SECRET(struct own, "DB_URL", db_url, "PostgreSQL URL"),
    CONFIG_DOUBLE(struct own, "RATE", rate, "0.5", 0, 1, "share"),
    CONFIG_BOOL(struct own, "VERBOSE", verbose, "false", "say more"),
    CONFIG_END,
};
static const struct config_key common_keys[] = {
    {.name = "LOG_LEVEL",
     .type = CONFIG_TYPE_STR,
     .offset = offsetof(struct common, log_level),
     .fallback = "info",
     .reloadable = true,
     .doc = "level"},
    CONFIG_STR(struct common, "NAME", name, NULL, "name"),
    CONFIG_END,
};
static const struct config_table tables[] = {
    {common_keys, &common}, {own_keys, &own}, {NULL, NULL}};

static char path[64];
static struct err err;

static void
write_file(const char *text)
{
    if (!path[0]) {
        strcpy(path, "/tmp/modelbus-config-XXXXXX");
        int fd = mkstemp(path);
        cr_assert_geq(fd, 0);
        close(fd);
    }
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
}

static void
tear_down(void)
{
    if (path[0])
        unlink(path);
}

TestSuite(config, .fini = tear_down);

static enum err_code
load(struct config **config, const char *first, const char *second)
{
    char *argv[] = {(char *)first, (char *)second, NULL};

    return config_load(config, "TESTING", tables, first ? second ? 2 : 1 : 0, argv, &err);
}

static void
refused(const char *first, const char *second, enum err_code code, const char *message)
{
    struct config *config = NULL;

    cr_assert_eq(load(&config, first, second), code);
    cr_assert_null(config);
    cr_assert(strstr(err.message, message), "'%s' lacks '%s'", err.message, message);
}

Test(config, defaults)
{
    CLEANUP(config_free) struct config *config = NULL;

    cr_assert_eq(load(&config, NULL, NULL), ERR_OK, "%s", err.message);
    cr_assert_null(own.brokers);
    cr_assert_null(own.db_url);
    cr_assert_eq(own.db_conns, 8);
    cr_assert_eq(own.rate, 0.5);
    cr_assert_not(own.verbose);
    cr_assert_str_eq(own.auth, "token");
    cr_assert_str_eq(common.log_level, "info");
}

Test(config, file_environment_and_flag_in_ascending_order)
{
    CLEANUP(config_free) struct config *config = NULL;

    write_file("brokers: from-file\ndb_conns: 9\nlog_level: warn\nverbose: yes\n");
    setenv("TESTING_CONFIG", path, 1);
    setenv("TESTING_DB_CONNS", "10", 1);
    setenv("TESTING_LOG_LEVEL", "error", 1);
    cr_assert_eq(load(&config, "--log-level", "debug"), ERR_OK, "%s", err.message);
    cr_assert_str_eq(own.brokers, "from-file");
    cr_assert(own.verbose);
    cr_assert_eq(own.db_conns, 10);
    cr_assert_str_eq(common.log_level, "debug");
}

Test(config, flags_in_both_forms_and_a_file_by_flag)
{
    CLEANUP(config_free) struct config *config = NULL;
    char flag[100];

    write_file("name: \"a b\"\n");
    snprintf(flag, sizeof(flag), "--config=%s", path);
    cr_assert_eq(load(&config, flag, "--rate=1e-1"), ERR_OK, "%s", err.message);
    cr_assert_str_eq(common.name, "a b");
    cr_assert_eq(own.rate, 0.1);
}

Test(config, unknown_names_of_each_source_name_the_nearest)
{
    refused("--db-cons", "3", ERR_INVALID,
            "command line: no setting 'db-cons' (did you mean DB_CONNS?)");
    setenv("TESTING_BROKER", "x", 1);
    refused(NULL, NULL, ERR_INVALID, "environment: no setting 'BROKER' (did you mean BROKERS?)");
    unsetenv("TESTING_BROKER");
    write_file("dburl: x\n");
    refused("--config", path, ERR_INVALID, "no setting 'dburl' (did you mean DB_URL?)");
}

Test(config, other_programs_variables_and_kubernetes_service_links_are_let_be)
{
    CLEANUP(config_free) struct config *config = NULL;

    setenv("TESTINGX_BROKER", "x", 1);
    setenv("TESTING", "x", 1);
    setenv("TESTING_SERVICE_HOST", "10.0.0.1", 1);
    setenv("TESTING_SERVICE_PORT_HTTP", "80", 1);
    setenv("TESTING_PORT", "tcp://10.0.0.1:80", 1);
    setenv("TESTING_PORT_80_TCP_ADDR", "10.0.0.1", 1);
    cr_assert_eq(load(&config, NULL, NULL), ERR_OK, "%s", err.message);
}

Test(config, wrong_types_and_ranges_say_what_was_expected)
{
    refused("--db-conns", "65", ERR_INVALID,
            "DB_CONNS (flag): expected a whole number from 1 to 64, got '65'");
    refused("--db-conns", "0", ERR_INVALID, "from 1 to 64");
    refused("--db-conns", "8x", ERR_INVALID, "whole number");
    refused("--db-conns", " 8", ERR_INVALID, "whole number");
    refused("--db-conns", "", ERR_INVALID, "whole number");
    refused("--db-conns", "99999999999999999999", ERR_INVALID, "whole number");
    refused("--rate", "1.5", ERR_INVALID, "a number from 0 to 1");
    refused("--rate", "nan", ERR_INVALID, "a number from 0 to 1");
    refused("--verbose", "maybe", ERR_INVALID, "true or false");
    refused("--auth", "tok", ERR_INVALID, "one of none|token");
}

Test(config, malformed_command_lines)
{
    refused("word", NULL, ERR_INVALID, "unexpected argument 'word'");
    refused("--", NULL, ERR_INVALID, "unexpected argument");
    refused("--brokers", NULL, ERR_INVALID, "--brokers needs a value");
    refused("--config", "/no/such/file", ERR_NOT_FOUND, "/no/such/file");
}

Test(config, a_required_row_must_come_from_somewhere)
{
    static struct common target;
    const struct config_key keys[] = {{.name = "NAME",
                                       .type = CONFIG_TYPE_STR,
                                       .offset = offsetof(struct common, name),
                                       .required = true,
                                       .doc = "who"},
                                      CONFIG_END};
    const struct config_table required[] = {{keys, &target}, {NULL, NULL}};
    CLEANUP(config_free) struct config *config = NULL;

    cr_assert_eq(config_load(&config, "TESTING", required, 0, NULL, &err), ERR_INVALID);
    cr_assert_str_eq(err.message, "NAME is required: who");
    setenv("TESTING_NAME", "x", 1);
    cr_assert_eq(config_load(&config, "TESTING", required, 0, NULL, &err), ERR_OK);
}

static void
printed(struct config *config, char *text, size_t size)
{
    FILE *out = fmemopen(text, size, "w");

    config_print(config, out);
    fclose(out);
}

Test(config, secrets_come_from_files_and_are_never_printed)
{
    CLEANUP(config_free) struct config *config = NULL;
    char value[100], text[2000];

    write_file("hunter2\nsecond line\n");
    snprintf(value, sizeof(value), "@%s", path);
    cr_assert_eq(load(&config, "--db-url", value), ERR_OK, "%s", err.message);
    cr_assert_str_eq(own.db_url, "hunter2");
    printed(config, text, sizeof(text));
    cr_assert_null(strstr(text, "hunter2"));
    cr_assert(strstr(text, "TESTING_DB_URL = (set) (flag)\n"), "%s", text);
    cr_assert(strstr(text, "TESTING_DB_CONNS = 8 (default)\n"), "%s", text);
    cr_assert(strstr(text, "TESTING_BROKERS = (not set) (none)\n"), "%s", text);
}

Test(config, a_secrets_file_that_is_away_or_empty_is_an_error)
{
    char value[100];

    refused("--db-url", "@/no/such/file", ERR_NOT_FOUND, "DB_URL (flag)");
    write_file("\nhunter2\n");
    snprintf(value, sizeof(value), "@%s", path);
    refused("--db-url", value, ERR_INVALID, "is empty");
}

Test(config, reload_takes_over_what_is_reloadable)
{
    CLEANUP(config_free) struct config *config = NULL;
    CLEANUP(mem_free) char *ignored = NULL;

    write_file("log_level: warn\nbrokers: a\n");
    setenv("TESTING_CONFIG", path, 1);
    cr_assert_eq(load(&config, NULL, NULL), ERR_OK);
    char *before = common.log_level;
    write_file("log_level: error\nbrokers: b\nrate: 0.25\n");
    cr_assert_eq(config_reload(config, &ignored, &err), ERR_OK, "%s", err.message);
    cr_assert_str_eq(common.log_level, "error");
    cr_assert_str_eq(before, "warn"); /* readers may still hold it */
    cr_assert_str_eq(own.brokers, "a");
    cr_assert_str_eq(ignored, "BROKERS,RATE");
}

Test(config, reload_keeps_the_old_values_on_an_error)
{
    CLEANUP(config_free) struct config *config = NULL;
    char *ignored = NULL;

    write_file("log_level: warn\n");
    setenv("TESTING_CONFIG", path, 1);
    cr_assert_eq(load(&config, NULL, NULL), ERR_OK);
    write_file("log_level: error\ndb_conns: many\n");
    cr_assert_eq(config_reload(config, &ignored, &err), ERR_INVALID);
    cr_assert_null(ignored);
    cr_assert_str_eq(common.log_level, "warn");
}

Test(config, flags_still_win_after_a_reload)
{
    CLEANUP(config_free) struct config *config = NULL;
    CLEANUP(mem_free) char *ignored = NULL;

    write_file("log_level: warn\n");
    setenv("TESTING_CONFIG", path, 1);
    cr_assert_eq(load(&config, "--log-level=debug", NULL), ERR_OK);
    cr_assert_eq(config_reload(config, &ignored, &err), ERR_OK);
    cr_assert_str_eq(common.log_level, "debug");
    cr_assert_str_eq(ignored, "");
}

static enum err_code
yaml(const char *text)
{
    char **pairs = NULL;
    enum err_code code = config_parse_yaml(text, strlen(text), &pairs, &err);

    if (code == ERR_OK)
        config_pairs_free(pairs);
    return code;
}

Test(config, yaml_is_flat_and_one_document)
{
    cr_assert_eq(yaml(""), ERR_OK);
    cr_assert_eq(yaml("# nothing\n"), ERR_OK);
    cr_assert_eq(yaml("{a: 1, b: 2}"), ERR_OK);
    cr_assert_eq(yaml("a: {b: 1}"), ERR_INVALID);
    cr_assert_eq(yaml("a: [1]"), ERR_INVALID);
    cr_assert_eq(yaml("- a"), ERR_INVALID);
    cr_assert_eq(yaml("a: &x 1\nb: *x"), ERR_INVALID);
    cr_assert_eq(yaml("a: 1\n---\nb: 2"), ERR_INVALID);
    cr_assert_eq(yaml("a: \"x\\0y\""), ERR_INVALID);
    cr_assert_eq(yaml("a: 1\nb: 2\na: 3"), ERR_INVALID);
    cr_assert(strstr(err.message, "line 3: 'a' is given twice"), "%s", err.message);
    cr_assert_eq(yaml("a: [1"), ERR_INVALID);
}

Test(config, yaml_is_bounded)
{
    CLEANUP(mem_free) char *large = mem_alloc((64 << 10) + 1);
    CLEANUP(mem_free) char *many = mem_zalloc(16 * 1024);
    char **pairs;
    size_t used = 0;

    memset(large, '#', (64 << 10) + 1);
    cr_assert_eq(config_parse_yaml(large, (64 << 10) + 1, &pairs, &err), ERR_TOO_LARGE);
    for (int i = 0; i <= 1000; i++)
        used += (size_t)sprintf(many + used, "k%d: v\n", i);
    cr_assert_eq(config_parse_yaml(many, used, &pairs, &err), ERR_TOO_LARGE);
}

Test(config, help_and_description_have_each_row)
{
    char text[8000] = "";
    FILE *out = fmemopen(text, sizeof(text), "w");

    config_help("TESTING", tables, out);
    config_describe("TESTING", tables, out);
    fclose(out);
    cr_assert(strstr(text, "--db-conns VALUE  (TESTING_DB_CONNS)"));
    cr_assert(strstr(text, "\"name\":\"DB_CONNS\",\"environment\":\"TESTING_DB_CONNS\",\"flag\":"
                           "\"--db-conns\",\"type\":\"int\",\"choices\":null,\"min\":1,\"max\":64,"
                           "\"default\":\"8\""),
              "%s", text);
    cr_assert(strstr(text, "taken over on SIGHUP"));
}
