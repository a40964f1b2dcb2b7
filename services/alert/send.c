/* SPDX-License-Identifier: Apache-2.0 */
/* send.c - one attempt to tell a receiver. */
#include "send.h"

#include "payload.h"

#include "http/http.h"
#include "log/log.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX (64u << 10)

/* ---- HTTP ---- */

static bool
may_connect(void *arg, const struct sockaddr *address)
{
    const struct send_options *sender = arg;

    return address_is_public(address) ||
           (sender->allowed && address_list_has(sender->allowed, address));
}

/* URL of an Alertmanager, with or without the path of its interface. */
static char *
alertmanager_url(const char *url)
{
    size_t len = strlen(url);

    if (strstr(url, "/api/v2/alerts"))
        return mem_strdup(url);
    return mem_printf("%.*s/api/v2/alerts", (int)(len - (url[len - 1] == '/')), url);
}

/* A URL may be a secret (Slack's is): it does not go into what is stored and shown. */
static enum err_code
without_url(const char *url, struct err *err)
{
    CLEANUP(mem_free) char *message = mem_strdup(err->message);
    const char *at = strstr(message, url);

    return err_set(err, err->code, "the receiver%s", at ? at + strlen(url) : " cannot be reached");
}

static enum err_code
post(const struct send_options *sender, const AlertReceiver *receiver, const char *url,
     const char *id, const struct buf *body, struct err *err)
{
    CLEANUP(mem_free) char *key = mem_printf("Idempotency-Key: %s", id);
    CLEANUP(mem_free) char *notification = mem_printf("X-Modelbus-Notification: %s", id);
    CLEANUP(mem_free) char *authorization = NULL;
    const char *headers[6] = {"Content-Type: application/json", "User-Agent: modelbus-alert", key,
                              notification};
    const struct http_client_request request = {
        .verb = "POST",
        .url = url,
        .headers = headers,
        .body = body->data,
        .body_len = body->len,
        .timeout_ms = sender->timeout_ms,
        .max_response = ANSWER_MAX,
        .may_connect = may_connect,
        .may_connect_arg = (void *)(uintptr_t)sender,
        .cancelled = sender->stopping,
    };
    struct http_client_response response;

    if (*receiver->authorization) {
        authorization = mem_printf("Authorization: %s", receiver->authorization);
        headers[4] = authorization;
    }
    if (http_fetch(&request, &response, err))
        return without_url(url, err);
    int status = response.status;
    http_client_response_done(&response);
    if (status < 200 || status > 299)
        return err_set(err, ERR_UNAVAILABLE, "the receiver answered HTTP status %d", status);
    return ERR_OK;
}

static enum err_code
send_http(const struct send_options *sender, const AlertReceiver *receiver, const char *id,
          const AlertGroup *group, struct err *err)
{
    CLEANUP(buf_done) struct buf body = {0};
    CLEANUP(mem_free) char *url = NULL;

    if (strcmp(receiver->type, "alertmanager") == 0) {
        payload_alertmanager(group, sender->external_url, &body);
        url = alertmanager_url(receiver->url);
    } else if (strcmp(receiver->type, "slack") == 0) {
        payload_slack(group, sender->external_url, &body);
    } else {
        payload_webhook(group, receiver->name, sender->external_url, &body);
    }
    return post(sender, receiver, url ? url : receiver->url, id, &body, err);
}

/* ---- e-mail ---- */

struct upload {
    const struct buf *text;
    size_t at;
};

static size_t
on_read(char *out, size_t size, size_t count, void *arg)
{
    struct upload *upload = arg;
    size_t room = size * count, left = upload->text->len - upload->at;
    size_t n = left < room ? left : room;

    memcpy(out, upload->text->data + upload->at, n);
    upload->at += n;
    return n;
}

static int
on_progress(void *arg, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
    const struct send_options *sender = arg;

    (void)down_total, (void)down, (void)up_total, (void)up;
    return sender->stopping();
}

static enum err_code
send_email(const struct send_options *sender, const AlertReceiver *receiver, const char *id,
           const AlertGroup *group, int64_t now_ms, struct err *err)
{
    CLEANUP(buf_done) struct buf text = {0};
    CLEANUP(mem_free) char *from = NULL;
    char why[CURL_ERROR_SIZE] = "";
    struct upload upload = {.text = &text};
    struct curl_slist *to = NULL;

    if (!sender->smtp_url || !*sender->smtp_url || !sender->smtp_from || !*sender->smtp_from)
        return err_set(err, ERR_PRECONDITION,
                       "no mail can be sent: ALERT_SMTP_URL and ALERT_SMTP_FROM are not set");
    payload_email(group, id, sender->smtp_from, receiver->to, receiver->n_to, sender->external_url,
                  now_ms, &text);
    CURL *curl = curl_easy_init();
    if (!curl)
        abort(); /* out of memory */
    from = mem_printf("<%s>", sender->smtp_from);
    for (size_t i = 0; i < receiver->n_to; i++) {
        CLEANUP(mem_free) char *address = mem_printf("<%s>", receiver->to[i]);
        to = curl_slist_append(to, address);
    }
    curl_easy_setopt(curl, CURLOPT_URL, sender->smtp_url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(curl, CURLOPT_USE_SSL, (long)CURLUSESSL_TRY);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)sender->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_MAIL_FROM, from);
    curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, to);
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(curl, CURLOPT_READDATA, &upload);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
    if (sender->stopping) {
        curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
        curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
        curl_easy_setopt(curl, CURLOPT_XFERINFODATA, (void *)(uintptr_t)sender);
    }
    if (sender->smtp_user && *sender->smtp_user) {
        curl_easy_setopt(curl, CURLOPT_USERNAME, sender->smtp_user);
        curl_easy_setopt(curl, CURLOPT_PASSWORD,
                         sender->smtp_password ? sender->smtp_password : "");
        /* A password does not travel in the clear. */
        curl_easy_setopt(curl, CURLOPT_USE_SSL, (long)CURLUSESSL_ALL);
    }
    CURLcode rc = curl_easy_perform(curl);
    curl_slist_free_all(to);
    curl_easy_cleanup(curl);
    if (rc != CURLE_OK)
        return err_set(err, ERR_UNAVAILABLE, "mail: %s", why[0] ? why : curl_easy_strerror(rc));
    return ERR_OK;
}

/* ---- log ---- */

static void
log_group(const AlertGroup *group, const char *id)
{
    for (size_t i = 0; i < group->n_alerts; i++) {
        const Alert *alert = group->alerts[i];
        struct labels labels = labels_of(alert);
        struct labels annotations = {alert->annotations, alert->n_annotations};
        log_warn("alert", LOG_STR("alert", alert->name), LOG_STR("state", alert->state),
                 LOG_STR("severity", alert->severity),
                 LOG_STR("workspace", labels_get(&labels, "workspace")),
                 LOG_STR("endpoint", labels_get(&labels, "endpoint")),
                 LOG_STR("summary", labels_get(&annotations, "summary")),
                 LOG_STR("description", labels_get(&annotations, "description")),
                 LOG_STR("alert_id", alert->id), LOG_STR("notification", id));
    }
}

enum err_code
send_group(const struct send_options *sender, const AlertReceiver *receiver, const char *id,
           const AlertGroup *group, int64_t now_ms, struct err *err)
{
    if (strcmp(receiver->type, "log") == 0) {
        log_group(group, id);
        return ERR_OK;
    }
    if (strcmp(receiver->type, "email") == 0)
        return send_email(sender, receiver, id, group, now_ms, err);
    return send_http(sender, receiver, id, group, err);
}
