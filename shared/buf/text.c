/* SPDX-License-Identifier: Apache-2.0 */
/* text.c - UTF-8 validation and edit distance. */
#include "buf/text.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

size_t
text_utf8_sequence(const char *text, size_t left)
{
    const unsigned char *s = (const unsigned char *)text;

    if (left == 0)
        return 0;
    if (s[0] < 0x80)
        return 1;
    size_t n = s[0] >= 0xf0 && s[0] <= 0xf4   ? 4
               : s[0] >= 0xe0 && s[0] <= 0xef ? 3
               : s[0] >= 0xc2 && s[0] <= 0xdf ? 2
                                              : 0;
    if (n == 0 || n > left)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

bool
text_utf8_valid(const char *s, size_t len)
{
    size_t i = 0;

    while (i < len) {
        uint64_t eight;
        if (len - i >= sizeof(eight)) {
            memcpy(&eight, s + i, sizeof(eight));
            if ((eight & UINT64_C(0x8080808080808080)) == 0) {
                i += sizeof(eight);
                continue;
            }
        }
        size_t n = text_utf8_sequence(s + i, len - i);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

static bool
same_letter(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static size_t
least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t
text_distance(const char *a, const char *b)
{
    size_t rows[3][TEXT_NAME_MAX + 1]; /* of a's first i letters at rows[i % 3] */
    size_t a_len = strnlen(a, TEXT_NAME_MAX + 1);
    size_t b_len = strnlen(b, TEXT_NAME_MAX + 1);

    if (a_len > TEXT_NAME_MAX || b_len > TEXT_NAME_MAX)
        return TEXT_NAME_MAX;
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            row[j] = above[j - 1] + !same_letter(a[i - 1], b[j - 1]);
            row[j] = least(row[j], least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) &&
                same_letter(a[i - 2], b[j - 1]))
                row[j] = least(row[j], before[j - 2] + 1);
        }
    }
    return rows[a_len % 3][b_len];
}

const char *
text_nearer(const char *name, const char *best, const char *candidate)
{
    size_t distance = text_distance(name, candidate);
    size_t enough = strlen(candidate) / 3;

    if (distance > (enough > 1 ? enough : 1))
        return best;
    return !best || distance < text_distance(name, best) ? candidate : best;
}
