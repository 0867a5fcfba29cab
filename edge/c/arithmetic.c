/* The three functions that a C library's libm would bring, from bits and a few products. */
#include "qwrist_internal.h"
#include "qwrist_kernels.h"

typedef union {
    float value;
    uint32_t bits;
} float_bits;

enum { MANTISSA_BITS = 23, BIAS = 127 };

float qw_log10(float x)
{
    /* x = m 2^e with m from sqrt(1/2) up to sqrt(2), where the series in s = (m - 1) / (m + 1) is short. */
    float_bits m = {x};
    const uint32_t root_half = 0x3F3504F3u; /* bits of sqrt(1/2) */
    const int32_t e = (int32_t)(m.bits - root_half) >> MANTISSA_BITS;
    m.bits -= (uint32_t)e << MANTISSA_BITS;
    const float s = (m.value - 1.0f) / (m.value + 1.0f);
    const float s2 = s * s;
    /* ln m = 2 (s + s^3/3 + s^5/5 + ...); |s| < 0.172, so the first term left out is below 4e-10. */
    const float tail = s2 * (1.0f / 3.0f + s2 * (1.0f / 5.0f + s2 * (1.0f / 7.0f + s2 * (1.0f / 9.0f))));
    return (float)e * QW_LOG10_2 + (2.0f * QW_LOG10_E) * (s + s * tail);
}

float qw_rsqrt(float x)
{
    /* Halving the exponent in the bits is right to 3.5 %; each Newton step squares that. */
    float_bits guess = {x};
    guess.bits = 0x5F3759DFu - (guess.bits >> 1);
    float y = guess.value;
    const float half = 0.5f * x;
    for (int step = 0; step < 4; ++step) {
        y += y * (0.5f - half * y * y);
    }
    return y;
}

float qw_exp(float x)
{
    /* x = n ln 2 + r with |r| <= ln 2 / 2; 2^n goes into the exponent's bits. Beyond +-87 it would not fit. */
    const float limited = x > 87.0f ? 87.0f : x < -87.0f ? -87.0f : x;
    const float scaled = limited * QW_LOG2_E;
    const int32_t n = (int32_t)(scaled < 0.0f ? scaled - 0.5f : scaled + 0.5f);
    /* ln 2 in two parts, of which the first has so few bits that n times it is exact. */
    const float r = limited - (float)n * QW_LN_2_HIGH - (float)n * QW_LN_2_LOW;
    /* The series up to r^6 / 720; the first term left out is below 2e-7. */
    const float tail = r * (1.0f / 6.0f + r * (1.0f / 24.0f + r * (1.0f / 120.0f + r * (1.0f / 720.0f))));
    const float_bits power = {.bits = (uint32_t)(n + BIAS) << MANTISSA_BITS};
    return power.value * (1.0f + r * (1.0f + r * (0.5f + tail)));
}
