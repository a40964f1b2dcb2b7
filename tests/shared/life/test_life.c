/* SPDX-License-Identifier: Apache-2.0 */
/* test_life.c - signals, readiness and the order of stopping. */
#include "life/life.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

Test(life, sigterm_ends_waiting_with_status_zero)
{
    life_init();
    cr_assert_eq(life_state(), LIFE_STARTING);
    cr_assert_not(life_stopping());
    kill(getpid(), SIGTERM);
    cr_assert_eq(life_wait(), 0);
    cr_assert(life_stopping());
    cr_assert_eq(life_state(), LIFE_DRAINING);
}

Test(life, a_signal_counts_before_anybody_waits)
{
    life_init();
    kill(getpid(), SIGINT);
    cr_assert_not(life_sleep_ms(60000)); /* a start-up that waits for its database */
    cr_assert(life_stopping());
}

Test(life, the_first_stop_decides_the_exit_code)
{
    life_init();
    life_stop(3);
    life_stop(0);
    cr_assert_eq(life_wait(), 3);
}

Test(life, a_second_signal_ends_the_process_at_once)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        life_init();
        kill(getpid(), SIGTERM);
        life_wait();
        kill(getpid(), SIGTERM);
        for (;;)
            pause();
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status));
    cr_assert_eq(WEXITSTATUS(status), 130);
}

static void *
stop_later(void *arg)
{
    (void)arg;
    while (life_state() != LIFE_READY)
        sched_yield();
    life_stop(0);
    return NULL;
}

Test(life, a_stop_from_another_thread_wakes_the_main_one)
{
    pthread_t thread;

    life_init();
    cr_assert_eq(pthread_create(&thread, NULL, stop_later, NULL), 0);
    cr_assert_eq(life_wait(), 0);
    pthread_join(thread, NULL);
}

static pthread_t reloaded_on;

static void
reload(void *arg)
{
    reloaded_on = pthread_self();
    ++*(int *)arg;
    life_stop(0);
}

Test(life, sighup_reloads_on_the_main_thread)
{
    int count = 0;

    life_init();
    life_on_reload(reload, &count);
    kill(getpid(), SIGHUP);
    cr_assert_eq(life_wait(), 0);
    cr_assert_eq(count, 1);
    cr_assert(pthread_equal(reloaded_on, pthread_self()));
}

Test(life, ready_when_all_conditions_are_up)
{
    const char *why = NULL;
    char name[] = "database";

    cr_assert(life_ready(NULL));
    life_condition(name, false);
    name[0] = 'x'; /* copied */
    life_condition("bus", true);
    cr_assert_not(life_ready(&why));
    cr_assert_str_eq(why, "database");
    life_condition("database", true);
    cr_assert(life_ready(&why));
    life_condition("bus", false);
    cr_assert_not(life_ready(&why));
    cr_assert_str_eq(why, "bus");
}

Test(life, not_ready_while_draining)
{
    const char *why = NULL;

    life_condition("bus", true);
    life_stop(0);
    cr_assert_not(life_ready(&why));
    cr_assert_str_eq(why, "draining");
}

static char order[8];

static bool
note(void *arg, int64_t deadline_ms)
{
    strcat(order, arg);
    return deadline_ms > 0 && *(char *)arg != 'b';
}

Test(life, steps_stop_backwards_and_once)
{
    life_on_stop("a", note, (void *)"a");
    life_on_stop("c", note, (void *)"c");
    cr_assert(life_shutdown(1000));
    cr_assert_str_eq(order, "ca");
    cr_assert(life_shutdown(1000));
    cr_assert_str_eq(order, "ca");
    cr_assert(life_stopping());
}

Test(life, a_step_that_falls_short_does_not_stop_the_others)
{
    life_on_stop("a", note, (void *)"a");
    life_on_stop("b", note, (void *)"b");
    cr_assert_not(life_shutdown(1000));
    cr_assert_str_eq(order, "ba");
}

static int64_t deadlines[2];

static bool
note_deadline(void *arg, int64_t deadline_ms)
{
    *(int64_t *)arg = deadline_ms;
    return true;
}

Test(life, what_a_step_saves_the_next_one_has)
{
    int64_t now = life_monotonic_ms();

    life_on_stop("last", note_deadline, &deadlines[1]);
    life_on_stop("first", note_deadline, &deadlines[0]);
    cr_assert(life_shutdown(100000));
    cr_assert_geq(deadlines[0], now + 50000);
    cr_assert_lt(deadlines[0], now + 100000);
    cr_assert_geq(deadlines[1], now + 100000);
}

Test(life, a_sleep_is_as_long_as_asked)
{
    int64_t before = life_monotonic_us();

    cr_assert(life_sleep_ms(20));
    cr_assert_geq(life_monotonic_us() - before, 20000);
    cr_assert(life_sleep_ms(0));
    cr_assert(life_sleep_ms(-5));
}

Test(life, sigpipe_is_an_error_of_write)
{
    int ends[2];

    life_init();
    cr_assert_eq(pipe(ends), 0);
    close(ends[0]);
    cr_assert_eq(write(ends[1], "x", 1), -1);
}
