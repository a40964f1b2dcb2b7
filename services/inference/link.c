/* SPDX-License-Identifier: Apache-2.0 */
/* link.c - inverse link functions. */
#include "link.h"

#include <math.h>

size_t
link_width(enum link link, size_t margins)
{
    return link == LINK_ARGMAX ? 1 : margins;
}

static float
logistic(float x)
{
    float negated = -x < 88.7f ? -x : 88.7f; /* e^88.7 is the largest float power */

    return 1.0f / (expf(negated) + 1.0f);
}

static void
softmax(const float *in, size_t width, float *out)
{
    float largest = in[0];
    double sum = 0;

    for (size_t i = 1; i < width; i++)
        largest = fmaxf(in[i], largest);
    for (size_t i = 0; i < width; i++) {
        out[i] = expf(in[i] - largest);
        sum += out[i];
    }
    for (size_t i = 0; i < width; i++)
        out[i] /= (float)sum;
}

static float
argmax(const float *in, size_t width)
{
    size_t best = 0;

    for (size_t i = 1; i < width; i++)
        if (in[best] < in[i])
            best = i;
    return (float)best;
}

void
link_apply(enum link link, const float *margins, size_t n, size_t width, float *out)
{
    switch (link) {
    case LINK_SOFTMAX:
        for (size_t r = 0; r < n; r++)
            softmax(margins + r * width, width, out + r * width);
        break;
    case LINK_ARGMAX:
        for (size_t r = 0; r < n; r++)
            out[r] = argmax(margins + r * width, width);
        break;
    case LINK_LOGISTIC:
        for (size_t i = 0; i < n * width; i++)
            out[i] = logistic(margins[i]);
        break;
    case LINK_EXP:
        for (size_t i = 0; i < n * width; i++)
            out[i] = expf(margins[i]);
        break;
    case LINK_HINGE:
        for (size_t i = 0; i < n * width; i++)
            out[i] = margins[i] > 0.0f ? 1.0f : 0.0f;
        break;
    case LINK_IDENTITY:
        for (size_t i = 0; i < n * width; i++)
            out[i] = margins[i];
        break;
    }
}
