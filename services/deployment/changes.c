/* SPDX-License-Identifier: Apache-2.0 */
/* changes.c - changes of endpoints with the events that they cause. */
#include "changes.h"
#include "service.h"

#include <inttypes.h>
#include <string.h>

int64_t
change_pods_since(const struct change *change)
{
    const struct deployment_settings *settings = change->service->spec->config_target;

    return change->now_ms - __atomic_load_n(&settings->pod_timeout_s, __ATOMIC_RELAXED) * 1000;
}

enum err_code
change_say_state(struct outbox *outbox, struct db_conn *db, const char *workspace,
                 const struct endpoint *endpoint, struct err *err)
{
    Modelbus__Deployment__V1__EndpointState state = MODELBUS__DEPLOYMENT__V1__ENDPOINT_STATE__INIT;

    state.endpoint = (char *)endpoint->name;
    state.workspace = (char *)workspace;
    state.generation = endpoint->generation;
    state.deleted = endpoint->deleted;
    state.updated_at_ms = endpoint->updated_at_ms;
    if (!endpoint->deleted) {
        state.target = endpoint->target;
        state.fallback = deployment_fallback(endpoint, endpoint->target);
    }
    return outbox_publish(outbox, db, workspace, &state.base, err);
}

/* A new desired state of a locked endpoint. rollback_before 0: this generation's own. */
static MUST_CHECK enum err_code
deploy(const struct change *change, struct endpoint *endpoint, Target *target, const char *reason,
       const char *detail, int64_t rollback_before, struct err *err)
{
    Modelbus__Deployment__V1__ModelDeployed event = MODELBUS__DEPLOYMENT__V1__MODEL_DEPLOYED__INIT;
    EndpointChange entry = MODELBUS__DEPLOYMENT__V1__ENDPOINT_CHANGE__INIT;

    event.previous = endpoint->target;
    endpoint->target = target;
    endpoint->generation++;
    endpoint->updated_at_ms = change->now_ms;
    endpoint->detail = "";
    entry.generation = endpoint->generation;
    entry.target = target;
    entry.reason = (char *)reason;
    entry.detail = (char *)detail;
    entry.changed_by = (char *)change->by;
    entry.changed_at_ms = change->now_ms;
    if (store_update_endpoint(&change->store, endpoint, err) ||
        store_add_change(&change->store, endpoint->name, &entry,
                         rollback_before ? rollback_before : entry.generation, err) ||
        store_forget_pods(&change->store, endpoint->name, change_pods_since(change), err))
        return err->code;
    event.endpoint = (char *)endpoint->name;
    event.generation = endpoint->generation;
    event.target = target;
    event.reason = (char *)reason;
    event.deployed_by = (char *)change->by;
    event.deployed_at_ms = change->now_ms;
    if (change_say(change, &event.base, err))
        return err->code;
    return change_say_state(change->outbox, change->store.db, change->store.workspace, endpoint,
                            err);
}

static MUST_CHECK enum err_code
find_target(const struct change *change, const struct endpoint *endpoint, Target **target,
            struct err *err)
{
    return store_find_version(&change->store, endpoint->model_name, endpoint->fixed_version,
                              endpoint->alias, target, err);
}

static void
bind(struct endpoint *endpoint, const struct binding *binding, int64_t now_ms)
{
    endpoint->model_name = binding->model_name;
    endpoint->alias = binding->alias;
    endpoint->fixed_version = binding->version;
    endpoint->held = false;
    endpoint->detail = "";
    endpoint->updated_at_ms = now_ms;
}

enum err_code
change_create(const struct change *change, const char *name, const struct binding *binding,
              struct err *err)
{
    struct endpoint *old, *endpoint;
    Target *target;

    if (store_lock_model(&change->store, binding->model_name, false, err) ||
        store_find_endpoint(&change->store, name, &old, err))
        return err->code;
    if (old && !old->deleted)
        return err_set(err, ERR_EXISTS, "endpoint '%s' exists", name);
    endpoint = arena_zalloc(change->store.arena, sizeof(*endpoint));
    endpoint->name = name;
    endpoint->generation = old ? old->generation : 0;
    endpoint->created_at_ms = change->now_ms;
    bind(endpoint, binding, change->now_ms);
    if ((old ? store_update_endpoint(&change->store, endpoint, err)
             : store_add_endpoint(&change->store, endpoint, err)) ||
        find_target(change, endpoint, &target, err))
        return err->code;
    return target ? deploy(change, endpoint, target, DEPLOYMENT_CREATED, "", 0, err) : ERR_OK;
}

enum err_code
change_update(const struct change *change, const char *name, const struct binding *binding,
              int64_t expected_generation, struct err *err)
{
    struct binding wanted = *binding;
    struct endpoint *endpoint;
    Target *target;

    if (!wanted.model_name) {
        if (store_get_endpoint(&change->store, name, STORE_READ, &endpoint, err))
            return err->code;
        wanted.model_name = endpoint->model_name;
    }
    if (store_lock_model(&change->store, wanted.model_name, false, err) ||
        store_get_endpoint(&change->store, name, STORE_LOCK, &endpoint, err) ||
        deployment_check_generation(endpoint, expected_generation, err))
        return err->code;
    bind(endpoint, &wanted, change->now_ms);
    if (find_target(change, endpoint, &target, err))
        return err->code;
    if (!target && endpoint->target)
        endpoint->detail = "keeps its target until the version that it is bound to is known";
    if (!target || deployment_same_version(target, endpoint->target))
        return store_update_endpoint(&change->store, endpoint, err);
    const char *reason = !endpoint->target ? DEPLOYMENT_CREATED
                         : *wanted.alias   ? DEPLOYMENT_ALIAS_SET
                                           : DEPLOYMENT_VERSION_SET;
    return deploy(change, endpoint, target, reason, "", 0, err);
}

enum err_code
change_delete(const struct change *change, const char *name, struct err *err)
{
    Modelbus__Deployment__V1__EndpointDeleted event =
        MODELBUS__DEPLOYMENT__V1__ENDPOINT_DELETED__INIT;
    struct endpoint *endpoint;

    if (store_get_endpoint(&change->store, name, STORE_LOCK, &endpoint, err))
        return err->code;
    endpoint->deleted = true;
    endpoint->held = false;
    endpoint->target = endpoint->good = NULL;
    endpoint->generation++;
    endpoint->updated_at_ms = change->now_ms;
    if (store_update_endpoint(&change->store, endpoint, err) ||
        store_forget_pods(&change->store, name, INT64_MAX, err))
        return err->code;
    event.endpoint = (char *)name;
    event.generation = endpoint->generation;
    event.deleted_by = (char *)change->by;
    event.deleted_at_ms = change->now_ms;
    if (change_say(change, &event.base, err))
        return err->code;
    return change_say_state(change->outbox, change->store.db, change->store.workspace, endpoint,
                            err);
}

/* Where a rollback goes: *before is for the new entry of the history. */
static MUST_CHECK enum err_code
rollback_target(const struct change *change, const struct endpoint *endpoint, int64_t to_version,
                const struct avoided *avoided, Target **target, int64_t *before, struct err *err)
{
    struct history_entry *stored;
    size_t count;
    bool more;

    if (store_list_changes(&change->store, endpoint->name, INT64_MAX, DEPLOYMENT_HISTORY_MAX,
                           &stored, &count, &more, err))
        return err->code;
    const struct history_entry *entries = stored;
    if (avoided)
        entries = deployment_avoid(stored, count, avoided->model_name, avoided->versions,
                                   avoided->count, change->store.arena);
    const struct history_entry *entry = deployment_rollback(entries, count, to_version, before);
    *target = entry ? entry->change->target : NULL;
    if (entry)
        return ERR_OK;
    if (!to_version)
        return err_set(
            err, ERR_PRECONDITION,
            "endpoint '%s' has no earlier version that was served well%s to roll back to",
            endpoint->name, avoided && avoided->count ? " and was not left because of drift" : "");
    if (store_find_version(&change->store, endpoint->target->model_name, to_version, "", target,
                           err))
        return err->code;
    if (!*target)
        return err_set(err, ERR_NOT_FOUND, "model '%s' has no version %" PRId64,
                       endpoint->target->model_name, to_version);
    return ERR_OK;
}

enum err_code
change_go_back(const struct change *change, struct endpoint *endpoint, int64_t to_version,
               const struct avoided *avoided, const char *reason, struct err *err)
{
    Modelbus__Deployment__V1__RolledBack event = MODELBUS__DEPLOYMENT__V1__ROLLED_BACK__INIT;
    int64_t before;

    event.from = endpoint->target;
    if (rollback_target(change, endpoint, to_version, avoided, &event.to, &before, err))
        return err->code;
    endpoint->held = true;
    if (deploy(change, endpoint, event.to, DEPLOYMENT_ROLLED_BACK, reason, before, err))
        return err->code;
    event.endpoint = (char *)endpoint->name;
    event.generation = endpoint->generation;
    event.reason = (char *)reason;
    event.requested_by = (char *)change->by;
    event.rolled_back_at_ms = change->now_ms;
    return change_say(change, &event.base, err);
}

enum err_code
change_rollback(const struct change *change, const char *name, int64_t to_version,
                const char *reason, int64_t expected_generation, struct err *err)
{
    struct endpoint *endpoint;

    if (store_get_endpoint(&change->store, name, STORE_LOCK, &endpoint, err) ||
        deployment_check_generation(endpoint, expected_generation, err))
        return err->code;
    if (!endpoint->target)
        return err_set(err, ERR_PRECONDITION, "endpoint '%s' has served nothing yet", name);
    if (to_version == endpoint->target->version)
        return err_set(err, ERR_PRECONDITION, "version %" PRId64 " is the target already",
                       to_version);
    return change_go_back(change, endpoint, to_version, NULL, reason, err);
}

/* ---- what the registry says ---- */

static MUST_CHECK enum err_code
deploy_waiting(const struct change *change, const char *name, Target *target, struct err *err)
{
    struct endpoint *endpoint;

    if (store_get_endpoint(&change->store, name, STORE_LOCK, &endpoint, err))
        return err->code;
    return deploy(change, endpoint, target,
                  endpoint->target ? DEPLOYMENT_VERSION_SET : DEPLOYMENT_CREATED, "", 0, err);
}

enum err_code
change_version_known(const struct change *change, Target *target, struct err *err)
{
    const char **waiting;
    size_t count;

    if (store_lock_model(&change->store, target->model_name, true, err) ||
        store_learn_version(&change->store, target, &waiting, &count, err))
        return err->code;
    for (size_t i = 0; i < count; i++)
        if (deploy_waiting(change, waiting[i], target, err))
            return err_wrap(err, "endpoint '%s'", waiting[i]);
    return ERR_OK;
}

static MUST_CHECK enum err_code
follow_alias(const struct change *change, const char *name, const char *alias, int64_t version,
             Target *target, struct err *err)
{
    struct endpoint *endpoint;

    if (store_get_endpoint(&change->store, name, STORE_LOCK, &endpoint, err))
        return err->code;
    bool deployed = endpoint->target != NULL;
    switch (deployment_on_alias(endpoint, version)) {
    case DEPLOYMENT_STAY:
        if (!*endpoint->detail)
            return ERR_OK;
        endpoint->detail = "";
        return store_update_endpoint(&change->store, endpoint, err);
    case DEPLOYMENT_RELEASE:
        endpoint->held = false;
        endpoint->detail = "";
        return store_update_endpoint(&change->store, endpoint, err);
    case DEPLOYMENT_KEEP:
        endpoint->detail = arena_printf(change->store.arena, "alias '%s' was removed%s", alias,
                                        deployed ? "; its last target stays" : "");
        return store_update_endpoint(&change->store, endpoint, err);
    case DEPLOYMENT_DEPLOY_IT:
        break;
    }
    endpoint->held = false;
    return deploy(change, endpoint, target, deployed ? DEPLOYMENT_ALIAS_MOVED : DEPLOYMENT_CREATED,
                  "", 0, err);
}

enum err_code
change_alias_moved(const struct change *change, const Modelbus__Registry__V1__AliasMoved *event,
                   struct err *err)
{
    Target said = MODELBUS__DEPLOYMENT__V1__TARGET__INIT;
    Target *target = NULL;
    const char **names;
    size_t count;
    bool newer;

    if (store_lock_model(&change->store, event->model_name, false, err) ||
        (event->version &&
         store_find_version(&change->store, event->model_name, event->version, "", &target, err)))
        return err->code;
    if (event->version && !target) {
        /* Its ModelRegistered is gone from the bus; the move names the artifact as well. */
        said.model_name = event->model_name;
        said.version = event->version;
        said.artifact = event->artifact;
        target = &said;
        if (store_learn_version(&change->store, target, &names, &count, err))
            return err->code;
    }
    if (store_learn_alias(&change->store, event->model_name, event->alias, event->version,
                          event->revision, &newer, &names, &count, err))
        return err->code;
    for (size_t i = 0; newer && i < count; i++)
        if (follow_alias(change, names[i], event->alias, event->version, target, err))
            return err_wrap(err, "endpoint '%s'", names[i]);
    return ERR_OK;
}

/* ---- what pods say ---- */

enum err_code
change_pod_report(const struct change *change, const char *name, PodState *pod, struct err *err)
{
    struct endpoint *endpoint;
    PodState **pods;
    size_t count;
    const char *detail;

    if (store_find_endpoint(&change->store, name, &endpoint, err))
        return err->code;
    if (!endpoint || endpoint->deleted || pod->generation > endpoint->generation)
        return ERR_OK;
    if (!endpoint->target || pod->version != endpoint->target->version)
        pod->loaded = pod->generation < endpoint->generation && pod->loaded;
    if (store_put_pod(&change->store, name, pod, err) ||
        store_list_pods(&change->store, name, change_pods_since(change), &pods, &count, err))
        return err->code;
    if (pod->generation < endpoint->generation)
        return ERR_OK;
    const char *outcome = deployment_outcome(pods, count, endpoint->generation, &detail);
    if (store_set_outcome(&change->store, name, endpoint->generation, outcome, detail, err))
        return err->code;
    if (strcmp(outcome, DEPLOYMENT_SERVED) != 0 ||
        deployment_same_version(endpoint->good, endpoint->target))
        return ERR_OK;
    endpoint->good = endpoint->target;
    return store_update_endpoint(&change->store, endpoint, err);
}
