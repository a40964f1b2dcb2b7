/* SPDX-License-Identifier: Apache-2.0 */
/* Every model that golden.py trains with XGBoost predicts here what it predicted there. */
#include "runtime.h"
#include "xgboost_model.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/modelbus-golden-XXXXXX";

static void *
read_all(const char *name, const char *extension, size_t *len)
{
    char path[256];
    size_t cap = 1 << 16;
    char *bytes = mem_alloc(cap);

    snprintf(path, sizeof(path), "%s/%s.%s", folder, name, extension);
    FILE *f = fopen(path, "rb");
    cr_assert_not_null(f, "%s", path);
    *len = 0;
    for (size_t n; (n = fread(bytes + *len, 1, cap - *len, f)) > 0;)
        if ((*len += n) == cap)
            bytes = mem_realloc(bytes, cap *= 2);
    fclose(f);
    return bytes;
}

static void
compare(const char *what, const float *got, const float *expected, size_t count, bool exact)
{
    for (size_t i = 0; i < count; i++)
        if (exact)
            cr_assert(memcmp(&got[i], &expected[i], sizeof(float)) == 0,
                      "%s: value %zu is %.9g, XGBoost says %.9g", what, i, (double)got[i],
                      (double)expected[i]);
        else
            cr_assert(fabsf(got[i] - expected[i]) <= 1e-6f * fmaxf(1, fabsf(expected[i])),
                      "%s: value %zu is %.9g, XGBoost says %.9g", what, i, (double)got[i],
                      (double)expected[i]);
}

static void
check_margins(const char *name, const char *file, size_t len, const float *rows, size_t n,
              const float *expected, bool exact)
{
    struct xgb_model m = {0};
    struct err err = {0};

    cr_assert_eq(xgb_model_read(false, file, len, &m, &err), ERR_OK, "%s: %s", name, err.message);
    if (!m.weights) {
        size_t groups = m.groups;
        float *margins = mem_calloc(n * groups, sizeof(float));
        m.trees.base = TAKE_PTR(m.base);
        struct trees *trees = trees_compile(&m.trees);
        trees_predict(trees, rows, n, margins);
        compare(name, margins, expected, n * groups, exact);
        trees_free(trees);
        free(margins);
    }
    xgb_model_done(&m);
}

static void
check_case(const char *name, size_t n, size_t features, size_t width, bool exact)
{
    size_t len;
    float *rows = read_all(name, "rows", &len);
    cr_assert_eq(len, n * features * sizeof(float));
    float *predictions = read_all(name, "predictions", &len);
    float *margins = read_all(name, "margins", &len);

    for (int binary = 0; binary < 2; binary++) {
        struct runtime *runtime;
        struct err err = {0};
        char *file = read_all(name, binary ? "ubj" : "json", &len);
        cr_assert_eq(runtime_open(NULL, file, len, &runtime, &err), ERR_OK, "%s: %s", name,
                     err.message);
        cr_assert_str_eq(runtime->info.format, binary ? "xgboost-ubjson" : "xgboost-json");
        cr_assert_eq(runtime->info.features, features);
        cr_assert_eq(runtime->info.width, width);
        float *out = mem_calloc(n * (width + runtime->info.scratch), sizeof(float));
        runtime_predict(runtime, rows, n, out, out + n * width);
        compare(name, out, predictions, n * width, exact);
        /* One by one gives the same as all at once. */
        for (size_t r = 0; r < n; r++)
            runtime_predict(runtime, rows + r * features, 1, out + r * width, out + n * width);
        compare(name, out, predictions, n * width, exact);
        if (strcmp(name, "onehot") == 0)
            cr_assert_str_eq(runtime->info.feature_names[1], "grösse");
        if (!binary)
            check_margins(name, file, len, rows, n, margins, exact);
        free(out);
        free(file);
        runtime_close(runtime);
    }
    free(rows);
    free(predictions);
    free(margins);
}

/* A file that ends early, or with one byte changed, is refused or still safe to use. */
static void
check_damage(const char *name)
{
    size_t len;

    for (int binary = 0; binary < 2; binary++) {
        char *file = read_all(name, binary ? "ubj" : "json", &len);
        struct runtime *runtime;
        struct err err;
        for (size_t cut = 0; cut < len; cut += 1 + cut / 16)
            cr_assert_neq(
                runtime_open(binary ? "xgboost-ubjson" : "xgboost-json", file, cut, &runtime, &err),
                ERR_OK, "%s cut at %zu", name, cut);
        for (size_t at = 0; at < len; at += 1 + len / 997) {
            char before = file[at];
            float row[64] = {0}, out[64];
            file[at] = (char)(before ^ (1 << at % 8));
            if (runtime_open(NULL, file, len, &runtime, &err) == ERR_OK) {
                if (runtime->info.features <= 64 &&
                    runtime->info.width + runtime->info.scratch <= 64)
                    runtime_predict(runtime, row, 1, out, out + runtime->info.width);
                runtime_close(runtime);
            }
            file[at] = before;
        }
        free(file);
    }
}

Test(golden, xgboost_to_the_last_bit)
{
    char command[512], name[64], path[256];
    size_t n, features, margins, width, cases = 0;
    int exact;

    cr_assert_not_null(mkdtemp(folder));
    snprintf(command, sizeof(command), "/usr/bin/python3 tests/services/inference/golden.py %s",
             folder);
    cr_assert_eq(system(command), 0, "golden.py failed; it needs python3-xgboost and scikit-learn");
    snprintf(path, sizeof(path), "%s/cases", folder);
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f);
    while (fscanf(f, "%63s %zu %zu %zu %zu %d", name, &n, &features, &margins, &width, &exact) ==
           6) {
        check_case(name, n, features, width, exact);
        cases++;
    }
    fclose(f);
    cr_assert_gt(cases, 20);
    check_damage("stump");
    check_damage("softprob");
    check_damage("onehot");
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}
