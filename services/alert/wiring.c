/* SPDX-License-Identifier: Apache-2.0 */
/* wiring.c - settings, and the delivery started and stopped in order. */
#include "changes.h"
#include "delivery.h"
#include "service.h"

#include "life/life.h"
#include "log/log.h"

#include <stdlib.h>

struct alert_settings alert_settings;

#define ROW struct alert_settings
const struct config_key alert_config[] = {
    CONFIG_STR(ROW, "ALLOW_PRIVATE", allow_private, "",
               "Networks beside the public ones that URLs of receivers may lead to, "
               "10.0.0.0/8,fd00::/8; on: everywhere"),
    CONFIG_INT(ROW, "DELIVERY_THREADS", delivery_threads, "4", 1, 16,
               "Threads that deliver notifications"),
    CONFIG_INT(ROW, "DELIVERY_TIMEOUT_MS", delivery_timeout_ms, "10000", 100, 60000,
               "How long a receiver may take to answer"),
    CONFIG_STR(ROW, "EXTERNAL_URL", external_url, "",
               "URL of the gateway as people reach it, for links; empty: no links"),
    {.name = "MAX_EVENT_AGE_S",
     .type = CONFIG_TYPE_INT,
     .offset = offsetof(ROW, max_event_age_s),
     .fallback = "86400",
     .min = 1,
     .max = 31536000,
     .reloadable = true,
     .doc = "Events that are older when they are heard fire nothing; they still resolve"},
    CONFIG_INT(ROW, "RETENTION_S", retention_s, "2592000", 3600, 315360000,
               "How long resolved alerts, delivered notifications and ended silences are kept"),
    CONFIG_STR(ROW, "RULES_FILE", rules_file, NULL,
               "YAML file of rules, receivers, routes and inhibitions; read again on SIGHUP"),
    CONFIG_STR(ROW, "SMTP_FROM", smtp_from, NULL, "Sender of e-mails, an address"),
    CONFIG_SECRET(ROW, "SMTP_PASSWORD", smtp_password,
                  "Password at the mail server; @FILE reads it from a file"),
    CONFIG_STR(ROW, "SMTP_URL", smtp_url, NULL,
               "Mail server, smtp://HOST:PORT or smtps://HOST:PORT; not set: no e-mail"),
    CONFIG_STR(ROW, "SMTP_USER", smtp_user, NULL,
               "User at the mail server; with one TLS is required"),
    CONFIG_END,
};

/* What state points to. */
static struct {
    struct alert_state state;
    struct address_list allowed;
} parts;

enum err_code
alert_start(struct service *service, struct err *err)
{
    const struct alert_settings *s = &alert_settings;

    if (address_list_parse(s->allow_private, &parts.allowed, err))
        return err_wrap(err, "ALERT_ALLOW_PRIVATE");
    if (layers_open(&parts.state.layers, s->rules_file, err))
        return err->code;
    const struct delivery_options options = {
        .service = service,
        .sender = {.allowed = &parts.allowed,
                   .timeout_ms = s->delivery_timeout_ms,
                   .stopping = life_stopping,
                   .external_url = s->external_url,
                   .smtp_url = s->smtp_url,
                   .smtp_from = s->smtp_from,
                   .smtp_user = s->smtp_user,
                   .smtp_password = s->smtp_password},
        .retention_ms = s->retention_s * 1000,
        .clock = life_now_ms,
    };
    parts.state.delivery = delivery_new(&options);
    service->state = &parts.state;
    return delivery_start(parts.state.delivery, (unsigned)s->delivery_threads, err);
}

bool
alert_stop(struct service *service, int64_t deadline_ms)
{
    bool complete = delivery_free(TAKE_PTR(parts.state.delivery), deadline_ms);

    layers_free(TAKE_PTR(parts.state.layers));
    service->state = NULL;
    /* What was not delivered is in the table, for the next start: nothing is lost. */
    if (!complete)
        log_info("the delivery stopped late");
    return true;
}

void
alert_reload(struct service *service)
{
    struct err err = {0};

    (void)service;
    if (layers_reload(parts.state.layers, &err))
        log_error("rules file not reloaded", LOG_ERR(&err));
}
