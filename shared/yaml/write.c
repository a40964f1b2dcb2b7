/* SPDX-License-Identifier: Apache-2.0 */
/* write.c - a JSON value through libyaml's emitter. */
#include "yaml/yaml.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

static int
append(void *buf, unsigned char *data, size_t len)
{
    buf_add(buf, data, len);
    return 1;
}

/* The emitter fails for want of memory or by a wrong order of events only. */
static void
emit(yaml_emitter_t *emitter, yaml_event_t *event, int made)
{
    if (!made || !yaml_emitter_emit(emitter, event))
        abort();
}

/* Whether YAML 1.1 or 1.2 might take the plain text for a number, a boolean, a time or nothing. */
static bool
is_ambiguous(const char *text, size_t len)
{
    static const char *const words[] = {"null", "true", "false", "yes", "no",
                                        "on",   "off",  "y",     "n"};

    if (len == 0 || strchr("0123456789+-.~=<", text[0]))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcasecmp(text, words[i]) == 0)
            return true;
    return false;
}

static void
emit_text(yaml_emitter_t *emitter, const char *text, size_t len, bool plain)
{
    yaml_scalar_style_t style = YAML_ANY_SCALAR_STYLE;
    yaml_event_t event;

    if (!plain && is_ambiguous(text, len))
        style = YAML_DOUBLE_QUOTED_SCALAR_STYLE;
    else if (!plain && memchr(text, '\n', len))
        style = YAML_LITERAL_SCALAR_STYLE;
    emit(emitter, &event,
         yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text, (int)len, 1, 1,
                                      style));
}

static void
emit_value(yaml_emitter_t *emitter, const json_t *value)
{
    CLEANUP(mem_free) char *number = NULL;
    yaml_event_t event;
    const char *key;
    json_t *item;
    size_t i;

    switch (json_typeof(value)) {
    case JSON_OBJECT:
        emit(emitter, &event,
             yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE));
        json_object_foreach((json_t *)value, key, item)
        {
            emit_text(emitter, key, strlen(key), false);
            emit_value(emitter, item);
        }
        emit(emitter, &event, yaml_mapping_end_event_initialize(&event));
        break;
    case JSON_ARRAY:
        emit(
            emitter, &event,
            yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_SEQUENCE_STYLE));
        json_array_foreach(value, i, item) emit_value(emitter, item);
        emit(emitter, &event, yaml_sequence_end_event_initialize(&event));
        break;
    case JSON_STRING:
        emit_text(emitter, json_string_value(value), json_string_length(value), false);
        break;
    default:
        number = json_dumps(value, JSON_ENCODE_ANY);
        emit_text(emitter, number, strlen(number), true);
        break;
    }
}

void
yaml_doc_write(const json_t *value, struct buf *out)
{
    yaml_emitter_t emitter;
    yaml_event_t event;

    if (!yaml_emitter_initialize(&emitter))
        abort();
    yaml_emitter_set_output(&emitter, append, out);
    yaml_emitter_set_unicode(&emitter, 1);
    yaml_emitter_set_width(&emitter, -1);
    emit(&emitter, &event, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING));
    emit(&emitter, &event, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1));
    emit_value(&emitter, value);
    emit(&emitter, &event, yaml_document_end_event_initialize(&event, 1));
    emit(&emitter, &event, yaml_stream_end_event_initialize(&event));
    yaml_emitter_delete(&emitter);
}
