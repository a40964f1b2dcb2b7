/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port.h - loopback TCP ports: which is free, and who answers there.
 */
#pragma once

#include "err/err.h"

bool port_is_free(int port);
/* A free one outside of the range that the kernel hands to outgoing connections, so that it can be
 * remembered over restarts; never the same twice in one process. 0: none found. */
int port_choose(void);
/* GET path answers 2xx within timeout_ms. */
bool port_answers(int port, const char *path, int timeout_ms);
bool port_listens(int port);
