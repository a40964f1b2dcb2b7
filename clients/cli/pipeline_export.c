/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline_export.c - `modelbus pipeline export`: for those who outgrow one machine's workers. */
#include "argo.h"
#include "output.h"
#include "pipeline.h"

#include "yaml/yaml.h"

enum err_code
pipeline_run_export(struct cli *cli, struct err *err)
{
    struct argo_options options = {.image = cli_option(cli, "image"),
                                   .code_in_image = cli_option(cli, "code-in-image") != NULL};
    json_t *pipeline = NULL, *documents = NULL, *document;
    size_t i;

    if (!cli_option(cli, "argo"))
        return err_set(err, ERR_INVALID, "--argo is needed: the form to write");
    if (!options.image)
        return err_set(err, ERR_INVALID, "--image is needed: what the tasks' containers run");
    if (pipeline_get(cli, &pipeline, err))
        return err->code;
    enum err_code code =
        argo_export(json_object_get(pipeline, "definition"), &options, &documents, err);
    json_decref(pipeline);
    if (code)
        return code;
    json_array_foreach(documents, i, document)
    {
        CLEANUP(buf_done) struct buf text = {0};
        yaml_doc_write(document, &text);
        printf("%s%s", i ? "---\n" : "", text.data);
    }
    json_decref(documents);
    return ERR_OK;
}
