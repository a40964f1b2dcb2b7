/* SPDX-License-Identifier: Apache-2.0 */
/* queries.c - questions and commands about models, versions and aliases. */
#include "changes.h"
#include "page.h"

/* REQUEST(GetModel), RESPONSE(GetModel): the generated types. */
#define REQUEST(method) const Modelbus__Registry__V1__##method##Request
#define RESPONSE(method) Modelbus__Registry__V1__##method##Response

static MUST_CHECK enum err_code
check_version_number(int64_t version, struct err *err)
{
    return version > 0 ? ERR_OK : err_set(err, ERR_INVALID, "version: missing or not positive");
}

/* ---- models ---- */

static enum err_code
create_model(void *arg, REQUEST(CreateModel) * request, RESPONSE(CreateModel) * response,
             struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);
    Model model = MODELBUS__REGISTRY__V1__MODEL__INIT;

    model.name = request->name;
    model.description = request->description;
    model.tags = request->tags;
    model.n_tags = request->n_tags;
    model.created_at_ms = change.now_ms;
    if (registry_check_model(model.name, model.description, model.tags, model.n_tags, err) ||
        store_add_model(&change.store, &model, err))
        return err->code;
    return store_get_model(&change.store, model.name, &response->model, err);
}

static enum err_code
get_model(void *arg, REQUEST(GetModel) * request, RESPONSE(GetModel) * response,
          struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);

    if (value_check_model_name(request->name, err))
        return err->code;
    return store_get_model(&change.store, request->name, &response->model, err);
}

static enum err_code
list_models(void *arg, REQUEST(ListModels) * request, RESPONSE(ListModels) * response,
            struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);
    const char *list = arena_printf(call->arena, "ListModels %s", request->name_prefix);
    const char *after = "";
    int64_t limit;
    bool more;

    if (value_check_text("name_prefix", request->name_prefix, VALUE_MODEL_NAME_MAX, err) ||
        page_read(call->arena, request->page, list, &after, 1, &limit, err) ||
        store_list_models(&change.store, request->name_prefix, after, limit, &response->models,
                          &response->n_models, &more, err))
        return err->code;
    if (more)
        response->next_page_token =
            page_next(call->arena, list, response->models[response->n_models - 1]->name);
    return ERR_OK;
}

static enum err_code
update_model(void *arg, REQUEST(UpdateModel) * request, RESPONSE(UpdateModel) * response,
             struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);
    Model *model;

    if (registry_check_model(request->name, request->description, request->tags, request->n_tags,
                             err) ||
        store_lock_model(&change.store, request->name, err) ||
        store_get_model(&change.store, request->name, &model, err) ||
        registry_check_revision("the model", model->revision, request->expected_revision, err) ||
        store_update_model(&change.store, request->name, request->description, request->tags,
                           request->n_tags, err))
        return err->code;
    return store_get_model(&change.store, request->name, &response->model, err);
}

/* ---- versions ---- */

static enum err_code
create_model_version(void *arg, REQUEST(CreateModelVersion) * request,
                     RESPONSE(CreateModelVersion) * response, struct rpc_call *call,
                     struct err *err)
{
    struct change change = change_of_call(arg, call);
    ModelVersion *version = arena_alloc(call->arena, sizeof(*version));

    modelbus__registry__v1__model_version__init(version);
    version->name = request->name;
    version->run_id = request->run_id;
    version->description = request->description;
    version->artifact = request->artifact;
    version->reference_sample = request->reference_sample;
    version->metrics = request->metrics;
    version->n_metrics = request->n_metrics;
    version->tags = request->tags;
    version->n_tags = request->n_tags;
    version->feature_names = request->feature_names;
    version->n_feature_names = request->n_feature_names;
    if (change_register(&change, version, err))
        return err->code;
    response->version = version;
    return ERR_OK;
}

static enum err_code
get_model_version(void *arg, REQUEST(GetModelVersion) * request,
                  RESPONSE(GetModelVersion) * response, struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);

    if (value_check_model_name(request->name, err) ||
        (*request->alias && value_check_alias(request->alias, err)))
        return err->code;
    if (request->version < 0 || (request->version && *request->alias))
        return err_set(err, ERR_INVALID, "a version, or an alias, or neither");
    return store_get_version(&change.store, request->name, request->version, request->alias,
                             &response->version, err);
}

static enum err_code
list_model_versions(void *arg, REQUEST(ListModelVersions) * request,
                    RESPONSE(ListModelVersions) * response, struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);
    const char *list = arena_printf(call->arena, "ListModelVersions %s", request->name);
    int64_t limit, before = INT64_MAX;
    Model *model;
    bool more;

    if (value_check_model_name(request->name, err) ||
        page_read_number(call->arena, request->page, list, &before, &limit, err) ||
        store_list_versions(&change.store, request->name, before, limit, &response->versions,
                            &response->n_versions, &more, err))
        return err->code;
    if (response->n_versions == 0)
        return store_get_model(&change.store, request->name, &model, err);
    if (more)
        response->next_page_token = page_next_number(
            call->arena, list, response->versions[response->n_versions - 1]->version);
    return ERR_OK;
}

static enum err_code
update_model_version(void *arg, REQUEST(UpdateModelVersion) * request,
                     RESPONSE(UpdateModelVersion) * response, struct rpc_call *call,
                     struct err *err)
{
    struct change change = change_of_call(arg, call);
    ModelVersion *now;

    if (registry_check_model(request->name, request->description, request->tags, request->n_tags,
                             err) ||
        check_version_number(request->version, err) ||
        store_lock_model(&change.store, request->name, err) ||
        store_get_version(&change.store, request->name, request->version, "", &now, err) ||
        registry_check_revision("the version", now->revision, request->expected_revision, err) ||
        store_update_version(&change.store, request->name, request->version, request->description,
                             request->tags, request->n_tags, err))
        return err->code;
    return store_get_version(&change.store, request->name, request->version, "", &response->version,
                             err);
}

static enum err_code
delete_model_version(void *arg, REQUEST(DeleteModelVersion) * request,
                     RESPONSE(DeleteModelVersion) * response, struct rpc_call *call,
                     struct err *err)
{
    struct change change = change_of_call(arg, call);

    (void)response;
    if (value_check_model_name(request->name, err) || check_version_number(request->version, err))
        return err->code;
    return change_delete_version(&change, request->name, request->version, err);
}

/* ---- aliases and stages ---- */

static enum err_code
set_alias(void *arg, REQUEST(SetAlias) * request, RESPONSE(SetAlias) * response,
          struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);
    struct alias_move move = {
        .name = request->name,
        .alias = request->alias,
        .reason = request->reason,
        .version = request->version,
        .expected_revision = request->expected_revision,
        .expected_version = request->expected_version,
    };
    Alias *moved = arena_alloc(call->arena, sizeof(*moved));

    modelbus__registry__v1__alias__init(moved);
    if (value_check_model_name(request->name, err) || value_check_alias(request->alias, err) ||
        check_version_number(request->version, err) ||
        value_check_text("reason", request->reason, VALUE_TEXT_MAX, err) ||
        change_alias(&change, &move, moved, &response->previous_version, err))
        return err->code;
    response->alias = moved;
    return ERR_OK;
}

static enum err_code
delete_alias(void *arg, REQUEST(DeleteAlias) * request, RESPONSE(DeleteAlias) * response,
             struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);
    struct alias_move move = {
        .name = request->name,
        .alias = request->alias,
        .reason = "",
        .expected_revision = request->expected_revision,
    };
    Alias moved = MODELBUS__REGISTRY__V1__ALIAS__INIT;
    int64_t previous;

    (void)response;
    if (value_check_model_name(request->name, err) || value_check_alias(request->alias, err))
        return err->code;
    return change_alias(&change, &move, &moved, &previous, err);
}

static enum err_code
set_stage(void *arg, REQUEST(SetStage) * request, RESPONSE(SetStage) * response,
          struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);

    if (value_check_model_name(request->name, err) || check_version_number(request->version, err) ||
        change_stage(&change, request->name, request->version, request->stage,
                     request->expected_revision, err))
        return err->code;
    return store_get_version(&change.store, request->name, request->version, "", &response->version,
                             err);
}

/* ---- promotion ---- */

/* *alias empty becomes champion. */
static MUST_CHECK enum err_code
check_model_alias(const char *name, const char **alias, struct err *err)
{
    if (value_check_model_name(name, err))
        return err->code;
    if (!**alias)
        *alias = REGISTRY_CHAMPION;
    return value_check_alias(*alias, err);
}

static enum err_code
set_promotion_policy(void *arg, REQUEST(SetPromotionPolicy) * request,
                     RESPONSE(SetPromotionPolicy) * response, struct rpc_call *call,
                     struct err *err)
{
    struct change change = change_of_call(arg, call);
    PromotionPolicy *policy = arena_alloc(call->arena, sizeof(*policy));
    const char *alias = request->alias;

    if (check_model_alias(request->name, &alias, err))
        return err->code;
    modelbus__registry__v1__promotion_policy__init(policy);
    policy->name = request->name;
    policy->alias = (char *)alias;
    policy->metric = request->metric;
    policy->direction = request->direction;
    policy->min_margin = request->min_margin;
    policy->any_window = request->any_window;
    response->policy = policy;
    return change_set_policy(&change, policy, err);
}

static enum err_code
get_promotion_policy(void *arg, REQUEST(GetPromotionPolicy) * request,
                     RESPONSE(GetPromotionPolicy) * response, struct rpc_call *call,
                     struct err *err)
{
    struct change change = change_of_call(arg, call);
    const char *alias = request->alias;

    if (check_model_alias(request->name, &alias, err) ||
        store_find_policy(&change.store, request->name, alias, &response->policy, err))
        return err->code;
    if (!response->policy)
        return err_set(err, ERR_NOT_FOUND, "model '%s' has no promotion policy for '%s'",
                       request->name, alias);
    return ERR_OK;
}

static enum err_code
delete_promotion_policy(void *arg, REQUEST(DeletePromotionPolicy) * request,
                        RESPONSE(DeletePromotionPolicy) * response, struct rpc_call *call,
                        struct err *err)
{
    struct change change = change_of_call(arg, call);
    const char *alias = request->alias;

    (void)response;
    if (check_model_alias(request->name, &alias, err))
        return err->code;
    return change_delete_policy(&change, request->name, alias, err);
}

static enum err_code
add_evaluation(void *arg, REQUEST(AddEvaluation) * request, RESPONSE(AddEvaluation) * response,
               struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);
    Evaluation *evaluation = arena_alloc(call->arena, sizeof(*evaluation));

    modelbus__registry__v1__evaluation__init(evaluation);
    evaluation->name = request->name;
    evaluation->version = request->version;
    evaluation->window = request->window;
    evaluation->rows = request->rows;
    evaluation->metrics = request->metrics;
    evaluation->n_metrics = request->n_metrics;
    response->evaluation = evaluation;
    if (value_check_model_name(request->name, err) || check_version_number(request->version, err))
        return err->code;
    return change_evaluate(&change, evaluation, err);
}

static enum err_code
list_evaluations(void *arg, REQUEST(ListEvaluations) * request,
                 RESPONSE(ListEvaluations) * response, struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);
    const char *list = arena_printf(call->arena, "ListEvaluations %s %lld", request->name,
                                    (long long)request->version);
    const char *after = "";
    ModelVersion *version;
    int64_t limit;
    bool more;

    if (value_check_model_name(request->name, err) || check_version_number(request->version, err) ||
        page_read(call->arena, request->page, list, &after, 1, &limit, err) ||
        store_get_version(&change.store, request->name, request->version, "", &version, err) ||
        store_list_evaluations(&change.store, request->name, request->version, after, limit,
                               &response->evaluations, &response->n_evaluations, &more, err))
        return err->code;
    if (more)
        response->next_page_token = page_next(
            call->arena, list, response->evaluations[response->n_evaluations - 1]->window);
    return ERR_OK;
}

static enum err_code
challenge_alias(void *arg, REQUEST(ChallengeAlias) * request, RESPONSE(ChallengeAlias) * response,
                struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);
    const char *alias = request->alias;
    bool before = false;

    if (check_model_alias(request->name, &alias, err) ||
        check_version_number(request->version, err) ||
        value_check_name("window", request->window, err) ||
        change_challenge(&change, request->name, request->version, alias, request->window,
                         &response->decision, &before, err))
        return err->code;
    response->decided_before = before;
    return ERR_OK;
}

const struct rpc_method registry_queries[] = {
    RPC_COMMAND("AddEvaluation", add_evaluation, "registry:write", 2000),
    RPC_COMMAND("ChallengeAlias", challenge_alias, "registry:write", 2000),
    RPC_COMMAND("CreateModel", create_model, "registry:write", 2000),
    RPC_COMMAND("CreateModelVersion", create_model_version, "registry:write", 2000),
    RPC_COMMAND("DeleteAlias", delete_alias, "registry:write", 2000),
    RPC_COMMAND("DeleteModelVersion", delete_model_version, "registry:write", 2000),
    RPC_COMMAND("DeletePromotionPolicy", delete_promotion_policy, "registry:write", 2000),
    RPC_QUERY("GetModel", get_model, "registry:read", 1000),
    RPC_QUERY("GetModelVersion", get_model_version, "registry:read", 1000),
    RPC_QUERY("GetPromotionPolicy", get_promotion_policy, "registry:read", 1000),
    RPC_QUERY("ListEvaluations", list_evaluations, "registry:read", 2000),
    RPC_QUERY("ListModelVersions", list_model_versions, "registry:read", 2000),
    RPC_QUERY("ListModels", list_models, "registry:read", 2000),
    RPC_COMMAND("SetAlias", set_alias, "registry:write", 2000),
    RPC_COMMAND("SetPromotionPolicy", set_promotion_policy, "registry:write", 2000),
    RPC_COMMAND("SetStage", set_stage, "registry:write", 2000),
    RPC_COMMAND("UpdateModel", update_model, "registry:write", 2000),
    RPC_COMMAND("UpdateModelVersion", update_model_version, "registry:write", 2000),
    {.name = NULL},
};
