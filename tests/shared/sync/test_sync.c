/* SPDX-License-Identifier: Apache-2.0 */
/* test_sync.c - a wait ends by a signal or by its deadline. */
#include "sync/sync.h"

#include "life/life.h"

#include <criterion/criterion.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static bool done;

static void *
finish(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&lock);
    done = true;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void
wait_for_another_thread(int64_t until_ms)
{
    pthread_t thread;

    sync_cond_init(&changed);
    pthread_mutex_lock(&lock);
    cr_assert_eq(pthread_create(&thread, NULL, finish, NULL), 0);
    while (!done)
        cr_assert(sync_wait(&changed, &lock, until_ms));
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
}

Test(sync, a_signal_ends_a_wait_before_its_deadline, .timeout = 30)
{
    wait_for_another_thread(life_monotonic_ms() + 60000);
}

Test(sync, a_wait_may_have_no_deadline, .timeout = 30)
{
    wait_for_another_thread(INT64_MAX);
}

Test(sync, a_wait_is_over_at_its_deadline_and_not_before, .timeout = 30)
{
    int64_t until_ms = life_monotonic_ms() + 20;

    sync_cond_init(&changed);
    pthread_mutex_lock(&lock);
    while (sync_wait(&changed, &lock, until_ms))
        ;
    cr_assert_geq(life_monotonic_ms(), until_ms);
    cr_assert_not(sync_wait(&changed, &lock, until_ms));
    pthread_mutex_unlock(&lock);
}
