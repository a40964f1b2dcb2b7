/* SPDX-License-Identifier: Apache-2.0 */
/* client.c - blocking requests on libcurl; one easy handle a thread keeps the connections. */
#include "http/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define TIMEOUT_MS 30000
#define CONNECT_TIMEOUT_MS 5000
#define RESPONSE_MAX (16u << 20)

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t handle_key;

static void
forget_handle(void *handle)
{
    curl_easy_cleanup(handle);
}

static void
init_curl(void)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
        pthread_key_create(&handle_key, forget_handle) != 0)
        abort();
}

static CURL *
thread_handle(void)
{
    pthread_once(&once, init_curl);
    CURL *curl = pthread_getspecific(handle_key);
    if (!curl) {
        curl = curl_easy_init();
        if (!curl || pthread_setspecific(handle_key, curl) != 0)
            abort();
    }
    curl_easy_reset(curl); /* keeps connections and the DNS cache */
    return curl;
}

struct transfer {
    const struct http_client_request *request;
    struct http_client_response *response;
    CURL *curl;
    uint64_t left;
    FILE *upload;
    int download; /* -1: none */
    char *part;
    struct err err; /* what a callback found wrong */
};

static size_t
on_body(char *data, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;
    size_t len = size * count;
    long status = 0;

    if (len > t->left) {
        err_set(&t->err, ERR_TOO_LARGE, "the answer is larger than allowed");
        return 0;
    }
    t->left -= len;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (t->download < 0 || status < 200 || status > 299) {
        buf_add(&t->response->body, data, len);
        return len;
    }
    for (size_t done = 0; done < len;) {
        ssize_t n = write(t->download, data + done, len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            err_set(&t->err, ERR_UNAVAILABLE, "write %s: %s", t->part, strerror(errno));
            return 0;
        }
        done += (size_t)n;
    }
    return len;
}

static void
copy_header(char *out, size_t size, const char *value, size_t len)
{
    while (len > 0 && strchr(" \t\r\n", *value))
        value++, len--;
    while (len > 0 && strchr(" \t\r\n", value[len - 1]))
        len--;
    if (len < size) {
        memcpy(out, value, len);
        out[len] = '\0';
    }
}

static size_t
on_header(char *data, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;
    size_t len = size * count;

    if (len > 5 && strncasecmp(data, "etag:", 5) == 0)
        copy_header(t->response->etag, sizeof(t->response->etag), data + 5, len - 5);
    else if (len > 13 && strncasecmp(data, "content-type:", 13) == 0)
        copy_header(t->response->content_type, sizeof(t->response->content_type), data + 13,
                    len - 13);
    return len;
}

static enum err_code
open_files(struct transfer *t, struct err *err)
{
    const struct http_client_request *request = t->request;
    struct stat st;

    if (request->upload_file) {
        t->upload = fopen(request->upload_file, "re");
        if (!t->upload || fstat(fileno(t->upload), &st) != 0)
            return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_INVALID, "%s: %s",
                           request->upload_file, strerror(errno));
        curl_easy_setopt(t->curl, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(t->curl, CURLOPT_READDATA, t->upload);
        curl_easy_setopt(t->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)st.st_size);
    }
    if (request->download_file) {
        t->part = mem_printf("%s.part-XXXXXX", request->download_file);
        t->download = mkostemp(t->part, O_CLOEXEC);
        if (t->download < 0)
            return err_set(err, ERR_INVALID, "%s: %s", t->part, strerror(errno));
    }
    return ERR_OK;
}

/* The one place where it is certain which address a connection goes to. */
static curl_socket_t
on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *t = arg;

    (void)purpose;
    if (!t->request->may_connect(t->request->may_connect_arg, &address->addr)) {
        err_set(&t->err, ERR_FORBIDDEN, "%s: its address is not one that may be called",
                t->request->url);
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static int
on_progress(void *arg, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
    struct transfer *t = arg;

    (void)down_total, (void)down, (void)up_total, (void)up;
    if (!t->request->cancelled())
        return 0;
    err_set(&t->err, ERR_CANCELLED, "%s: given up", t->request->url);
    return 1;
}

static void
guard_connections(struct transfer *t)
{
    curl_easy_setopt(t->curl, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(t->curl, CURLOPT_OPENSOCKETDATA, t);
    curl_easy_setopt(t->curl, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(t->curl, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(t->curl, CURLOPT_PROXY, "");
}

static void
set_options(struct transfer *t, struct curl_slist *headers)
{
    const struct http_client_request *request = t->request;
    CURL *curl = t->curl;

    curl_easy_setopt(curl, CURLOPT_URL, request->url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS,
                     (long)(request->timeout_ms ? request->timeout_ms : TIMEOUT_MS));
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    if (request->body) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
    }
    if (strcmp(request->verb, "HEAD") == 0)
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    else
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->verb);
    if (request->may_connect)
        guard_connections(t);
    if (request->cancelled) {
        curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
        curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
        curl_easy_setopt(curl, CURLOPT_XFERINFODATA, t);
    }
}

static enum err_code
perform(struct transfer *t, struct err *err)
{
    char text[CURL_ERROR_SIZE] = "";
    long status = 0;

    curl_easy_setopt(t->curl, CURLOPT_ERRORBUFFER, text);
    CURLcode rc = curl_easy_perform(t->curl);
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (rc == CURLE_OK) {
        t->response->status = (int)status;
        return ERR_OK;
    }
    if (t->err.code) {
        *err = t->err;
        return err->code;
    }
    enum err_code code = rc == CURLE_URL_MALFORMAT || rc == CURLE_UNSUPPORTED_PROTOCOL
                             ? ERR_INVALID
                             : ERR_UNAVAILABLE;
    return err_set(err, code, "%s %s: %s", t->request->verb, t->request->url,
                   text[0] ? text : curl_easy_strerror(rc));
}

static enum err_code
keep_download(struct transfer *t, struct err *err)
{
    if (t->download < 0 || t->response->status < 200 || t->response->status > 299)
        return ERR_OK;
    if (fsync(t->download) != 0 || rename(t->part, t->request->download_file) != 0)
        return err_set(err, ERR_UNAVAILABLE, "%s: %s", t->request->download_file, strerror(errno));
    return ERR_OK;
}

enum err_code
http_fetch(const struct http_client_request *request, struct http_client_response *response,
           struct err *err)
{
    struct transfer t = {.request = request, .response = response, .download = -1};
    struct curl_slist *headers = NULL;
    enum err_code code;

    *response = (struct http_client_response){0};
    t.left = request->max_response ? request->max_response : RESPONSE_MAX;
    t.curl = thread_handle();
    for (const char *const *h = request->headers; h && *h; h++)
        headers = curl_slist_append(headers, *h);
    set_options(&t, headers);
    code = open_files(&t, err);
    if (!code)
        code = perform(&t, err);
    if (!code)
        code = keep_download(&t, err);
    curl_easy_setopt(t.curl, CURLOPT_ERRORBUFFER, NULL);
    curl_slist_free_all(headers);
    if (t.upload)
        fclose(t.upload);
    if (t.download >= 0) {
        close(t.download);
        unlink(t.part); /* gone already when it was renamed */
    }
    free(t.part);
    if (code)
        buf_done(&response->body);
    return code;
}

void
http_client_response_done(struct http_client_response *response)
{
    buf_done(&response->body);
    *response = (struct http_client_response){0};
}
