/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api.h - the gateway's REST (/api/v1) as the commands use it.
 *
 * A problem document (RFC 9457) becomes the error that it names. Changes carry an
 * Idempotency-Key, so that a repeated request changes nothing twice. The answer is the
 * caller's (json_decref()).
 */
#pragma once

#include "command.h"

/* path: a format below /api/v1; its words must be percent-encoded (api_encode()). body NULL: none,
 * borrowed. answer NULL: not wanted. */
MUST_CHECK enum err_code api_call(struct cli *cli, const char *verb, const json_t *body,
                                  json_t **answer, struct err *err, const char *path, ...)
    PRINTF_LIKE(6, 7);
/* GET, of a command that waits: while the platform does not answer it is asked again, until end_ms
 * (CLOCK_MONOTONIC). */
MUST_CHECK enum err_code api_poll(struct cli *cli, int64_t end_ms, json_t **answer, struct err *err,
                                  const char *path, ...) PRINTF_LIKE(5, 6);
/* All pages of a list as one array: the field `list` of each answer. limit 0: all. */
MUST_CHECK enum err_code api_list(struct cli *cli, const char *list, size_t limit, json_t **items,
                                  struct err *err, const char *path, ...) PRINTF_LIKE(6, 7);
/* "a/b" as "a%2Fb"; the caller frees it. */
char *api_encode(const char *text);

/* Store a file; *uri is the caller's. */
MUST_CHECK enum err_code api_upload(struct cli *cli, const char *path, char **uri, int64_t *bytes,
                                    struct err *err);
MUST_CHECK enum err_code api_download(struct cli *cli, const char *uri, const char *path,
                                      struct err *err);
/* POST body to a URL of the inference pod; text of the answer in *answer. */
MUST_CHECK enum err_code api_post_text(struct cli *cli, const char *url, const char *body,
                                       size_t len, json_t **answer, struct err *err);
