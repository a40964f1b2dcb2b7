/* SPDX-License-Identifier: Apache-2.0 */
/* spec.c - what a task comes to in a run. */
#include "spec.h"

#include "matcher.h"
#include "template.h"
#include "work.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PB(suffix) modelbus__pipeline__v1__##suffix
#define FILLED_MAX (256 << 10) /* bytes of one text */
#define SPEC_MAX (512 << 10)   /* bytes of a lease */
#define TIMEOUT_S 86400
#define MEMORY_MB 256

void
spec_open(struct spec *spec, const struct store *store, const struct run *run,
          const struct plan *plan, const struct task_row *rows)
{
    *spec = (struct spec){
        .store = store,
        .run = run,
        .plan = plan,
        .rows = rows,
        .outputs = arena_zalloc(store->arena, run->definition->n_tasks * sizeof(*spec->outputs)),
    };
}

void
spec_forget(struct spec *spec, size_t place)
{
    spec->outputs[place].loaded = false;
}

/* ---- names ---- */

/* Whose texts are filled in. */
struct names {
    struct spec *spec;
    const Task *task;
    const struct attempt *attempt; /* NULL: no item has started */
    bool uri;                      /* outputs by their URI, whatever their size */
};

static const char *
number(const struct names *names, int64_t n)
{
    return arena_printf(names->spec->store->arena, "%" PRId64, n);
}

static const char *
find_parameter(const struct names *names, const char *name, struct err *err)
{
    const PipelineRun *body = names->spec->run->body;

    for (size_t i = 0; i < body->n_parameters; i++)
        if (strcmp(body->parameters[i]->name, name) == 0)
            return body->parameters[i]->value;
    (void)err_set(err, ERR_INVALID, "the run has no parameter '%.100s'", name);
    return NULL;
}

static const char *
find_of_run(const struct names *names, const char *name, struct err *err)
{
    const struct run *run = names->spec->run;
    int64_t logical_ms =
        run->body->cause->logical_ms ? run->body->cause->logical_ms : run->created_ms;

    if (strcmp(name, "id") == 0)
        return run->id;
    if (strcmp(name, "pipeline") == 0)
        return run->pipeline;
    if (strcmp(name, "version") == 0)
        return number(names, run->version);
    if (strcmp(name, "logical_ms") == 0)
        return number(names, logical_ms);
    if (strcmp(name, "logical_date") == 0) {
        time_t seconds = (time_t)(logical_ms / 1000);
        struct tm day;
        char text[32];
        gmtime_r(&seconds, &day);
        strftime(text, sizeof(text), "%Y-%m-%d", &day);
        return arena_strdup(names->spec->store->arena, text);
    }
    (void)err_set(err, ERR_INVALID, "run.%.100s stands for nothing", name);
    return NULL;
}

static MUST_CHECK enum err_code
load_outputs(struct spec *spec, size_t place, struct spec_outputs **found, struct err *err)
{
    struct spec_outputs *outputs = &spec->outputs[place];

    *found = outputs;
    if (outputs->loaded)
        return ERR_OK;
    if (store_load_outputs(spec->store, spec->run->id, place, &outputs->items, &outputs->count,
                           err)) {
        spec->broken = true;
        return err->code;
    }
    outputs->loaded = true;
    return ERR_OK;
}

static const char *
output_text(const struct names *names, const Attempt *outputs, const char *name)
{
    for (size_t i = 0; outputs && i < outputs->n_outputs; i++) {
        const Output *output = outputs->outputs[i];
        if (strcmp(output->name, name) == 0)
            return output->small && !names->uri ? output->value : output->uri;
    }
    return NULL;
}

/* Of a map: a JSON list, one text an item. */
static const char *
find_output(const struct names *names, size_t place, const char *name, struct err *err)
{
    const Task *task = names->spec->plan->definition->tasks[place];
    CLEANUP(buf_done) struct buf list = {0};
    struct spec_outputs *outputs;

    if (load_outputs(names->spec, place, &outputs, err))
        return NULL;
    if (!task->map) {
        const char *text =
            output_text(names, outputs->count ? outputs->items[0].outputs : NULL, name);
        if (!text)
            (void)err_set(err, ERR_INVALID, "%s has put out no '%.100s'", task->name, name);
        return text;
    }
    for (size_t i = 0; i < outputs->count; i++) {
        const char *text = output_text(names, outputs->items[i].outputs, name);
        buf_char(&list, i ? ',' : '[');
        buf_json_str(&list, text ? text : "", text ? strlen(text) : 0);
    }
    buf_str(&list, outputs->count ? "]" : "[]");
    return arena_strndup(names->spec->store->arena, list.data, list.len);
}

/* tasks.NAME.status, tasks.NAME.outputs.NAME */
static const char *
find_of_task(const struct names *names, const char *path, struct err *err)
{
    const Definition *definition = names->spec->plan->definition;
    const char *rest = strchr(path, '.');
    size_t place = SIZE_MAX;

    if (rest) {
        char *name = arena_strndup(names->spec->store->arena, path, (size_t)(rest - path));
        place = definition_task(definition, name);
    }
    if (place != SIZE_MAX && strcmp(rest, ".status") == 0)
        return task_status_name(names->spec->rows[place].status);
    if (place != SIZE_MAX && strncmp(rest, ".outputs.", 9) == 0)
        return find_output(names, place, rest + 9, err);
    (void)err_set(err, ERR_INVALID, "tasks.%.100s stands for nothing", path);
    return NULL;
}

static const char *
find_name(void *arg, const char *name, struct err *err)
{
    const struct names *names = arg;
    const struct attempt *attempt = names->attempt;

    if (strncmp(name, "params.", 7) == 0)
        return find_parameter(names, name + 7, err);
    if (strncmp(name, "run.", 4) == 0)
        return find_of_run(names, name + 4, err);
    if (strncmp(name, "tasks.", 6) == 0)
        return find_of_task(names, name + 6, err);
    if (strcmp(name, "task.name") == 0)
        return names->task->name;
    if (attempt && strcmp(name, "task.attempt") == 0)
        return number(names, attempt->attempt);
    if (attempt && (strcmp(name, "index") == 0 || strcmp(name, "task.index") == 0))
        return number(names, attempt->index < 0 ? 0 : attempt->index);
    if (attempt && strcmp(name, "item") == 0)
        return attempt->item;
    (void)err_set(err, ERR_INVALID, "%.100s stands for nothing here", name);
    return NULL;
}

static MUST_CHECK enum err_code
fill(struct names *names, const char *what, const char *text, char **filled, struct err *err)
{
    const char *result;

    if (template_fill(text, find_name, names, FILLED_MAX, names->spec->store->arena, &result, err))
        return err_wrap(err, "%s", what);
    *filled = (char *)result;
    return ERR_OK;
}

/* ---- conditions and items ---- */

enum err_code
spec_when(struct spec *spec, size_t place, const char **unmet, struct err *err)
{
    const Task *task = spec->plan->definition->tasks[place];
    struct names names = {.spec = spec, .task = task};
    struct matcher matcher;

    *unmet = NULL;
    for (size_t i = 0; i < task->n_when && !*unmet; i++) {
        if (matcher_parse(task->when[i], &matcher, err))
            return err->code;
        const char *value = find_name(&names, matcher.name, err);
        if (!value && spec->broken)
            return err->code;
        /* What a task that did not run would have put out is no text, so nothing holds of it. */
        if (!value || !matcher_holds(&matcher, value))
            *unmet = task->when[i];
    }
    return ERR_OK;
}

static MUST_CHECK enum err_code
read_list(const char *text, const char ***items, size_t *count, struct arena *arena,
          struct err *err)
{
    json_t *list = json_loads(text, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    enum err_code code = ERR_OK;
    const json_t *item;
    size_t i;

    if (!json_is_array(list))
        code = err_set(err, ERR_INVALID, "map.over: not a JSON list: %.100s", text);
    else if (json_array_size(list) > DEFINITION_MAP_MAX)
        code = err_set(err, ERR_TOO_LARGE, "map.over: %zu items; at most %d", json_array_size(list),
                       DEFINITION_MAP_MAX);
    if (!code) {
        *count = json_array_size(list);
        *items = arena_alloc(arena, *count * sizeof(**items));
        json_array_foreach(list, i, item)
        {
            char *dumped = json_is_string(item) ? NULL : json_dumps(item, JSON_ENCODE_ANY);
            (*items)[i] = arena_strdup(arena, dumped ? dumped : json_string_value(item));
            free(dumped);
        }
    }
    json_decref(list);
    return code;
}

enum err_code
spec_items(struct spec *spec, size_t place, const char ***items, size_t *count, struct err *err)
{
    const Task *task = spec->plan->definition->tasks[place];
    struct names names = {.spec = spec, .task = task};
    struct arena *arena = spec->store->arena;
    char *text = NULL;

    if (*task->map->over) {
        if (fill(&names, "map.over", task->map->over, &text, err))
            return err->code;
        return read_list(text, items, count, arena, err);
    }
    *count = task->map->n_items;
    *items = arena_alloc(arena, *count * sizeof(**items));
    for (size_t i = 0; i < *count; i++) {
        if (fill(&names, "map.items", task->map->items[i], &text, err))
            return err->code;
        (*items)[i] = text;
    }
    return ERR_OK;
}

/* ---- the lease ---- */

/* Entries of a map of the task as entries of the lease; their types differ in name only. */
#define FILL_MAP(names, from, to, count_from, count_to, entry)                                     \
    do {                                                                                           \
        (to) = arena_alloc((names)->spec->store->arena, (count_from) * sizeof(*(to)));             \
        (count_to) = (count_from);                                                                 \
        for (size_t k = 0; k < (count_from); k++) {                                                \
            (to)[k] = arena_alloc((names)->spec->store->arena, sizeof(*(to)[k]));                  \
            PB(lease__##entry##__init)((to)[k]);                                                   \
            (to)[k]->key = (from)[k]->key;                                                         \
            if (fill(names, (from)[k]->key, (from)[k]->value, &(to)[k]->value, err))               \
                return err->code;                                                                  \
        }                                                                                          \
    } while (0)

static MUST_CHECK enum err_code
fill_texts(struct names *names, Lease *lease, struct err *err)
{
    const Task *task = names->task;

    lease->argv = arena_alloc(names->spec->store->arena, task->n_run * sizeof(*lease->argv));
    lease->n_argv = task->n_run;
    for (size_t i = 0; i < task->n_run; i++)
        if (fill(names, "run", task->run[i], &lease->argv[i], err))
            return err->code;
    FILL_MAP(names, task->env, lease->env, task->n_env, lease->n_env, env_entry);
    names->uri = true;
    if (fill(names, "archive", task->archive, &lease->archive, err))
        return err->code;
    FILL_MAP(names, task->inputs, lease->inputs, task->n_inputs, lease->n_inputs, inputs_entry);
    names->uri = false;
    FILL_MAP(names, task->secrets, lease->secrets, task->n_secrets, lease->n_secrets,
             secrets_entry);
    return ERR_OK;
}

static void
hash(struct sha256_stream *stream, const char *text)
{
    uint64_t len = strlen(text);

    sha256_stream_add(stream, &len, sizeof(len));
    sha256_stream_add(stream, text, len);
}

static MUST_CHECK enum err_code
make_key(struct names *names, const Lease *lease, const uint8_t **key, struct err *err)
{
    CLEANUP(sha256_stream_free) struct sha256_stream *stream = sha256_stream_new();
    uint8_t *digest = arena_alloc(names->spec->store->arena, SHA256_BYTES);
    const Task *task = names->task;
    char *text = NULL;

    hash(stream, lease->task);
    hash(stream, lease->archive);
    for (size_t i = 0; i < lease->n_argv; i++)
        hash(stream, lease->argv[i]);
    hash(stream, "");
    for (size_t i = 0; i < lease->n_env; i++) {
        hash(stream, lease->env[i]->key);
        hash(stream, lease->env[i]->value);
    }
    hash(stream, "");
    for (size_t i = 0; i < lease->n_inputs; i++) {
        hash(stream, lease->inputs[i]->key);
        hash(stream, lease->inputs[i]->value);
    }
    hash(stream, "");
    for (size_t i = 0; i < lease->n_outputs; i++)
        hash(stream, lease->outputs[i]);
    hash(stream, "");
    for (size_t i = 0; i < task->cache->n_key; i++) {
        if (fill(names, "cache.key", task->cache->key[i], &text, err))
            return err->code;
        hash(stream, text);
    }
    sha256_stream_end(stream, digest);
    *key = digest;
    return ERR_OK;
}

static Resources *
resources_of(const Task *task, struct arena *arena)
{
    Resources *resources = arena_alloc(arena, sizeof(*resources));

    PB(resources__init)(resources);
    if (task->resources) {
        resources->cpu = task->resources->cpu;
        resources->memory_mb = task->resources->memory_mb;
        resources->gpu = task->resources->gpu;
    }
    if (resources->cpu == 0)
        resources->cpu = 1;
    if (resources->memory_mb == 0)
        resources->memory_mb = MEMORY_MB;
    return resources;
}

enum err_code
spec_fill(struct spec *spec, struct attempt *attempt, struct err *err)
{
    const Task *task = spec->plan->definition->tasks[attempt->place];
    struct names names = {.spec = spec, .task = task, .attempt = attempt};
    struct arena *arena = spec->store->arena;
    Lease *lease = arena_alloc(arena, sizeof(*lease));

    PB(lease__init)(lease);
    lease->lease = (char *)attempt->lease;
    lease->workspace = (char *)spec->run->workspace;
    lease->run = (char *)spec->run->id;
    lease->pipeline = (char *)spec->run->pipeline;
    lease->task = task->name;
    lease->index = attempt->index;
    lease->attempt = (uint32_t)attempt->attempt;
    lease->outputs = task->outputs;
    lease->n_outputs = task->n_outputs;
    lease->timeout_s = task->timeout_s ? task->timeout_s : TIMEOUT_S;
    lease->resources = resources_of(task, arena);
    lease->lease_ms = WORK_LEASE_MS;
    lease->traceparent = (char *)spec->run->traceparent;
    lease->cause = spec->run->body->cause->id;
    if (fill_texts(&names, lease, err) ||
        (task->cache && make_key(&names, lease, &attempt->cache_key, err)))
        return err->code;
    if (protobuf_c_message_get_packed_size(&lease->base) > SPEC_MAX)
        return err_set(err, ERR_TOO_LARGE, "with all filled in it is larger than %d bytes",
                       SPEC_MAX);
    attempt->spec = lease;
    attempt->label_count = task->n_labels;
    attempt->labels = arena_alloc(arena, task->n_labels * sizeof(*attempt->labels));
    for (size_t i = 0; i < task->n_labels; i++)
        attempt->labels[i] =
            arena_printf(arena, "%s=%s", task->labels[i]->key, task->labels[i]->value);
    return ERR_OK;
}
