/*
 * The power spectrum of one window: 64 real samples through a complex transform of half the length.
 *
 * In integers that share one exponent (block floating point) with 64-bit products. Single precision would lose
 * a hundredth of a decade in the bins that lie 60 dB below the window's loudest; 30 bits lose a thousandth of
 * that, at the same number of multiplications. Shifting a negative number right must keep its sign, as every
 * compiler for Arm and x86 does.
 */
#include "qwrist_internal.h"

enum { HALF = QW_WINDOW / 2 };
enum { ROOM_BITS = 29 }; /* below 2^29 a component survives one more stage: a complex magnitude doubles at most */
enum { LARGEST_EXPONENT = 60 }; /* of the scale: it keeps a silent window's scale a normal number */

typedef union {
    float value;
    uint32_t bits;
} float_bits;

static int32_t rounded(int64_t value, int shift)
{
    return (int32_t)((value + ((int64_t)1 << (shift - 1))) >> shift);
}

static float power_of_two(int exponent)
{
    const float_bits number = {.bits = (uint32_t)(exponent + 127) << 23};
    return number.value;
}

/* The exponent that brings the largest sample just below 2^ROOM_BITS. */
static int exponent_for(const float samples[QW_WINDOW])
{
    uint32_t peak = 0; /* the bits of positive floats are ordered as they are */
    for (uint32_t n = 0; n < QW_WINDOW; ++n) {
        const float_bits sample = {samples[n]};
        const uint32_t size = sample.bits & 0x7FFFFFFFu;
        peak = size > peak ? size : peak;
    }
    const int exponent = ROOM_BITS + 126 - (int)(peak >> 23);
    return exponent < LARGEST_EXPONENT ? exponent : LARGEST_EXPONENT;
}

/* Windowed samples, even ones as real and odd ones as imaginary parts, in bit-reversed order. */
static void load(const float samples[QW_WINDOW], float scale, qw_complex z[HALF])
{
    uint32_t reversed = 0;
    for (uint32_t n = 0; n < HALF; ++n) {
        const uint32_t even = 2 * n;
        const uint32_t odd = even + 1;
        const int64_t re = (int32_t)(samples[even] * scale);
        const int64_t im = (int32_t)(samples[odd] * scale);
        z[reversed].re = rounded(re * qw_hann[even <= HALF ? even : QW_WINDOW - even], QW_TABLE_BITS);
        z[reversed].im = rounded(im * qw_hann[odd <= HALF ? odd : QW_WINDOW - odd], QW_TABLE_BITS);
        uint32_t bit = HALF / 2;
        while ((reversed & bit) != 0) { /* counts up with its bits reversed */
            reversed ^= bit;
            bit /= 2;
        }
        reversed |= bit;
    }
}

/* Shift all components right until they lie below 2^ROOM_BITS; gives by how much. */
static int make_room(qw_complex z[HALF])
{
    uint32_t used = 0;
    for (uint32_t i = 0; i < HALF; ++i) {
        used |= (uint32_t)(z[i].re < 0 ? ~z[i].re : z[i].re) | (uint32_t)(z[i].im < 0 ? ~z[i].im : z[i].im);
    }
    int shift = 0;
    while (used >> (ROOM_BITS + shift) != 0) {
        ++shift;
    }
    const int32_t half = shift > 0 ? 1 << (shift - 1) : 0; /* fits: a component is below 2^30.5 here */
    for (uint32_t i = 0; shift > 0 && i < HALF; ++i) {
        z[i].re = (z[i].re + half) >> shift;
        z[i].im = (z[i].im + half) >> shift;
    }
    return shift;
}

/* In place, radix 2, decimation in time, from bit-reversed order; gives by how much it shifted right. */
static int transform(qw_complex z[HALF])
{
    int shifted = 0;
    for (uint32_t span = 1; span < HALF; span *= 2) {
        if (span > 1) {
            shifted += make_room(z);
        }
        for (uint32_t k = 0; k < span; ++k) {
            const qw_complex w = qw_turns[k * (HALF / span)];
            for (uint32_t i = k; i < HALF; i += 2 * span) {
                const qw_complex a = z[i];
                const qw_complex b = z[i + span];
                const int32_t re = rounded((int64_t)b.re * w.re - (int64_t)b.im * w.im, QW_TABLE_BITS);
                const int32_t im = rounded((int64_t)b.re * w.im + (int64_t)b.im * w.re, QW_TABLE_BITS);
                z[i].re = a.re + re;
                z[i].im = a.im + im;
                z[i + span].re = a.re - re;
                z[i + span].im = a.im - im;
            }
        }
    }
    return shifted + make_room(z);
}

void qw_log_power(const float samples[QW_WINDOW], float log_power[QW_BINS])
{
    qw_complex z[HALF];
    int exponent = exponent_for(samples);
    load(samples, power_of_two(exponent), z);
    exponent -= transform(z);
    const float unit = power_of_two(-exponent);
    for (uint32_t k = 0; k < QW_BINS; ++k) {
        /* Twice the even and odd samples' spectra: sum and difference with the mirrored bin. */
        const qw_complex a = z[k % HALF];
        const qw_complex b = z[(HALF - k) % HALF];
        const qw_complex even = {a.re + b.re, a.im - b.im};
        const qw_complex odd = {a.im + b.im, b.re - a.re};
        const qw_complex w = qw_turns[k];
        const int64_t one = (int64_t)1 << QW_TABLE_BITS;
        const int64_t twice_re = even.re * one + (int64_t)odd.re * w.re - (int64_t)odd.im * w.im;
        const int64_t twice_im = even.im * one + (int64_t)odd.re * w.im + (int64_t)odd.im * w.re;
        const float re = (float)rounded(twice_re, QW_TABLE_BITS + 1) * unit;
        const float im = (float)rounded(twice_im, QW_TABLE_BITS + 1) * unit;
        log_power[k] = qw_log10((re * re + im * im) * QW_INVERSE_ENERGY + QW_POWER_FLOOR);
    }
}
