/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_config.c - configuration files: pairs of valid C strings, or an error. */
#include "config/config.h"

#include <stdlib.h>
#include <string.h>

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    char **pairs = NULL;
    size_t words = 0;

    if (config_parse_yaml((const char *)data, size, &pairs, &err)) {
        if (err.message[0] == '\0' || pairs)
            abort();
        return 0;
    }
    while (pairs[words])
        words++;
    if (words % 2 || words > 2000)
        abort();
    config_pairs_free(pairs);
    return 0;
}
