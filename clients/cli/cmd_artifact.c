/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_artifact.c - `modelbus artifact`: files in the content-addressed store. */
#include "api.h"
#include "output.h"

static enum err_code
run_push(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) char *uri = NULL;
    int64_t bytes;

    if (api_upload(cli, cli_word(cli, 0), &uri, &bytes, err))
        return err->code;
    if (cli->json)
        printf("{\"uri\": \"%s\", \"size_bytes\": %lld}\n", uri, (long long)bytes);
    else
        puts(uri);
    return ERR_OK;
}

static enum err_code
run_pull(struct cli *cli, struct err *err)
{
    if (api_download(cli, cli_word(cli, 0), cli_word(cli, 1), err))
        return err->code;
    if (cli->json) {
        json_t *document = json_pack("{ss ss}", "uri", cli_word(cli, 0), "path", cli_word(cli, 1));
        output_json(cli, document);
        json_decref(document);
    } else {
        puts(cli_word(cli, 1));
    }
    return ERR_OK;
}

const struct command artifact_commands[] = {
    {.path = "artifact push",
     .args = "FILE",
     .doc = "Store a file and print its URI (sha256:...)",
     .run = run_push,
     .complete = COMPLETE_FILE},
    {.path = "artifact pull",
     .args = "URI FILE",
     .doc = "Fetch an artifact into a file",
     .run = run_pull,
     .complete = COMPLETE_FILE},
    {.path = NULL},
};
