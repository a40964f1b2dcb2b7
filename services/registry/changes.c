/* SPDX-License-Identifier: Apache-2.0 */
/* changes.c - changes of the registry with the events that they cause. */
#include "changes.h"

#include <inttypes.h>
#include <string.h>

enum err_code
change_register(const struct change *change, ModelVersion *version, struct err *err)
{
    Modelbus__Registry__V1__ModelRegistered event = MODELBUS__REGISTRY__V1__MODEL_REGISTERED__INIT;

    version->created_at_ms = change->now_ms;
    version->created_by = (char *)change->by;
    version->stage = STAGE(NONE);
    version->revision = 1;
    if (registry_check_version(version, err) ||
        store_add_version(&change->store, version, &version->version, err))
        return err->code;
    event.model_name = version->name;
    event.version = version->version;
    event.run_id = version->run_id;
    event.artifact = version->artifact;
    event.metrics = version->metrics;
    event.n_metrics = version->n_metrics;
    event.tags = version->tags;
    event.n_tags = version->n_tags;
    event.feature_names = version->feature_names;
    event.n_feature_names = version->n_feature_names;
    event.reference_sample = version->reference_sample;
    event.registered_at_ms = version->created_at_ms;
    event.registered_by = version->created_by;
    return change_say(change, &event.base, err);
}

static MUST_CHECK enum err_code
put_stage(const struct change *change, const char *name, int64_t version, Stage from, Stage to,
          struct err *err)
{
    Modelbus__Registry__V1__StageChanged event = MODELBUS__REGISTRY__V1__STAGE_CHANGED__INIT;

    if (from == to)
        return ERR_OK;
    if (store_set_stage(&change->store, name, version, to, err))
        return err->code;
    event.model_name = (char *)name;
    event.version = version;
    event.from_stage = (char *)registry_stage_name(from);
    event.to_stage = (char *)registry_stage_name(to);
    event.changed_by = (char *)change->by;
    event.changed_at_ms = change->now_ms;
    return change_say(change, &event.base, err);
}

/* Production follows the champion: the old one is archived before the new one enters. */
static MUST_CHECK enum err_code
follow_champion(const struct change *change, const char *name, const ModelVersion *champion,
                struct err *err)
{
    int64_t production;

    if (store_production(&change->store, name, &production, err))
        return err->code;
    if (production && (!champion || production != champion->version) &&
        put_stage(change, name, production, STAGE(PRODUCTION), STAGE(ARCHIVED), err))
        return err->code;
    if (!champion)
        return ERR_OK;
    return put_stage(change, name, champion->version, champion->stage, STAGE(PRODUCTION), err);
}

/* With the model's row locked. target NULL: remove. */
static MUST_CHECK enum err_code
move_alias(const struct change *change, const struct alias_move *move, const Alias *now,
           const ModelVersion *target, Alias *moved, struct err *err)
{
    Modelbus__Registry__V1__AliasMoved event = MODELBUS__REGISTRY__V1__ALIAS_MOVED__INIT;

    moved->alias = (char *)move->alias;
    moved->version = move->version;
    moved->moved_at_ms = change->now_ms;
    moved->moved_by = (char *)change->by;
    if (store_move_alias(&change->store, move->name, moved, err))
        return err->code;
    if (now->version && store_touch_version(&change->store, move->name, now->version, err))
        return err->code;
    if (target && store_touch_version(&change->store, move->name, move->version, err))
        return err->code;
    event.model_name = (char *)move->name;
    event.alias = moved->alias;
    event.version = moved->version;
    event.previous_version = now->version;
    event.revision = moved->revision;
    event.moved_by = moved->moved_by;
    event.moved_at_ms = moved->moved_at_ms;
    event.artifact = target ? target->artifact : NULL;
    event.reason = (char *)move->reason;
    if (change_say(change, &event.base, err))
        return err->code;
    return strcmp(move->alias, REGISTRY_CHAMPION) == 0
               ? follow_champion(change, move->name, target, err)
               : ERR_OK;
}

enum err_code
change_alias(const struct change *change, const struct alias_move *move, Alias *moved,
             int64_t *previous, struct err *err)
{
    Alias now = MODELBUS__REGISTRY__V1__ALIAS__INIT;
    ModelVersion *target = NULL;

    if (store_lock_model(&change->store, move->name, err) ||
        store_get_alias(&change->store, move->name, move->alias, &now, err))
        return err->code;
    if (move->version == 0 && now.version == 0)
        return err_set(err, ERR_NOT_FOUND, "model '%s' has no alias '%s'", move->name, move->alias);
    if (move->version &&
        store_get_version(&change->store, move->name, move->version, "", &target, err))
        return err->code;
    if (registry_check_alias(&now, move->expected_revision, move->expected_version, err))
        return err->code;
    *previous = now.version;
    if (now.version == move->version) {
        *moved = now;
        return ERR_OK;
    }
    return move_alias(change, move, &now, target, moved, err);
}

enum err_code
change_stage(const struct change *change, const char *name, int64_t version, Stage stage,
             int64_t expected_revision, struct err *err)
{
    ModelVersion *found;
    Alias moved = MODELBUS__REGISTRY__V1__ALIAS__INIT;
    Alias now = MODELBUS__REGISTRY__V1__ALIAS__INIT;

    if (registry_check_stage(stage, err) || store_lock_model(&change->store, name, err) ||
        store_get_version(&change->store, name, version, "", &found, err) ||
        registry_check_revision("the version", found->revision, expected_revision, err) ||
        registry_check_stage_change(found->stage, stage, err))
        return err->code;
    if (stage != STAGE(PRODUCTION) || found->stage == STAGE(PRODUCTION))
        return put_stage(change, name, version, found->stage, stage, err);
    struct alias_move move = {
        .name = name, .alias = REGISTRY_CHAMPION, .version = version, .reason = "stage production"};
    if (store_get_alias(&change->store, name, REGISTRY_CHAMPION, &now, err))
        return err->code;
    return move_alias(change, &move, &now, found, &moved, err);
}

enum err_code
change_delete_version(const struct change *change, const char *name, int64_t version,
                      struct err *err)
{
    Modelbus__Registry__V1__VersionDeleted event = MODELBUS__REGISTRY__V1__VERSION_DELETED__INIT;
    ModelVersion *found;

    if (store_lock_model(&change->store, name, err) ||
        store_get_version(&change->store, name, version, "", &found, err))
        return err->code;
    if (found->n_aliases)
        return err_set(err, ERR_PRECONDITION,
                       "alias '%s' points to version %" PRId64 " of model '%s'", found->aliases[0],
                       version, name);
    if (store_delete_version(&change->store, name, version, err))
        return err->code;
    event.model_name = (char *)name;
    event.version = version;
    event.deleted_by = (char *)change->by;
    event.deleted_at_ms = change->now_ms;
    return change_say(change, &event.base, err);
}
