/* SPDX-License-Identifier: Apache-2.0 */
/* wiring.c - settings, and the scheduler and the listener started and stopped in order. */
#include "counters.h"
#include "pipeline.h"
#include "scheduler.h"
#include "triggers.h"

#include "crypto/crypto.h"
#include "db/db_listen.h"
#include "life/life.h"
#include "log/log.h"

struct pipeline_settings pipeline_settings;

#define ROW struct pipeline_settings
const struct config_key pipeline_config[] = {
    CONFIG_INT(ROW, "LOG_RETENTION_S", log_retention_s, "3600", 0, 315360000,
               "How long logs of tasks are kept in the database once they are artifacts"),
    CONFIG_INT(ROW, "MAX_EVENT_AGE_S", max_event_age_s, "86400", 1, 31536000,
               "Events that are older when they are heard trigger nothing"),
    CONFIG_INT(ROW, "RETENTION_S", retention_s, "7776000", 3600, 315360000,
               "How long runs that are over, and outputs for the cache, are kept"),
    CONFIG_END,
};

/* What service->state points to. */
static struct pipeline_state state;

enum err_code
pipeline_start(struct service *service, struct err *err)
{
    const struct scheduler_options options = {
        .state = &state,
        .retention_ms = pipeline_settings.retention_s * 1000,
        .log_retention_ms = pipeline_settings.log_retention_s * 1000,
    };

    state = (struct pipeline_state){
        .service = service, .triggers = triggers_new(), .clock = life_now_ms};
    crypto_uuid7(state.instance);
    counters_open();
    service->state = &state;
    db_listen(service->db, pipeline_heard, &state, &state.listener);
    state.scheduler = scheduler_new(&options);
    return scheduler_start(state.scheduler, err);
}

bool
pipeline_stop(struct service *service, int64_t deadline_ms)
{
    bool complete = scheduler_free(TAKE_PTR(state.scheduler), deadline_ms);

    db_listener_free(TAKE_PTR(state.listener));
    triggers_free(TAKE_PTR(state.triggers));
    service->state = NULL;
    if (!complete)
        log_info("the scheduler stopped late");
    return true;
}
