/* SPDX-License-Identifier: Apache-2.0 */
/* embed.h - a text file compiled into the program (see modelbus_embed in CMake). */
#pragma once

struct embed_file {
    const char *name; /* NULL ends the table */
    const char *text;
};
