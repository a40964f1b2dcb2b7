/* SPDX-License-Identifier: Apache-2.0 */
/* local.h - what cmd_local.c has in another file. */
#pragma once

#include "command.h"

enum err_code local_status(struct cli *cli, struct err *err);
