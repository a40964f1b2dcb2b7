/* SPDX-License-Identifier: Apache-2.0 */
/*
 * number.c - numbers, correctly rounded.
 *
 * The fast path is W. D. Clinger's ("How to read floating point numbers accurately",
 * PLDI 1990): when the digits are an integer that the type holds exactly and the power of
 * ten is exact too, one multiplication or division rounds once and so correctly. All other
 * numbers go to strtod() and strtof(): the program stays in the C locale.
 */
#include "json/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_EXACT 19 /* any 19 digits fit in 64 bits */
#define TEXT_MAX 800    /* a double needs at most 767 digits to be told from others */

struct number {
    const char *start, *end;
    uint64_t digits; /* without sign, point and leading zeros */
    int exponent;    /* value = digits * 10^exponent, unless truncated */
    bool negative, integer, truncated;
    bool special; /* NaN, Infinity, -Infinity */
    double value; /* of these */
};

static bool
is_digit(const char *p, const char *end)
{
    return p < end && (unsigned char)(*p - '0') <= 9;
}

static bool
word(const char *p, const char *end, const char *w, size_t len)
{
    return (size_t)(end - p) >= len && memcmp(p, w, len) == 0;
}

static bool
scan_special(struct json_reader *r, struct number *n, const char *p)
{
    n->special = true;
    if (!n->negative && word(p, r->end, "NaN", 3)) {
        n->value = NAN;
        n->end = p + 3;
    } else if (word(p, r->end, "Infinity", 8)) {
        n->value = n->negative ? -INFINITY : INFINITY;
        n->end = p + 8;
    } else {
        return jr_fail(r, "expected a number");
    }
    r->p = n->end;
    return true;
}

/* digits that do not fit are dropped and counted into the exponent. */
static const char *
scan_digits(struct number *n, const char *p, const char *end, int *used, int shift)
{
    for (; is_digit(p, end); p++) {
        if (*used < DIGITS_EXACT) {
            n->digits = n->digits * 10 + (uint64_t)(*p - '0');
            *used += n->digits != 0;
            n->exponent -= shift;
        } else {
            n->truncated = true;
        }
    }
    return p;
}

static const char *
scan_exponent(struct number *n, const char *p, const char *end)
{
    bool negative = false;
    int exponent = 0;

    p++;
    if (p < end && (*p == '+' || *p == '-'))
        negative = *p++ == '-';
    if (!is_digit(p, end))
        return NULL;
    for (; is_digit(p, end); p++)
        if (exponent < 100000)
            exponent = exponent * 10 + (*p - '0');
    n->exponent += negative ? -exponent : exponent;
    return p;
}

/* The grammar of RFC 8259, section 6. Moves past the number. */
static bool
scan(struct json_reader *r, struct number *n)
{
    int used = 0;

    if (r->failed)
        return false;
    if (!jr_blanks(r))
        return jr_fail(r, "expected a number");
    const char *p = r->p;
    *n = (struct number){.start = p, .integer = true};
    if (*p == '-') {
        n->negative = true;
        p++;
    }
    if (!is_digit(p, r->end))
        return scan_special(r, n, p);
    if (*p == '0' && is_digit(p + 1, r->end))
        return jr_fail(r, "leading zero");
    p = scan_digits(n, p, r->end, &used, 0);
    if (p < r->end && *p == '.') {
        n->integer = false;
        p++;
        if (!is_digit(p, r->end))
            return jr_fail(r, "expected a digit after the point");
        p = scan_digits(n, p, r->end, &used, 1);
    }
    if (p < r->end && (*p == 'e' || *p == 'E')) {
        n->integer = false;
        p = scan_exponent(n, p, r->end);
        if (!p)
            return jr_fail(r, "expected a digit in the exponent");
    }
    n->end = r->p = p;
    return true;
}

/* The nearest double, when one rounding gives it. */
static bool
fast(const struct number *n, double *value)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

    if (n->truncated || n->digits > UINT64_C(1) << 53 || n->exponent < -22 || n->exponent > 22)
        return false;
    double x = (double)n->digits;
    x = n->exponent < 0 ? x / powers[-n->exponent] : x * powers[n->exponent];
    *value = n->negative ? -x : x;
    return true;
}

/* By the C library. Apart, so that its buffer costs the fast path nothing. */
__attribute__((noinline)) static bool
slow(struct json_reader *r, const struct number *n, double *as_double, float *as_float)
{
    char text[TEXT_MAX + 1];
    size_t len = (size_t)(n->end - n->start);

    if (len > TEXT_MAX)
        return jr_fail(r, "the number before has too many characters");
    memcpy(text, n->start, len);
    text[len] = '\0';
    if (as_double)
        *as_double = strtod(text, NULL);
    else
        *as_float = strtof(text, NULL);
    if (as_double ? isinf(*as_double) : isinf(*as_float))
        return jr_fail(r, "the number before is out of range");
    return true;
}

bool
jr_number(struct json_reader *r, double *value)
{
    struct number n;
    double x;

    if (!scan(r, &n))
        return false;
    if (n.special)
        x = n.value;
    else if (!fast(&n, &x) && !slow(r, &n, &x, NULL))
        return false;
    *value = x;
    return true;
}

/*
 * Whether (float)x is the float nearest to the decimal number that x is the double nearest
 * to. Only if x is exactly the middle between two floats, the number itself may be on
 * either side of it. Outside the range of normal floats other bits are dropped.
 */
static bool
rounds_once(double x)
{
    uint64_t bits;

    memcpy(&bits, &x, sizeof(bits));
    return (bits & 0x1fffffff) != 0x10000000 && fabs(x) >= 0x1p-126 && fabs(x) < 0x1p127;
}

bool
jr_float(struct json_reader *r, float *value)
{
    struct number n;
    double x;

    if (jr_peek(r) == JSON_T_NULL) {
        *value = NAN;
        return jr_read_null(r);
    }
    if (!scan(r, &n))
        return false;
    if (n.special)
        *value = (float)n.value;
    else if (fast(&n, &x) && (x == 0 || rounds_once(x)))
        *value = (float)x;
    else {
        float y;
        if (!slow(r, &n, NULL, &y))
            return false;
        *value = y;
    }
    return true;
}

bool
jr_integer(struct json_reader *r, int64_t *value)
{
    struct number n;

    if (!scan(r, &n))
        return false;
    if (n.special || !n.integer)
        return jr_fail(r, "the number before is not a whole number");
    if (n.truncated || n.digits > (uint64_t)INT64_MAX + n.negative)
        return jr_fail(r, "the number before is out of range");
    *value = (int64_t)(n.negative ? 0 - n.digits : n.digits);
    return true;
}
