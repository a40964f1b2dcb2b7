/* SPDX-License-Identifier: Apache-2.0 */
/* test_registry_rules.c - the rules of the registry, and the bounds of shared values. */
#include "registry.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define URI "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static struct err err;

Test(values, model_names)
{
    static const char *const good[] = {"a", "iris", "Iris 2.1-b", "_x", "9"};
    static const char *const bad[] = {"", " a", "a ", "-a", ".a", "a/b", "a:b", "a\nb", "\xc3\xa9"};
    char longest[202];

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        cr_expect_eq(value_check_model_name(good[i], &err), ERR_OK, "'%s'", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_eq(value_check_model_name(bad[i], &err), ERR_INVALID, "'%s'", bad[i]);
    memset(longest, 'x', sizeof(longest));
    longest[200] = '\0';
    cr_expect_eq(value_check_model_name(longest, &err), ERR_OK);
    longest[200] = 'x';
    longest[201] = '\0';
    cr_expect_eq(value_check_model_name(longest, &err), ERR_INVALID);
}

Test(values, alias_names)
{
    static const char *const good[] = {"champion", "v", "v1a", "_", "a-b", "V12"};
    static const char *const bad[] = {"", "latest", "v1", "v12", "1a", "-a", "a b", "a,b", "a.b"};

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        cr_expect_eq(value_check_alias(good[i], &err), ERR_OK, "'%s'", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_eq(value_check_alias(bad[i], &err), ERR_INVALID, "'%s'", bad[i]);
}

Test(values, texts_are_utf8_without_control_characters)
{
    static const char *const bad[] = {"\xff",     "\xc3",  "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                      "\xc0\xaf", "a\x01", "\x7f"};

    cr_expect_eq(value_check_text("t", "caf\xc3\xa9 \xf0\x9f\x98\x80\n\t", 100, &err), ERR_OK);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_eq(value_check_text("t", bad[i], 100, &err), ERR_INVALID, "%zu", i);
    cr_expect_eq(value_check_text("t", "12345", 4, &err), ERR_INVALID);
    cr_expect_eq(value_check_name("t", "a\nb", &err), ERR_INVALID);
}

Test(values, tags_have_bounded_unique_keys)
{
    Tag a = MODELBUS__COMMON__V1__TAG__INIT, b = MODELBUS__COMMON__V1__TAG__INIT;
    Tag *tags[VALUE_TAGS_MAX + 1] = {&a, &b};

    a.key = "x";
    b.key = "y";
    cr_expect_eq(value_check_tags("tags", tags, 2, &err), ERR_OK);
    b.key = "x";
    cr_expect_eq(value_check_tags("tags", tags, 2, &err), ERR_INVALID);
    b.key = "";
    cr_expect_eq(value_check_tags("tags", tags, 2, &err), ERR_INVALID);
    cr_expect_eq(value_check_tags("tags", tags, VALUE_TAGS_MAX + 1, &err), ERR_INVALID);
}

Test(registry, a_version_needs_an_artifact_by_digest)
{
    Artifact artifact = MODELBUS__COMMON__V1__ARTIFACT__INIT;
    ModelVersion version = MODELBUS__REGISTRY__V1__MODEL_VERSION__INIT;

    version.name = "iris";
    cr_expect_eq(registry_check_version(&version, &err), ERR_INVALID);
    version.artifact = &artifact;
    cr_expect_eq(registry_check_version(&version, &err), ERR_INVALID);
    artifact.uri = "s3://bucket/model";
    cr_expect_eq(registry_check_version(&version, &err), ERR_INVALID);
    artifact.uri = URI;
    cr_expect_eq(registry_check_version(&version, &err), ERR_OK, "%s", err.message);
}

Test(registry, a_version_must_fit_one_event)
{
    enum { VALUE = 7000 };
    Artifact artifact = MODELBUS__COMMON__V1__ARTIFACT__INIT;
    ModelVersion version = MODELBUS__REGISTRY__V1__MODEL_VERSION__INIT;
    static char text[VALUE + 1], keys[VALUE_TAGS_MAX][8];
    static Tag tags[VALUE_TAGS_MAX];
    Tag *list[VALUE_TAGS_MAX];

    memset(text, 'x', VALUE);
    artifact.uri = URI;
    version.name = "iris";
    version.artifact = &artifact;
    version.tags = list;
    for (size_t i = 0; i < VALUE_TAGS_MAX; i++) {
        tags[i] = (Tag)MODELBUS__COMMON__V1__TAG__INIT;
        snprintf(keys[i], sizeof(keys[i]), "k%zu", i);
        tags[i].key = keys[i];
        tags[i].value = text;
        list[i] = &tags[i];
    }
    version.n_tags = 70;
    cr_expect_eq(registry_check_version(&version, &err), ERR_OK);
    version.n_tags = VALUE_TAGS_MAX;
    cr_expect_eq(registry_check_version(&version, &err), ERR_TOO_LARGE);
}

Test(registry, compare_and_set_names_both_values)
{
    Alias now = MODELBUS__REGISTRY__V1__ALIAS__INIT;

    now.alias = "champion";
    now.version = 7;
    now.revision = 42;
    cr_expect_eq(registry_check_alias(&now, 0, 0, &err), ERR_OK);
    cr_expect_eq(registry_check_alias(&now, 42, 7, &err), ERR_OK);
    cr_expect_eq(registry_check_alias(&now, 41, 0, &err), ERR_CONFLICT);
    cr_expect(strstr(err.message, "42") && strstr(err.message, "41"), "%s", err.message);
    cr_expect_eq(registry_check_alias(&now, 0, 6, &err), ERR_CONFLICT);
    cr_expect(strstr(err.message, "7") && strstr(err.message, "6"), "%s", err.message);
    cr_expect_eq(registry_check_alias(&now, 0, -1, &err), ERR_CONFLICT);
    now.version = 0;
    cr_expect_eq(registry_check_alias(&now, 0, -1, &err), ERR_OK);
}

Test(registry, the_champion_stays_in_production)
{
    cr_expect_eq(registry_check_stage_change(STAGE(PRODUCTION), STAGE(ARCHIVED), &err),
                 ERR_PRECONDITION);
    cr_expect_eq(registry_check_stage_change(STAGE(PRODUCTION), STAGE(PRODUCTION), &err), ERR_OK);
    cr_expect_eq(registry_check_stage_change(STAGE(NONE), STAGE(STAGING), &err), ERR_OK);
    cr_expect_eq(registry_check_stage(STAGE(UNSPECIFIED), &err), ERR_INVALID);
    cr_expect_eq(registry_check_stage((Stage)9, &err), ERR_INVALID);
}
