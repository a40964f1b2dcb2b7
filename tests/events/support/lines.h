/* SPDX-License-Identifier: Apache-2.0 */
/* lines.h - what a test's own process has logged. */
#pragma once

/* Standard error goes to a file that is gone when the test is. */
void lines_capture(void);
/* How many lines since then have this text in them. */
int lines_with(const char *text);
