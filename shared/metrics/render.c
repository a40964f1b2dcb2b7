/* SPDX-License-Identifier: Apache-2.0 */
/* render.c - the registry as Prometheus text, format 0.0.4. */
#include "metrics/internal.h"

#include <math.h>

struct callback {
    struct callback *next;
    void (*update)(void *arg);
    void *arg;
};

static pthread_mutex_t callbacks_lock = PTHREAD_MUTEX_INITIALIZER;
static struct callback *callbacks;

void
metrics_on_render(void (*update)(void *arg), void *arg)
{
    struct callback *callback = mem_zalloc(sizeof(*callback));

    callback->update = update;
    callback->arg = arg;
    pthread_mutex_lock(&callbacks_lock);
    callback->next = callbacks;
    callbacks = callback;
    pthread_mutex_unlock(&callbacks_lock);
}

static void
add_number(struct buf *out, double x)
{
    if (isinf(x))
        buf_str(out, x < 0 ? "-Inf" : "+Inf");
    else
        buf_double(out, x);
}

static void
add_header(struct buf *out, const struct family *family)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};

    buf_printf(out, "# HELP %s ", family->name);
    for (const char *c = family->help; *c; c++) {
        if (*c == '\n')
            buf_str(out, "\\n");
        else if (*c == '\\')
            buf_str(out, "\\\\");
        else
            buf_char(out, *c);
    }
    buf_printf(out, "\n# TYPE %s %s\n", family->name, types[family->type]);
}

static void
add_sample(struct buf *out, const struct metric *m, const char *suffix, double value)
{
    buf_printf(out, "%s%s", m->family->name, suffix);
    if (m->labels[0])
        buf_printf(out, "{%s}", m->labels);
    buf_char(out, ' ');
    add_number(out, value);
    buf_char(out, '\n');
}

static void
add_histogram(struct buf *out, const struct metric *m)
{
    const struct family *family = m->family;
    uint64_t count = 0;

    /* count is the sum of the buckets read here, so that the lines agree with each
     * other while observations go on; the sum may be one of them ahead. */
    for (size_t i = 0; i <= family->bound_count; i++) {
        count += atomic_load_explicit(&m->buckets[i], memory_order_relaxed);
        buf_printf(out, "%s_bucket{%s%sle=\"", family->name, m->labels, m->labels[0] ? "," : "");
        add_number(out, i < family->bound_count ? family->bounds[i] : INFINITY);
        buf_str(out, "\"} ");
        buf_int(out, (int64_t)count);
        buf_char(out, '\n');
    }
    double sum;
    uint64_t bits = atomic_load_explicit(&m->bits, memory_order_relaxed);
    __builtin_memcpy(&sum, &bits, sizeof(sum));
    add_sample(out, m, "_sum", sum);
    add_sample(out, m, "_count", (double)count);
}

void
metrics_render(struct buf *out)
{
    pthread_mutex_lock(&callbacks_lock);
    struct callback *first = callbacks;
    pthread_mutex_unlock(&callbacks_lock);
    /* Callbacks are only ever added, at the front: the list from here on is stable. */
    for (struct callback *c = first; c; c = c->next)
        c->update(c->arg);

    pthread_mutex_lock(&metrics_registry.lock);
    for (struct family *family = metrics_registry.first; family; family = family->next) {
        add_header(out, family);
        for (struct metric *m = family->first; m; m = m->next) {
            if (family->type == METRIC_HISTOGRAM)
                add_histogram(out, m);
            else
                add_sample(out, m, "", metric_value(m));
        }
    }
    pthread_mutex_unlock(&metrics_registry.lock);
    metrics_render_process(out);
}
