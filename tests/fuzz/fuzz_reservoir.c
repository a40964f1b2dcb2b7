/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as stored rows and, after them, as a logged message: refused, or rows that can be drawn from, packed,
 * read back the same and judged. */
#include "judge.h"

#include <string.h>

static void
round_trip(struct reservoir *r)
{
    CLEANUP(reservoir_free) struct reservoir *again = reservoir_new(RESERVOIR_ROOM_MAX);
    CLEANUP(buf_done) struct buf bytes = {0};
    struct err err;

    reservoir_pack(r, true, &bytes);
    if (reservoir_apply(again, bytes.data, bytes.len, &err) || again->seen != r->seen ||
        again->column_count != r->column_count)
        __builtin_trap();
}

static void
judge_self(const struct reservoir *r)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(0, 256 << 20);
    MonitorRules none = MODELBUS__MONITORING__V1__MONITOR_RULES__INIT;
    struct rules rules = rules_of(&none);
    struct judgement judgement;
    ColumnVerdict *worst[JUDGE_WORST];

    const struct judge_rows rows = {.sample = r, .panes = &r, .pane_count = 1};
    judge(&rules, &rows, arena, &judgement);
    (void)judge_worst(&judgement, worst);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(reservoir_free) struct reservoir *r = reservoir_new(64);
    size_t cut = size ? data[0] * size / 256 : 0;
    struct err err;

    if (size == 0)
        return 0;
    if (reservoir_apply(r, data + 1, cut ? cut - 1 : 0, &err)) {
        reservoir_free(r);
        r = reservoir_new(64);
    }
    PredictionsLogged *m = (PredictionsLogged *)protobuf_c_message_unpack(
        &modelbus__serving__v1__predictions_logged__descriptor, NULL, size - cut, data + cut);
    if (m && !reservoir_check(m, &err) && r->seen < UINT64_MAX / 2)
        reservoir_feed(r, m, 0, m->row_count);
    if (m)
        protobuf_c_message_free_unpacked(&m->base, NULL);
    if (r->column_count < 64) {
        round_trip(r);
        judge_self(r);
    }
    return 0;
}
