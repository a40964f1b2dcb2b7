/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU seconds to compare reference and current columns in memory. Prints a line of JSON a
 * method; judges nothing.   drift_bench [ROWS [COLUMNS [CSV_FOLDER]]]
 *
 * With a folder the columns are also written there as ref.csv and cur.csv, so that others can be
 * measured on the same rows.
 */
#include "drift/drift.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t state = 88172645463325252u;

static double
uniform(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return ((double)(state >> 11) + .5) / 9007199254740992.;
}

static double *
draw(size_t rows, double shift)
{
    double *values = mem_calloc(rows, sizeof(*values));

    for (size_t i = 0; i < rows; i++)
        values[i] = sqrt(-2 * log(uniform())) * cos(2 * M_PI * uniform()) + shift;
    return values;
}

static double
now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
measure(double *const *ref, double *const *cur, size_t rows, size_t columns, struct drift_plan plan)
{
    struct drift_verdict verdict;
    double began = now(), sum = 0;

    for (size_t i = 0; i < columns; i++) {
        struct drift_column r = {.kind = DRIFT_NUMERIC, .numbers = ref[i], .rows = rows}, c = r;
        c.numbers = cur[i];
        drift_compare(&r, &c, &plan, &verdict);
        sum += verdict.statistic;
    }
    printf(
        "{\"profile\": \"%s\", \"method\": \"%s\", \"rows\": %zu, \"columns\": %zu, \"seconds\": "
        "%.4f, \"mean_statistic\": %.17g}\n",
        drift_profile_name(plan.profile), drift_method_name(verdict.method), rows, columns,
        now() - began, sum / (double)columns);
    fflush(stdout);
}

static bool
write_csv(const char *folder, const char *name, double *const *values, size_t rows, size_t columns)
{
    CLEANUP(mem_free) char *path = mem_printf("%s/%s.csv", folder, name);
    FILE *out = fopen(path, "w");

    if (!out)
        return false;
    for (size_t c = 0; c < columns; c++)
        fprintf(out, "f%zu%c", c, c + 1 < columns ? ',' : '\n');
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++)
            fprintf(out, "%.17g%c", values[c][r], c + 1 < columns ? ',' : '\n');
    return fclose(out) == 0;
}

int
main(int argc, char **argv)
{
    size_t rows = argc > 1 ? strtoul(argv[1], NULL, 10) : 500000;
    size_t columns = argc > 2 ? strtoul(argv[2], NULL, 10) : 50;
    double **ref = mem_calloc(columns, sizeof(*ref)), **cur = mem_calloc(columns, sizeof(*cur));
    int status = 0;

    drift_keep_memory();
    for (size_t i = 0; i < columns; i++) {
        ref[i] = draw(rows, 0);
        cur[i] = draw(rows, .01);
    }
    measure(ref, cur, rows, columns, (struct drift_plan){DRIFT_NATIVE, DRIFT_PSI, NAN});
    measure(ref, cur, rows, columns, (struct drift_plan){DRIFT_NATIVE, DRIFT_KS, NAN});
    measure(ref, cur, rows, columns, (struct drift_plan){DRIFT_EVIDENTLY, DRIFT_PSI, NAN});
    measure(ref, cur, rows, columns, (struct drift_plan){DRIFT_EVIDENTLY, DRIFT_AUTO, NAN});
    if (argc > 3 && (!write_csv(argv[3], "ref", ref, rows, columns) ||
                     !write_csv(argv[3], "cur", cur, rows, columns))) {
        perror(argv[3]);
        status = 1;
    }
    for (size_t i = 0; i < columns; i++) {
        free(ref[i]);
        free(cur[i]);
    }
    free(ref);
    free(cur);
    return status;
}
