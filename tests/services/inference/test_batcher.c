/* SPDX-License-Identifier: Apache-2.0 */
/* Overload, deadlines and batches, without HTTP. */
#include "batcher.h"
#include "fixture.h"
#include "modelbus/serving/v1/events.pb-c.h"

#include <stdlib.h>

static struct endpoints *endpoints;
static struct endpoint *endpoint;
static size_t answered, late;
static float last;
static void *last_ticket;

static void
answer(void *arg, unsigned worker, const struct batch_request *request, const float *values,
       const struct err *err)
{
    (void)arg;
    (void)worker;
    answered++;
    last_ticket = request->ticket;
    if (values)
        last = values[0];
    else if (err->code == ERR_DEADLINE)
        late++;
}

static struct batcher *
start(unsigned queue, struct predlog *log)
{
    struct err err;
    const struct batcher_options o = {.workers = 2, .queue = queue, .answer = answer, .log = log};

    endpoints = endpoints_new(2);
    cr_assert_eq(endpoints_add(endpoints, "e", &endpoint, &err), ERR_OK);
    endpoints_swap(endpoints, endpoint, fixture_model(1, 10));
    return batcher_new(&o);
}

static void
stop(struct batcher *batcher)
{
    batcher_free(batcher);
    endpoints_free(endpoints);
}

static void
add(struct batcher *batcher, unsigned worker, const float row[2], int64_t deadline_us)
{
    struct batch_request r = {.ticket = (void *)(uintptr_t)row,
                              .endpoint = endpoint,
                              .model = endpoint_model(endpoint),
                              .rows = 1,
                              .deadline_us = deadline_us};
    struct err err = {0};

    cr_assert_eq(batcher_admit(batcher, worker, &err), ERR_OK, "%s", err.message);
    snprintf(r.id, sizeof(r.id), "id-%g", (double)row[0]);
    batcher_add(batcher, worker, &r, row);
}

Test(batcher, sheds_from_80_percent_over_all_workers)
{
    struct batcher *b = start(10, NULL);
    const float row[2] = {0, 0};
    struct err err;

    for (unsigned i = 0; i < 8; i++)
        add(b, i % 2, row, 1000);
    cr_assert_eq(batcher_admit(b, 0, &err), ERR_UNAVAILABLE);
    cr_assert_eq(batcher_admit(b, 1, &err), ERR_UNAVAILABLE);
    batcher_turn(b, 0, 0, 0);
    cr_assert_eq(answered, 4);
    cr_assert_eq(batcher_queued(b), 4);
    cr_assert_eq(batcher_admit(b, 1, &err), ERR_OK);
    batcher_cancel(b, 1);
    batcher_turn(b, 1, 0, 0);
    cr_assert_eq(answered, 8);
    cr_assert_eq(batcher_queued(b), 0);
    stop(b);
}

Test(batcher, a_late_request_is_not_predicted_and_the_rest_keep_their_rows)
{
    struct batcher *b = start(100, NULL);
    const float first[2] = {1, 0}, second[2] = {2, 0}, third[2] = {3, 1};

    add(b, 0, first, 50);
    add(b, 0, second, 500);
    add(b, 0, third, 500);
    batcher_turn(b, 0, 100, 0);
    cr_assert_eq(answered, 3);
    cr_assert_eq(late, 1);
    cr_assert_eq(last_ticket, (void *)(uintptr_t)third);
    cr_assert_float_eq(last, 15.0f, 1e-6);
    stop(b);
}

/* ---- the prediction log ---- */

static size_t logged_rows, messages;
static uint64_t dropped, sampled_out;
static bool full;

static enum err_code
publish(void *arg, const ProtobufCMessage *event, struct err *err)
{
    const Modelbus__Serving__V1__PredictionsLogged *m =
        (const Modelbus__Serving__V1__PredictionsLogged *)event;

    (void)arg;
    if (full)
        return err_set(err, ERR_UNAVAILABLE, "full");
    messages++;
    logged_rows += m->row_count;
    dropped += m->dropped;
    sampled_out += m->sampled_out;
    cr_assert_eq(m->n_features, 2);
    cr_assert_eq(m->n_outputs, 1);
    cr_assert_eq(m->n_prediction_ids, m->row_count);
    cr_assert_eq(m->features[0]->n_floats, m->row_count);
    cr_assert_str_eq(m->features[1]->name, "b \"x\"");
    for (size_t i = 0; i < m->row_count; i++) {
        cr_assert_float_eq(m->outputs[0]->floats[i], 10 + m->features[0]->floats[i], 1e-6);
        cr_assert_eq(m->timestamps_ms[i], 77);
    }
    cr_assert_lt(protobuf_c_message_get_packed_size(event), 1 << 20);
    return ERR_OK;
}

Test(predlog, rows_arrive_in_columns_and_what_does_not_fit_is_counted)
{
    const struct predlog_options o = {
        .workers = 2, .pod = "p", .sample = 1, .queue_rows = 100, .publish = publish};
    struct predlog *log = predlog_new(&o);
    struct batcher *b = start(1000, log);

    for (int i = 0; i < 120; i++) {
        float row[2] = {(float)i, 0};
        add(b, (unsigned)i % 2, row, 1000);
    }
    batcher_turn(b, 0, 0, 77);
    batcher_turn(b, 1, 0, 77);
    cr_assert_eq(answered, 120);
    full = true; /* the bus takes nothing: the rows are dropped, never kept */
    predlog_flush(log);
    cr_assert_eq(messages, 0);
    full = false;
    const float row[2] = {5, 0};
    add(b, 0, row, 1000);
    batcher_turn(b, 0, 0, 77);
    predlog_flush(log);
    cr_assert_eq(logged_rows, 1);
    cr_assert_eq(dropped, 120);
    stop(b);
    predlog_free(log);
}

Test(predlog, a_large_request_is_split_and_a_sample_is_a_share)
{
    struct predlog_options o = {
        .workers = 1, .pod = "p", .sample = 1, .queue_rows = 1 << 20, .publish = publish};
    struct predlog *log = predlog_new(&o);
    struct batcher *b = start(10, NULL);
    size_t rows = 100000;
    float *data = mem_calloc(rows, 2 * sizeof(float)), *values = mem_calloc(rows, sizeof(float));

    for (size_t i = 0; i < rows; i++)
        values[i] = 10;
    predlog_add(log, 0, endpoint, endpoint_model(endpoint), "big", 77, data, values, rows);
    predlog_flush(log);
    cr_assert_eq(logged_rows, rows);
    cr_assert_gt(messages, 3);
    predlog_free(log);

    o.sample = 0.25;
    log = predlog_new(&o);
    logged_rows = 0;
    for (int i = 0; i < 4000; i++)
        predlog_add(log, 0, endpoint, endpoint_model(endpoint), "x", 77, data, values, 1);
    predlog_flush(log);
    cr_assert_eq(logged_rows + sampled_out, 4000);
    cr_assert(logged_rows > 800 && logged_rows < 1200, "%zu", logged_rows);
    predlog_free(log);
    free(data);
    free(values);
    stop(b);
}
