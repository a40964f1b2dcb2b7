/* SPDX-License-Identifier: Apache-2.0 */
/* label_metrics.c - metrics of cases on standard input, for compare.py. A case is a line "classes
 * THRESHOLD COUNT" or "numbers 0 COUNT" and COUNT lines "OUTPUT LABEL"; the answer is a line of values. */
#include "performance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
main(void)
{
    char task[16];
    double threshold;
    size_t count;

    while (scanf("%15s %lf %zu", task, &threshold, &count) == 3) {
        struct performance_row *rows = calloc(count ? count : 1, sizeof(*rows));
        if (!rows)
            return 1;
        for (size_t i = 0; i < count; i++)
            if (scanf("%lf %lf", &rows[i].output, &rows[i].label) != 2)
                return 1;
        struct performance p = strcmp(task, "classes") == 0
                                   ? performance_classes(rows, count, threshold)
                                   : performance_numbers(rows, count);
        for (enum performance_metric m = 0; m < PERFORMANCE_METRICS; m++)
            printf("%s%s %.17g", m ? " " : "", performance_name(m), p.value[m]);
        putchar('\n');
        free(rows);
    }
    return 0;
}
