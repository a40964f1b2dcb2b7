/* SPDX-License-Identifier: Apache-2.0 */
#include "broker.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define TOOL MODELBUS_SUPPORT_DIR "/kafka.sh"

static void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void
shell(const char *format, ...)
{
    char command[512];
    va_list args;

    va_start(args, format);
    vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    cr_assert_eq(system(command), 0, "%s", command);
}

void
broker_up(struct broker *b, const char *properties)
{
    char text[256];

    snprintf(b->folder, sizeof(b->folder), "/tmp/modelbus-broker-XXXXXX");
    cr_assert_not_null(mkdtemp(b->folder));
    snprintf(text, sizeof(text), "cat >/dev/null; %s down %s/k; rm -rf %s", TOOL, b->folder,
             b->folder);
    /* Closed on exec: else the broker itself would keep the pipe open. */
    b->guard = popen(text, "we");
    cr_assert_not_null(b->guard);
    if (properties)
        setenv("KAFKA_EXTRA", properties, 1);
    else
        unsetenv("KAFKA_EXTRA");
    shell("%s up %s/k >/dev/null", TOOL, b->folder);
    snprintf(text, sizeof(text), "%s/k/bootstrap", b->folder);
    FILE *file = fopen(text, "r");
    cr_assert(file && fgets(b->brokers, sizeof(b->brokers), file), "%s", text);
    fclose(file);
    b->brokers[strcspn(b->brokers, "\n")] = '\0';
}

void
broker_kill(struct broker *b)
{
    shell("%s kill %s/k 1", TOOL, b->folder);
}

void
broker_restart(struct broker *b)
{
    shell("%s restart %s/k 1", TOOL, b->folder);
}

void
broker_down(struct broker *b)
{
    cr_assert_eq(pclose(b->guard), 0);
}
