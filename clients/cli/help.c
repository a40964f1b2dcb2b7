/* SPDX-License-Identifier: Apache-2.0 */
/* help.c - help texts from the table of commands. */
#include "command.h"

#include <string.h>

static void
option_lines(const struct option_row *rows, FILE *out)
{
    char left[64];

    for (const struct option_row *row = rows; row && row->name; row++) {
        snprintf(left, sizeof(left), "%c%c%s--%s%s%s", row->letter ? '-' : ' ',
                 row->letter ? row->letter : ' ', row->letter ? ", " : "  ", row->name,
                 row->value ? " " : "", row->value ? row->value : "");
        fprintf(out, "  %-28s %s\n", left, row->doc);
    }
}

static void
command_line(const struct command *c, FILE *out)
{
    char left[96];

    snprintf(left, sizeof(left), "%s%s%s", c->path, *c->args ? " " : "", c->args);
    if (strlen(left) > 36)
        fprintf(out, "  %s\n  %36s %s\n", left, "", c->doc);
    else
        fprintf(out, "  %-36s %s\n", left, c->doc);
}

void
help_program(FILE *out)
{
    fputs("modelbus - the life of machine-learning models as a stream of events\n\n"
          "Usage: modelbus COMMAND [WORDS] [OPTIONS]\n\nCommands:\n",
          out);
    for
        EACH_COMMAND(c)
    if (!c->hidden)
        command_line(c, out);
    fputs("\nOptions of every command:\n", out);
    option_lines(global_options, out);
    fputs("\nAddresses come from the flags, else from the environment (MODELBUS_GATEWAY_URL,\n"
          "MODELBUS_INFERENCE_URL, MODELBUS_BROKERS, MODELBUS_BUS_PREFIX, MODELBUS_TOKEN,\n"
          "MODELBUS_RPC_KEY or MODELBUS_RPC_KEY_FILE, MODELBUS_<SERVICE>_RPC_URL), else from the\n"
          "local platform in --dir (default $XDG_DATA_HOME/modelbus or ~/.local/share/modelbus).\n"
          "What a command does is part of the trace in TRACEPARENT, if there is one.\n"
          "\nExit codes:\n"
          "  0  done\n"
          "  1  failed\n"
          "  2  wrong usage, or a request that is not valid\n"
          "  3  not found\n"
          "  4  conflict: exists already, changed meanwhile, or the state does not allow it\n"
          "  5  unavailable, or the time was up; trying again may help\n"
          "  6  denied\n"
          "  7  drift found (drift check)\n"
          "  8  no drift found, but not every column could be decided (drift check)\n"
          "  9  the challenger lost (model challenge), the run did not succeed (pipeline watch)\n",
          out);
}

void
help_group(const char *group, FILE *out)
{
    size_t len = strlen(group);

    fprintf(out, "Usage: modelbus %s COMMAND [WORDS] [OPTIONS]\n\nCommands:\n", group);
    for
        EACH_COMMAND(c)
    if (!c->hidden && strncmp(c->path, group, len) == 0 && c->path[len] == ' ')
        command_line(c, out);
    fprintf(out, "\nSee modelbus %s COMMAND --help, and modelbus --help for the exit codes.\n",
            group);
}

void
help_command(const struct command *c, FILE *out)
{
    fprintf(out, "%s\n\nUsage: modelbus %s%s%s [OPTIONS]\n", c->doc, c->path, *c->args ? " " : "",
            c->args);
    if (c->options) {
        fputs("\nOptions:\n", out);
        option_lines(c->options, out);
    }
    fputs("\nOptions of every command:\n", out);
    option_lines(global_options, out);
    if (c->examples)
        fprintf(out, "\nExamples:\n%s", c->examples);
}
