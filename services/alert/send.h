/* SPDX-License-Identifier: Apache-2.0 */
/*
 * send.h - one attempt to tell a receiver.
 *
 * URLs are what users have written: only http and https, no redirects, no proxy, and the address
 * that is really connected to must be a public one (http/address.h) unless the operator allows it.
 * The mail server is the operator's own setting, so it may be anywhere.
 */
#pragma once

#include "alert.h"
#include "http/address.h"

struct send_options {
    const struct address_list *allowed; /* beside public addresses; NULL: none */
    int64_t timeout_ms;
    bool (*stopping)(void);   /* gives an attempt up; NULL: never */
    const char *external_url; /* of the gateway, for links; "" */
    const char *smtp_url, *smtp_from, *smtp_user, *smtp_password; /* smtp_url NULL: no e-mail */
};

/* Blocks, at most timeout_ms. id: of the notification. ERR_UNAVAILABLE: no answer, or one that
 * is not 2xx; ERR_FORBIDDEN: an address that is not allowed; ERR_PRECONDITION: no mail server is
 * set. */
MUST_CHECK enum err_code send_group(const struct send_options *sender,
                                    const AlertReceiver *receiver, const char *id,
                                    const AlertGroup *group, int64_t now_ms, struct err *err);
