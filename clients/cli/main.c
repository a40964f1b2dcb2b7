/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the modelbus command: find the row, run its handler, report. */
#include "command.h"
#include "output.h"

#include "log/log.h"
#include "trace/trace.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
    struct cli cli = {0};
    struct err err = {0};
    struct trace trace;

    log_init("modelbus", LOG_ERROR);
    signal(SIGPIPE, SIG_IGN);
    /* As OpenTelemetry hands a trace to a program: a task of a pipeline is part of its run's. */
    if (trace_parse(getenv("TRACEPARENT"), &trace))
        trace_set_current(&trace);
    enum err_code code = cli_parse(&cli, argc - 1, argv + 1, &err);
    const char *no_color = getenv("NO_COLOR");
    cli.json = cli_option(&cli, "json") != NULL;
    cli.color = !cli.json && isatty(STDOUT_FILENO) && !(no_color && *no_color) &&
                !cli_option(&cli, "no-color");
    if (code) {
        output_error(&cli, &err);
        return EXIT_USAGE;
    }
    if (!cli.command && cli.word_count) {
        help_group(cli.words[0], stdout);
        return 0;
    }
    if (!cli.command) {
        bool asked = cli_option(&cli, "help") != NULL;
        help_program(asked ? stdout : stderr);
        return asked ? 0 : EXIT_USAGE;
    }
    if (cli_option(&cli, "help")) {
        help_command(cli.command, stdout);
        return 0;
    }
    code = cli.command->run(&cli, &err);
    /* A handler that has said itself what is wrong leaves the message empty. */
    if (code && *err.message)
        output_error(&cli, &err);
    json_decref(cli.env);
    if (fflush(stdout) && !code)
        return 1;
    return code ? cli_exit_code(code) : cli.exit_code;
}
