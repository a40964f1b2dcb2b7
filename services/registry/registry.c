/* SPDX-License-Identifier: Apache-2.0 */
/* registry.c - the rules of the model registry. */
#include "registry.h"

#include <inttypes.h>
#include <string.h>

enum err_code
registry_check_version(const ModelVersion *version, struct err *err)
{
    if (value_check_model_name(version->name, err) ||
        value_check_text("run_id", version->run_id, VALUE_NAME_MAX, err) ||
        value_check_text("description", version->description, VALUE_TEXT_MAX, err) ||
        value_check_artifact("artifact", version->artifact, true, err) ||
        value_check_artifact("reference_sample", version->reference_sample, false, err) ||
        value_check_metrics(version->metrics, version->n_metrics, err) ||
        value_check_tags("tags", version->tags, version->n_tags, err) ||
        value_check_features(version->feature_names, version->n_feature_names, err))
        return err->code;
    size_t bytes = protobuf_c_message_get_packed_size(&version->base);
    if (bytes > REGISTRY_VERSION_MAX)
        return err_set(err, ERR_TOO_LARGE, "version of model '%s': %zu bytes, at most %u",
                       version->name, bytes, REGISTRY_VERSION_MAX);
    return ERR_OK;
}

enum err_code
registry_check_model(const char *name, const char *description, Tag *const *tags, size_t tag_count,
                     struct err *err)
{
    if (value_check_model_name(name, err) ||
        value_check_text("description", description, VALUE_TEXT_MAX, err) ||
        value_check_tags("tags", tags, tag_count, err))
        return err->code;
    return ERR_OK;
}

const char *
registry_stage_name(Stage stage)
{
    switch (stage) {
    case STAGE(NONE):
        return "none";
    case STAGE(STAGING):
        return "staging";
    case STAGE(PRODUCTION):
        return "production";
    case STAGE(ARCHIVED):
        return "archived";
    default:
        return "unspecified";
    }
}

enum err_code
registry_check_stage(Stage stage, struct err *err)
{
    if (stage < STAGE(NONE) || stage > STAGE(ARCHIVED))
        return err_set(err, ERR_INVALID, "stage: none, staging, production or archived");
    return ERR_OK;
}

enum err_code
registry_check_revision(const char *what, int64_t revision, int64_t expected, struct err *err)
{
    if (expected && expected != revision)
        return err_set(err, ERR_CONFLICT,
                       "%s is at revision %" PRId64 ", not at the expected %" PRId64, what,
                       revision, expected);
    return ERR_OK;
}

enum err_code
registry_check_alias(const Alias *now, int64_t expected_revision, int64_t expected_version,
                     struct err *err)
{
    if (expected_revision && expected_revision != now->revision)
        return err_set(err, ERR_CONFLICT,
                       "alias '%s' is at revision %" PRId64 " (version %" PRId64
                       "), not at the expected revision %" PRId64,
                       now->alias, now->revision, now->version, expected_revision);
    if (expected_version && (expected_version < 0 ? 0 : expected_version) != now->version)
        return err_set(err, ERR_CONFLICT,
                       "alias '%s' points to version %" PRId64 " (revision %" PRId64
                       "), not to the expected %" PRId64,
                       now->alias, now->version, now->revision,
                       expected_version < 0 ? 0 : expected_version);
    return ERR_OK;
}

enum err_code
registry_check_stage_change(Stage from, Stage to, struct err *err)
{
    if (from == STAGE(PRODUCTION) && to != STAGE(PRODUCTION))
        return err_set(err, ERR_PRECONDITION,
                       "the version is the champion: move the alias '%s' to another version "
                       "first, or remove it",
                       REGISTRY_CHAMPION);
    return ERR_OK;
}
