/* SPDX-License-Identifier: Apache-2.0 */
/*
 * payload.h - a group of alerts in the forms that receivers understand. Appended to out; any
 * thread.
 */
#pragma once

#include "alert.h"

#include <time.h>

/* Alertmanager's webhook, version 4
 * (https://prometheus.io/docs/alerting/latest/configuration/#webhook_config). */
void payload_webhook(const AlertGroup *group, const char *receiver, const char *external_url,
                     struct buf *out);
/* The body of POST /api/v2/alerts
 * (https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml). */
void payload_alertmanager(const AlertGroup *group, const char *external_url, struct buf *out);
/* Slack's incoming webhook (https://api.slack.com/messaging/webhooks). */
void payload_slack(const AlertGroup *group, const char *external_url, struct buf *out);
/* RFC 5322, CRLF lines. to: addresses. */
void payload_email(const AlertGroup *group, const char *id, const char *from, char *const *to,
                   size_t to_count, const char *external_url, int64_t now_ms, struct buf *out);

/* "[FIRING:2] DriftDetected (churn)" */
void payload_title(const AlertGroup *group, struct buf *out);
/* "firing" when one of them fires. */
const char *payload_status(const AlertGroup *group);
