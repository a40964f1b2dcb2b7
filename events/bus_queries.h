/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bus_queries.h - what every service answers about itself: modelbus.bus.v1.Bus.
 *
 * Its methods, its dead letters (bound to the caller's workspace) and how far it has
 * read and published. The handlers' arg is the struct service.
 */
#pragma once

#include "service.h"

extern const struct rpc_method bus_queries[];
