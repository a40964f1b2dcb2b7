/* SPDX-License-Identifier: Apache-2.0 */
/* profile.c - what each profile offers, prefers and is called. */
#include "drift/internal.h"

#include <string.h>

static const char *const profiles[] = {"native", "evidently", "scipy"};
static const char *const corrections[] = {"none", "holm", "bh"};

static const struct {
    const char *name;
    bool offered[DRIFT_PROFILE_COUNT];
    double threshold[DRIFT_PROFILE_COUNT];
} methods[DRIFT_METHOD_COUNT] = {
    [DRIFT_AUTO] = {"auto", {true, true, true}, {.05, .05, .05}},
    [DRIFT_KS] = {"ks", {true, true, true}, {.05, .05, .05}},
    [DRIFT_PSI] = {"psi", {true, true, false}, {.2, .1, .1}},
    [DRIFT_CHI2_CONTINGENCY] = {"chi2_contingency", {true, false, true}, {.05, .05, .05}},
    [DRIFT_CHISQUARE] = {"chisquare", {true, true, true}, {.05, .05, .05}},
    [DRIFT_Z] = {"z", {true, true, false}, {.05, .05, .05}},
    [DRIFT_WASSERSTEIN] = {"wasserstein", {true, true, true}, {.1, .1, .1}},
    [DRIFT_JENSENSHANNON] = {"jensenshannon", {true, true, true}, {.1, .1, .1}},
    [DRIFT_HELLINGER] = {"hellinger", {true, true, false}, {.1, .1, .1}},
};

bool
drift_offers(enum drift_profile profile, enum drift_method method)
{
    return methods[method].offered[profile];
}

double
drift_threshold(enum drift_profile profile, enum drift_method method)
{
    return methods[method].threshold[profile];
}

const char *
drift_profile_name(enum drift_profile profile)
{
    return profiles[profile];
}

const char *
drift_method_name(enum drift_method method)
{
    return methods[method].name;
}

const char *
drift_correction_name(enum drift_correction correction)
{
    return corrections[correction];
}

bool
drift_profile_from_name(const char *name, enum drift_profile *profile)
{
    for (size_t i = 0; i < ARRAY_LEN(profiles); i++)
        if (strcmp(profiles[i], name) == 0) {
            *profile = (enum drift_profile)i;
            return true;
        }
    return false;
}

bool
drift_method_from_name(const char *name, enum drift_profile profile, enum drift_method *method)
{
    if (strcmp(name, "chi2") == 0) {
        *method = profile == DRIFT_EVIDENTLY ? DRIFT_CHISQUARE : DRIFT_CHI2_CONTINGENCY;
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (strcmp(methods[i].name, name) == 0) {
            *method = (enum drift_method)i;
            return true;
        }
    return false;
}

bool
drift_correction_from_name(const char *name, enum drift_correction *correction)
{
    for (size_t i = 0; i < ARRAY_LEN(corrections); i++)
        if (strcmp(corrections[i], name) == 0) {
            *correction = (enum drift_correction)i;
            return true;
        }
    return false;
}

const char *
drift_outcome_name(enum drift_outcome outcome)
{
    static const char *const names[] = {
        [DRIFT_ABSENT] = "no drift", [DRIFT_FOUND] = "drift", [DRIFT_UNDECIDED] = "undecided"};

    return names[outcome];
}
