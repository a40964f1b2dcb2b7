/* SPDX-License-Identifier: Apache-2.0 */
/*
 * completion.c - what may follow the words typed so far, from the table of commands.
 *
 * `modelbus completion SHELL` prints a few lines that ask `modelbus __complete WORDS...`, so a
 * completion never disagrees with the program. An answer is a line "word<TAB>doc"; the
 * first line says what else to complete with: ":none", ":file" or ":folder".
 */
#include "command.h"

#include "catalog.h"

#include <string.h>

static const char bash[] =
    "# source <(modelbus completion bash)\n"
    "_modelbus() {\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} kind word rest IFS=$'\\t'\n"
    "    COMPREPLY=()\n"
    "    while read -r word rest; do\n"
    "        case $word in\n"
    "        :none) ;;\n"
    "        :file) COMPREPLY+=($(IFS=$'\\n'; compgen -f -- \"$cur\")) ;;\n"
    "        :folder) COMPREPLY+=($(IFS=$'\\n'; compgen -d -- \"$cur\")) ;;\n"
    "        *) COMPREPLY+=(\"$word\") ;;\n"
    "        esac\n"
    "    done < <(modelbus __complete -- \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
    "}\n"
    "complete -o default -F _modelbus modelbus\n";

static const char zsh[] =
    "#compdef modelbus\n"
    "# put this into a file _modelbus in a folder of $fpath, or: source <(modelbus completion "
    "zsh)\n"
    "_modelbus() {\n"
    "    local word doc; local -a found\n"
    "    while IFS=$'\\t' read -r word doc; do\n"
    "        case $word in\n"
    "        :none) ;;\n"
    "        :file) _files ;;\n"
    "        :folder) _files -/ ;;\n"
    "        *) found+=(\"${word//:/\\\\:}:$doc\") ;;\n"
    "        esac\n"
    "    done < <(modelbus __complete -- \"${(@)words[2,CURRENT]}\" 2>/dev/null)\n"
    "    (( $#found )) && _describe modelbus found\n"
    "}\n"
    "compdef _modelbus modelbus\n";

static const char fish[] = "# modelbus completion fish | source\n"
                           "function __modelbus_complete\n"
                           "    set -l words (commandline -opc)[2..-1] (commandline -ct)\n"
                           "    for line in (modelbus __complete -- $words 2>/dev/null)\n"
                           "        switch $line\n"
                           "            case :none\n"
                           "            case :file\n"
                           "                __fish_complete_path (commandline -ct)\n"
                           "            case :folder\n"
                           "                __fish_complete_directories (commandline -ct)\n"
                           "            case '*'\n"
                           "                echo $line\n"
                           "        end\n"
                           "    end\n"
                           "end\n"
                           "complete -c modelbus -f -a '(__modelbus_complete)'\n";

static enum err_code
run_completion(struct cli *cli, struct err *err)
{
    const char *shell = cli_word(cli, 0);
    const char *script = strcmp(shell, "bash") == 0   ? bash
                         : strcmp(shell, "zsh") == 0  ? zsh
                         : strcmp(shell, "fish") == 0 ? fish
                                                      : NULL;

    if (!script)
        return err_set(err, ERR_UNSUPPORTED, "completion for bash, zsh or fish, not '%s'", shell);
    fputs(script, stdout);
    return ERR_OK;
}

static void
offer(const char *prefix, const char *word, size_t len, const char *doc)
{
    if (strlen(prefix) <= len && strncmp(word, prefix, strlen(prefix)) == 0)
        printf("%.*s\t%s\n", (int)len, word, doc);
}

/* Words by a row's complete; kinds other than plain words say how in the first line. */
static void
offer_words(const char *complete, const char *prefix)
{
    if (!complete || strcmp(complete, COMPLETE_FILE) == 0 || strcmp(complete, COMPLETE_FOLDER) == 0)
        return;
    if (strcmp(complete, COMPLETE_SERVICE) == 0)
        complete = "experiment registry deployment monitoring alert pipeline gateway";
    if (strcmp(complete, COMPLETE_EVENT) == 0 || strcmp(complete, COMPLETE_TOPIC) == 0) {
        for (const struct event_topic *t = event_topics;
             t->suffix && strcmp(complete, COMPLETE_TOPIC) == 0; t++)
            offer(prefix, t->suffix, strlen(t->suffix), "topic");
        for (const struct event_type *t = event_types; t->descriptor; t++)
            offer(prefix, t->descriptor->short_name, strlen(t->descriptor->short_name), t->doc);
        return;
    }
    for (const char *p = complete; *p;) {
        size_t len = strcspn(p, " ");
        offer(prefix, p, len, "");
        p += len + (p[len] == ' ');
    }
}

static const char *
kind_of(const char *complete)
{
    if (complete && strcmp(complete, COMPLETE_FILE) == 0)
        return ":file";
    return complete && strcmp(complete, COMPLETE_FOLDER) == 0 ? ":folder" : ":none";
}

static void
offer_options(const struct option_row *rows, const char *prefix)
{
    char word[64];

    for (const struct option_row *row = rows; row && row->name; row++) {
        snprintf(word, sizeof(word), "--%s", row->name);
        offer(prefix, word, strlen(word), row->doc);
    }
}

/* The next word of every command that begins with the words before. */
static void
offer_commands(const char *before, const char *prefix)
{
    char last[64] = "";
    size_t skip = strlen(before);

    for
        EACH_COMMAND(c)
        {
            if (c->hidden || strncmp(c->path, before, skip) != 0)
                continue;
            const char *word = c->path + skip;
            size_t len = strcspn(word, " ");
            if (strlen(last) == len && strncmp(last, word, len) == 0)
                continue;
            snprintf(last, sizeof(last), "%.*s", (int)len, word);
            offer(prefix, word, len, word[len] ? "" : c->doc);
        }
}

static const struct option_row *
option_named(const struct command *command, const char *word)
{
    const struct option_row *lists[] = {command->options, global_options};

    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        for (const struct option_row *row = lists[i]; row && row->name; row++)
            if (strncmp(word, "--", 2) == 0 && strcmp(word + 2, row->name) == 0)
                return row;
    return NULL;
}

static enum err_code
run_complete(struct cli *cli, struct err *err)
{
    size_t count = cli->word_count ? cli->word_count : 1;
    const char *last = cli->word_count ? cli->words[count - 1] : "";
    const struct command *command = NULL;
    char before[128] = "";

    (void)err;
    for (size_t i = 0; i + 1 < count && i < 3 && !command; i++) {
        size_t used = strlen(before);
        snprintf(before + used, sizeof(before) - used, "%s", cli->words[i]);
        for
            EACH_COMMAND(c)
        if (!c->hidden && strcmp(c->path, before) == 0)
            command = c;
        snprintf(before + strlen(before), sizeof(before) - strlen(before), " ");
    }
    if (!command) {
        puts(":none");
        offer_commands(before, last);
        return ERR_OK;
    }
    const struct option_row *option =
        count > 1 ? option_named(command, cli->words[count - 2]) : NULL;
    if (option && option->value) {
        puts(kind_of(option->complete));
        offer_words(option->complete, last);
    } else if (last[0] == '-') {
        puts(":none");
        offer_options(command->options, last);
        offer_options(global_options, last);
    } else {
        puts(kind_of(command->complete));
        offer_words(command->complete, last);
    }
    return ERR_OK;
}

static enum err_code
run_version(struct cli *cli, struct err *err)
{
    (void)err;
    if (cli->json)
        printf("{\"version\": \"%s\"}\n", MODELBUS_VERSION);
    else
        printf("modelbus %s\n", MODELBUS_VERSION);
    return ERR_OK;
}

const struct command completion_commands[] = {
    {.path = "completion",
     .args = "SHELL",
     .doc = "Print the completion for bash, zsh or fish",
     .run = run_completion,
     .complete = "bash zsh fish",
     .examples = "  source <(modelbus completion bash)\n"},
    {.path = "__complete",
     .args = "[WORD ...]",
     .doc = "Answer a shell's completion",
     .run = run_complete,
     .hidden = true},
    {.path = NULL},
};

const struct command version_commands[] = {
    {.path = "version", .args = "", .doc = "Print the version", .run = run_version},
    {.path = NULL},
};
