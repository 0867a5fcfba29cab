/* What the library's own sources share. Not for callers. */
#ifndef QWRIST_INTERNAL_H
#define QWRIST_INTERNAL_H

#include "qwrist.h"

typedef struct {
    int32_t re;
    int32_t im;
} qw_complex;

/* In steps of 2^-QW_TABLE_BITS. */
extern const int32_t qw_hann[QW_WINDOW / 2 + 1];     /* the rising half; the window is symmetric about its middle */
extern const qw_complex qw_turns[QW_WINDOW / 2 + 1]; /* exp(-2 pi i k / QW_WINDOW) */

extern const char qw_characters[QW_BLANK]; /* what a class types; 0 for nothing */

/* log10 of a positive normal number; absolute error below 1e-6 for results within +-16. */
float qw_log10(float x);

/* 1 / sqrt(x) of a positive normal number; relative error below 3e-7. */
float qw_rsqrt(float x);

/* log10(|X|^2 / window energy + floor) of QW_WINDOW real samples, microvolts, which are windowed here. */
void qw_log_power(const float samples[QW_WINDOW], float log_power[QW_BINS]);

#endif
