/* SPDX-License-Identifier: Apache-2.0 */
/* Several instances of one service: shares, fail-over, fencing. */
#include "fabric.h"

#include "life/life.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define TWICE                                                                                      \
    "SELECT count(*) FROM (SELECT 1 FROM applied GROUP BY model, version HAVING count(*) > 1) t"
#define OUT_OF_ORDER                                                                               \
    "SELECT count(*) FROM (SELECT version, lag(version) OVER (PARTITION BY model ORDER BY n)"      \
    " AS before FROM applied) t WHERE before > version"

static struct fabric f;

static void
setup(void)
{
    fabric_open(&f);
}

static void
teardown(void)
{
    fabric_close(&f);
}

TestSuite(failover, .init = setup, .fini = teardown, .timeout = 200);

static void
kill_9(pid_t pid)
{
    cr_assert_eq(kill(pid, SIGKILL), 0);
    cr_assert_eq(waitpid(pid, NULL, 0), pid);
}

static void
register_round(int64_t round)
{
    char model[16];

    for (int m = 0; m < 20; m++) {
        snprintf(model, sizeof(model), "m%d", m);
        fabric_register(&f, model, round * 50, 50);
    }
}

Test(failover, kill_9_amid_batches_loses_and_doubles_nothing)
{
    pid_t victim = fabric_child(&f, 1);

    fabric_relay_start(&f);
    for (int64_t round = 0; round < 5; round++) {
        register_round(round);
        char sql[100];
        snprintf(sql, sizeof(sql), "SELECT (count(*) > %d)::int FROM applied",
                 (int)round * 1000 + 100);
        fabric_wait(&f, sql, 1);
        kill_9(victim);
        victim = fabric_child(&f, (int)round + 2);
    }
    fabric_wait(&f, "SELECT count(*) FROM applied", 5000);
    cr_assert_eq(fabric_number(&f, TWICE), 0);
    cr_assert_eq(fabric_number(&f, OUT_OF_ORDER), 0);
    kill_9(victim);
}

Test(failover, the_second_takes_over_when_the_first_is_killed)
{
    pid_t first = fabric_child(&f, 1);

    fabric_relay_start(&f);
    fabric_register(&f, "model", 1, 10);
    fabric_wait(&f, "SELECT count(*) FROM applied WHERE instance = 1", 10);
    pid_t second = fabric_child(&f, 2);
    fabric_register(&f, "model", 11, 10);
    fabric_wait(&f, "SELECT count(*) FROM applied", 20);
    kill_9(first);
    fabric_register(&f, "model", 21, 10);
    int64_t ms = fabric_wait(&f, "SELECT count(*) FROM applied", 30);
    printf("fail-over after kill -9: %lld ms\n", (long long)ms);
    cr_assert_lt(ms, 10000);
    cr_assert_eq(fabric_number(&f, TWICE), 0);
    kill_9(second);
}

static size_t
partitions_of(struct consumer *c)
{
    struct consumer_partition p[64];

    return consumer_partitions(c, p, ARRAY_LEN(p));
}

static int64_t
wait_shares(struct consumer **c, size_t n, size_t all)
{
    int64_t start = life_monotonic_ms();

    for (;;) {
        size_t sum = 0, most = 0, least = all;
        for (size_t i = 0; i < n; i++) {
            size_t p = partitions_of(c[i]);
            sum += p;
            most = p > most ? p : most;
            least = p < least ? p : least;
        }
        if (sum == all && most - least <= 1)
            return life_monotonic_ms() - start;
        cr_assert_lt(life_monotonic_ms() - start, 60000, "shares did not become even");
    }
}

Test(failover, three_instances_share_evenly_and_hand_over)
{
    int ids[] = {1, 2, 3};
    struct consumer *c[3];
    size_t all = 0;

    for (const struct event_topic *t = event_topics; t->suffix; t++)
        if (strcmp(t->suffix, "registry") == 0)
            all = (size_t)t->partitions;
    fabric_relay_start(&f);
    for (size_t i = 0; i < 3; i++) {
        c[i] = fabric_consumer(&f, NULL, &ids[i]);
        printf("%zu instances, even after %lld ms\n", i + 1, (long long)wait_shares(c, i + 1, all));
        register_round((int64_t)i);
    }
    cr_assert(consumer_stop(c[2], life_monotonic_ms() + 20000));
    printf("two again after %lld ms\n", (long long)wait_shares(c, 2, all));
    register_round(3);
    fabric_wait(&f, "SELECT count(*) FROM applied", 4000);
    cr_assert_eq(fabric_number(&f, TWICE), 0);
    cr_assert_eq(fabric_number(&f, OUT_OF_ORDER), 0);
    cr_assert(consumer_stop(c[0], life_monotonic_ms() + 20000));
    cr_assert(consumer_stop(c[1], life_monotonic_ms() + 20000));
}

Test(failover, partitions_that_are_added_are_shared_and_read)
{
    int ids[] = {1, 2};
    struct consumer *c[2];

    f.bus.properties = "statistics.interval.ms=100;topic.metadata.refresh.interval.ms=200";
    fabric_relay_start(&f);
    for (size_t i = 0; i < 2; i++)
        c[i] = fabric_consumer(&f, NULL, &ids[i]);
    register_round(0);
    fabric_wait(&f, "SELECT count(*) FROM applied", 1000);
    fabric_grow(&f, "registry", 8);
    printf("eight partitions shared after %lld ms\n", (long long)wait_shares(c, 2, 8));
    register_round(1);
    fabric_wait(&f, "SELECT count(*) FROM applied", 2000);
    fabric_wait(&f, "SELECT count(*) FROM bus_offset WHERE partition > 3", 4);
    cr_assert_eq(fabric_number(&f, TWICE), 0);
    cr_assert(consumer_stop(c[0], life_monotonic_ms() + 20000));
    cr_assert(consumer_stop(c[1], life_monotonic_ms() + 20000));
}

Test(failover, of_two_that_believe_they_own_a_partition_one_commits)
{
    int ids[] = {1, 2};
    /* Locks under different names, one table of offsets: both read everything. */
    struct consumer *one = fabric_consumer(&f, "one", &ids[0]);
    struct consumer *two = fabric_consumer(&f, "two", &ids[1]);

    fabric_relay_start(&f);
    for (int64_t round = 0; round < 3; round++)
        register_round(round);
    fabric_wait(&f, "SELECT count(*) FROM applied", 3000);
    fabric_wait(&f, "SELECT sum(next) FROM bus_offset", 3000);
    cr_assert_eq(fabric_number(&f, TWICE), 0);
    cr_assert_eq(fabric_number(&f, OUT_OF_ORDER), 0);
    cr_assert_eq(fabric_number(&f, "SELECT count(*) FROM dead_letter"), 0);
    cr_assert(consumer_stop(one, life_monotonic_ms() + 20000));
    cr_assert(consumer_stop(two, life_monotonic_ms() + 20000));
}
