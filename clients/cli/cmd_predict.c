/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_predict.c - `modelbus predict`: ask an endpoint. */
#include "api.h"
#include "output.h"
#include "settings.h"

#include <stdlib.h>
#include <string.h>

#define BODY_MAX (64u << 20)

static enum err_code
run_predict(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) char *endpoint = api_encode(cli_word(cli, 0));
    CLEANUP(mem_free) char *body = NULL;
    CLEANUP(mem_free) char *url = NULL;
    const char *inference;
    json_t *answer = NULL;
    size_t len;

    if (setting_need(cli, "inference", "MODELBUS_INFERENCE_URL", &inference, err) ||
        read_argument(cli_word(cli, 1) ? cli_word(cli, 1) : "-", BODY_MAX, &body, &len, err))
        return err->code;
    url = mem_printf("%s/predict/%s", inference, endpoint);
    if (api_post_text(cli, url, body, len, &answer, err))
        return err->code;
    json_dumpf(answer, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(answer);
    return ERR_OK;
}

const struct command predict_commands[] = {
    {.path = "predict",
     .args = "ENDPOINT [JSON]",
     .doc = "Predict with an endpoint; JSON may be @FILE or - (standard input, the default)",
     .run = run_predict,
     .complete = COMPLETE_FILE,
     .examples = "  modelbus predict churn '{\"rows\": [[0.1, 2.5, null]]}'\n"
                 "  modelbus predict churn @rows.json\n"},
    {.path = NULL},
};
