/* SPDX-License-Identifier: Apache-2.0 */
/*
 * number.c - what a cell is: nothing, a number, a word.
 *
 * Up to 19 digits and a power of ten that the wider type holds exactly are one multiplication or
 * division in 64 bits of precision (W. D. Clinger, PLDI 1990, with x87's extended format); that is
 * the correctly rounded double unless the bits below its last say "half". Those, and all others, go
 * to strtod(): the program stays in the C locale.
 */
#include "table/internal.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DIGITS_MAX 19
#define TEXT_MAX 800 /* a double needs at most 767 digits to be told from others */

static bool
is_digit(char c)
{
    return (unsigned char)(c - '0') <= 9;
}

static bool
is_nothing(const char *text, size_t len)
{
    static const char *const words[] = {
        "NA",   "N/A",  "n/a",  "#N/A", "#NA",    "<NA>",    "NaN",     "nan",      "-NaN",
        "-nan", "null", "NULL", "None", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN", "#N/A N/A"};

    if (len > 8)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strlen(words[i]) == len && memcmp(words[i], text, len) == 0)
            return true;
    return len == 0;
}

static bool
is_infinite(const char *p, size_t len, double *value)
{
    bool negative = len && *p == '-', sign = len && (*p == '-' || *p == '+');

    p += sign;
    len -= sign;
    if (!(len == 3 && strncasecmp(p, "inf", 3) == 0) &&
        !(len == 8 && strncasecmp(p, "infinity", 8) == 0))
        return false;
    *value = negative ? -INFINITY : INFINITY;
    return true;
}

/* digits * 10^exponent, or false when the quick way might round wrongly. */
static bool
quick(uint64_t digits, int exponent, double *value)
{
#if LDBL_MANT_DIG == 64
    static const long double powers[] = {1e0L,  1e1L,  1e2L,  1e3L,  1e4L,  1e5L,  1e6L,
                                         1e7L,  1e8L,  1e9L,  1e10L, 1e11L, 1e12L, 1e13L,
                                         1e14L, 1e15L, 1e16L, 1e17L, 1e18L, 1e19L, 1e20L,
                                         1e21L, 1e22L, 1e23L, 1e24L, 1e25L, 1e26L, 1e27L};
    long double wide = (long double)digits;
    uint64_t mantissa;

    if (exponent < -27 || exponent > 27)
        return false;
    wide = exponent < 0 ? wide / powers[-exponent] : wide * powers[exponent];
    memcpy(&mantissa, &wide, sizeof(mantissa));
    unsigned low = mantissa & 0x7FF;
    if (low >= 0x3FE && low <= 0x402)
        return false;
    *value = (double)wide;
    return true;
#else
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

    if (digits > (uint64_t)1 << 53 || exponent < -22 || exponent > 22)
        return false;
    *value = exponent < 0 ? (double)digits / powers[-exponent] : (double)digits * powers[exponent];
    return true;
#endif
}

static enum cell
word_or_special(const char *text, size_t len, double *value)
{
    if (is_nothing(text, len))
        return CELL_NOTHING;
    return is_infinite(text, len, value) ? CELL_REAL : CELL_WORD;
}

enum cell
cell_read(const char *text, size_t len, double *value)
{
    const char *p = text, *end = text + len;
    uint64_t digits = 0;
    int used = 0, exponent = 0;
    bool negative, integer = true, any = false, truncated = false;

    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    const char *start = p;
    negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    for (int after = 0; p < end && (is_digit(*p) || (*p == '.' && !after)); p++) {
        if (*p == '.') {
            after = 1;
            integer = false;
            continue;
        }
        any = true;
        if (used == DIGITS_MAX) {
            truncated = true;
            continue;
        }
        digits = digits * 10 + (uint64_t)(*p - '0');
        used += digits != 0;
        exponent -= after;
    }
    if (!any)
        return word_or_special(start, (size_t)(end - start), value);
    if (p + 1 < end && (*p == 'e' || *p == 'E')) {
        const char *q = p + 1;
        bool down = *q == '-';
        int power = 0;
        q += *q == '-' || *q == '+';
        if (q == end || !is_digit(*q))
            return CELL_WORD;
        for (; q < end && is_digit(*q); q++)
            power = power < 100000 ? power * 10 + (*q - '0') : power;
        exponent += down ? -power : power;
        integer = false;
        p = q;
    }
    if (p != end)
        return word_or_special(start, (size_t)(end - start), value);
    if (truncated || !quick(digits, exponent, value)) {
        char copy[TEXT_MAX + 1];
        size_t n = (size_t)(end - start);
        if (n > TEXT_MAX)
            return CELL_WORD;
        memcpy(copy, start, n);
        copy[n] = 0;
        *value = strtod(copy, NULL);
    } else if (negative) {
        *value = -*value;
    }
    return integer ? CELL_INTEGER : CELL_REAL;
}
