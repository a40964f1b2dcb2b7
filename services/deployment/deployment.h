/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deployment.h - the rules of endpoints, on plain values.
 *
 * An endpoint is bound to model@alias or to a fixed version. Its desired state is a target
 * (one version of a model) with a generation that grows by one with each change; pods follow
 * it and report what they serve. Each change is an entry of the history, whose outcome is
 * pending until pods report: served, or failed when one of them could not load the target (it goes
 * on with what it had).
 *
 * A rollback goes to the last version that was served well before the one that serves now,
 * and holds the endpoint there until its alias moves or somebody sets it. It never goes
 * to what was just left: an entry made by a rollback remembers (rollback_before) where in
 * the history it stands, so that rolling back again goes further back. Nothing here does
 * I/O; any thread.
 */
#pragma once

#include "arena/arena.h"
#include "values.h"

#include "modelbus/deployment/v1/events.pb-c.h"
#include "modelbus/deployment/v1/queries.pb-c.h"

typedef Modelbus__Deployment__V1__Target Target;
typedef Modelbus__Deployment__V1__Endpoint Endpoint;
typedef Modelbus__Deployment__V1__EndpointChange EndpointChange;
typedef Modelbus__Deployment__V1__EndpointStatus EndpointStatus;
typedef Modelbus__Deployment__V1__PodState PodState;
typedef Modelbus__Deployment__V1__DriftPolicy DriftPolicy;
typedef Modelbus__Deployment__V1__DriftAction DriftAction;

#define ENDPOINT_STATUS(name) MODELBUS__DEPLOYMENT__V1__ENDPOINT_STATUS__ENDPOINT_STATUS_##name

#define DEPLOYMENT_CHAMPION "champion"
#define DEPLOYMENT_CREATED "created" /* reason of the first entry of an endpoint's life */
#define DEPLOYMENT_ALIAS_MOVED "alias moved"
#define DEPLOYMENT_ALIAS_SET "alias set"
#define DEPLOYMENT_VERSION_SET "version set"
#define DEPLOYMENT_ROLLED_BACK "rolled back"
#define DEPLOYMENT_RETRAINS "retrain requested"
#define DEPLOYMENT_NOTHING "none"
#define DEPLOYMENT_SERVED "served"
#define DEPLOYMENT_FAILED "failed"
#define DEPLOYMENT_PENDING "pending"

#define DEPLOYMENT_COOL_DOWN_S 3600
#define DEPLOYMENT_AVOID_S 86400
#define DEPLOYMENT_POLICY_MAX_S (366u * 86400u)
#define DEPLOYMENT_RETRAIN_COOL_DOWN_S 3600
#define DEPLOYMENT_RETRAINS_A_DAY 4
#define DEPLOYMENT_RETRAINS_MAX 1000 /* a day, of a policy */
#define DEPLOYMENT_DAY_MS (24 * 3600 * INT64_C(1000))

struct endpoint {
    const char *name;
    const char *model_name;
    const char *alias; /* "": stays at fixed_version */
    int64_t fixed_version;
    int64_t generation; /* 0: there was no desired state yet */
    Target *target;     /* NULL: pending */
    Target *good;       /* the last target that loaded well; NULL: none */
    bool held;          /* rolled back */
    bool deleted;
    const char *detail; /* for people; "" */
    int64_t created_at_ms, updated_at_ms;
    DriftPolicy *policy; /* never NULL once read from the store */
};

/* ^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$ */
MUST_CHECK enum err_code deployment_check_name(const char *name, struct err *err);
/* A model with an alias or a version; neither: *alias becomes `champion`. */
MUST_CHECK enum err_code deployment_check_binding(const char *model_name, const char **alias,
                                                  int64_t version, struct err *err);
/* ERR_CONFLICT with both unless expected is 0 or the endpoint's generation. */
MUST_CHECK enum err_code deployment_check_generation(const struct endpoint *endpoint,
                                                     int64_t expected, struct err *err);

bool deployment_same_version(const Target *a, const Target *b); /* either may be NULL */

/* What an endpoint bound to an alias does when the alias moves to version (0: removed). */
enum deployment_reaction {
    DEPLOYMENT_STAY,      /* it is the target already */
    DEPLOYMENT_RELEASE,   /* it is the target already, held by a rollback: no longer */
    DEPLOYMENT_KEEP,      /* the alias is gone: keep serving, note it */
    DEPLOYMENT_DEPLOY_IT, /* a new target */
};
enum deployment_reaction deployment_on_alias(const struct endpoint *endpoint, int64_t version);

/* What to serve when target cannot be loaded: the last version that loaded well, if it is another;
 * NULL: none. Borrowed from endpoint. */
Target *deployment_fallback(const struct endpoint *endpoint, const Target *target);

/* Of the pods' reports for one generation: "pending", "served" or "failed"; *detail is the first
 * failure, borrowed, or "". */
const char *deployment_outcome(PodState *const *pods, size_t count, int64_t generation,
                               const char **detail);

/* From what pods that are alive have reported; *detail: why, borrowed, or "". */
EndpointStatus deployment_status(const struct endpoint *endpoint, PodState *const *pods,
                                 size_t count, const char **detail);

/* An entry of the history. */
struct history_entry {
    const EndpointChange *change;
    int64_t rollback_before; /* a rollback from here looks at older generations than this */
};
#define DEPLOYMENT_HISTORY_MAX 200 /* entries that a rollback looks back */

/*
 * The entry to roll back to, NULL when there is none. entries: newest first; the search ends where
 * the endpoint was created. *before gets the rollback_before of the new entry. to_version not 0: the
 * newest served entry of that version of the target's model, and *before is good also
 * when there is none.
 */
const struct history_entry *deployment_rollback(const struct history_entry *entries, size_t count,
                                                int64_t to_version, int64_t *before);

/* What a policy asks for when something is wrong with what is served. */
enum deployment_answer {
    DEPLOYMENT_ROLL_BACK = 1,
    DEPLOYMENT_RETRAIN = 2,
};
unsigned deployment_answers(const DriftPolicy *policy); /* of enum deployment_answer */

/* on_drift is known, times are bounded, who retrains names a pipeline; policy NULL: the default one.
 * ERR_INVALID. */
MUST_CHECK enum err_code deployment_check_policy(const DriftPolicy *policy, struct err *err);

/* What an endpoint has done by itself up to now. Unix epoch, ms; 0: never. */
struct deployment_past {
    int64_t rolled_back_ms; /* the last time, because of drift */
    int64_t retrained_ms;   /* the last time that it asked for it */
    int64_t retrains;       /* within DEPLOYMENT_DAY_MS */
};
/* Why an endpoint does nothing about a version that is in trouble, whatever its policy asks for;
 * NULL: it does something. This text and the others are in arena or constant. */
const char *deployment_objection(const struct endpoint *endpoint, const char *model_name,
                                 int64_t version, struct arena *arena);
/* Why it does not roll back, or ask for a retraining, now; NULL: it does. */
const char *deployment_rollback_objection(const DriftPolicy *policy,
                                          const struct deployment_past *past, int64_t now_ms,
                                          struct arena *arena);
const char *deployment_retrain_objection(const DriftPolicy *policy,
                                         const struct deployment_past *past, int64_t now_ms,
                                         struct arena *arena);
/* A copy of the entries in which a rollback does not find the versions. */
const struct history_entry *deployment_avoid(const struct history_entry *entries, size_t count,
                                             const char *model_name, const int64_t *versions,
                                             size_t version_count, struct arena *arena);
