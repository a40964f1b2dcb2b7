/* SPDX-License-Identifier: Apache-2.0 */
/*
 * headers.h - a message's headers as one string of bytes, for a bytea column.
 *
 * Per header, big-endian: u32 length of the name, u32 length of the value (HEADERS_NULL: no
 * value), name, value. Order and repeated names are kept. Reading is bounded by
 * BUS_HEADERS_MAX and by the bytes given; the result points into arena.
 */
#pragma once

#include "arena/arena.h"
#include "bus/bus.h"

#define HEADERS_NULL UINT32_MAX

/* Bytes in arena. */
void headers_pack(const struct bus_header *headers, size_t count, struct arena *arena,
                  const uint8_t **data, size_t *len);
/* ERR_INTERNAL: not what headers_pack() wrote. */
MUST_CHECK enum err_code headers_unpack(const uint8_t *data, size_t len, struct arena *arena,
                                        const struct bus_header **headers, size_t *count,
                                        struct err *err);
