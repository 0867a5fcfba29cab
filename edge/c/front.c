/* From raw samples to frames: a 40 Hz high-pass on each electrode and a sliding window over its output. */
#include "qwrist_internal.h"

enum { FRACTION_BITS = QW_HIGHPASS_FRACTION_BITS };
static const float LIMIT_UV = 1e7f; /* ten volts: nothing that skin gives, and nothing overflows */
static const float UNIT_UV = 1.0f / (float)((int64_t)1 << FRACTION_BITS);

static void rest_at(qw_highpass *filter, int64_t input)
{
    filter->input = input;
    filter->output = 0;
    filter->sum = 0;
}

static float limited(float uv)
{
    /* Negated comparisons, so that a NaN is limited too. */
    const float below = !(uv < LIMIT_UV) ? LIMIT_UV : uv;
    return !(below > -LIMIT_UV) ? -LIMIT_UV : below;
}

/* Conversions by hand: the compiler's go through double precision, which takes ten times as long. */
typedef union {
    float value;
    uint32_t bits;
} float_bits;

static int64_t to_fixed(float uv)
{
    const float_bits parts = {uv};
    const int32_t shift = (int32_t)((parts.bits >> 23) & 0xFFu) - (127 + 23 - FRACTION_BITS);
    const int64_t mantissa = (int32_t)((parts.bits & 0x7FFFFFu) | 0x800000u);
    const int64_t size = shift >= 0 ? mantissa << shift : shift > -24 ? mantissa >> -shift : 0;
    return uv < 0.0f ? -size : size;
}

static float to_float(int64_t fixed)
{
    uint64_t size = (uint64_t)(fixed < 0 ? -fixed : fixed);
    float unit = UNIT_UV;
    while (size >> 32 != 0) {
        size = (size >> 1) | (size & 1u); /* what is cut leaves a mark, so that rounding stays right */
        unit += unit;
    }
    const float result = (float)(uint32_t)size * unit;
    return fixed < 0 ? -result : result;
}

/* factor / 2^(31 + shift) times value, from two 32-bit products; the last bit is cut. */
static int64_t share(int64_t value, int32_t factor, int shift)
{
    const int64_t high = (value >> 32) * factor * 2;
    const uint64_t low = (uint64_t)(uint32_t)value * (uint32_t)factor;
    return (high + (int64_t)(low >> 31)) >> shift;
}

/*
 * A second-order Butterworth section with one of its two differences taken before the recursion and one after.
 *
 * The output is the difference of what recurs, and the sum of all outputs is that itself. So an offset, however
 * large, is gone before anything is rounded, the rounding of the recursion is differenced too, and no
 * coefficient is a small difference of large ones. In fixed point its output, rounded to single precision, is
 * what double precision gives in all but a few samples of a thousand.
 */
static float highpass_step(qw_highpass *filter, float input_uv)
{
    const int64_t input = to_fixed(input_uv);
    const int64_t difference = input - filter->input;
    filter->output += difference - share(difference, QW_HIGHPASS_LOSS, QW_HIGHPASS_LOSS_SHIFT)
                      - share(filter->output, QW_HIGHPASS_LEAK, QW_HIGHPASS_LEAK_SHIFT)
                      - share(filter->sum, QW_HIGHPASS_PULL, QW_HIGHPASS_PULL_SHIFT);
    filter->input = input;
    filter->sum += filter->output;
    return to_float(filter->output);
}

void qw_front_reset(qw_front *front, bool filtered)
{
    for (uint32_t channel = 0; channel < QW_CHANNELS; ++channel) {
        rest_at(&front->highpass[channel], 0);
        for (uint32_t n = 0; n < QW_WINDOW; ++n) {
            front->window[n][channel] = 0.0f;
        }
    }
    for (uint32_t wrist = 0; wrist < QW_WRISTS; ++wrist) {
        front->unbroken[wrist] = 0;
    }
    front->samples = 0;
    front->filtered = filtered;
}

static void take_channel(qw_front *front, uint32_t channel, float sample_uv)
{
    const float sample = limited(sample_uv);
    if (front->samples == 0) {
        rest_at(&front->highpass[channel], to_fixed(sample));
    }
    front->window[front->samples % QW_WINDOW][channel] =
        front->filtered ? sample : highpass_step(&front->highpass[channel], sample);
}

static void take_valid(qw_front *front, const uint8_t *valid)
{
    for (uint32_t wrist = 0; wrist < QW_WRISTS; ++wrist) {
        if (valid != NULL && valid[wrist] == 0) {
            front->unbroken[wrist] = 0;
        } else if (front->unbroken[wrist] < QW_WINDOW) {
            ++front->unbroken[wrist];
        }
    }
}

/* Count a sample whose channels were taken; true where it completes a frame. */
static bool completes_frame(qw_front *front)
{
    ++front->samples;
    if (front->samples == 2 * QW_WINDOW) {
        front->samples = QW_WINDOW; /* the same place in the ring and in the hop: nothing ever wraps */
    }
    return front->samples >= QW_WINDOW && front->samples % QW_HOP == 0;
}

static void fill_frame(const qw_front *front, qw_frame *frame)
{
    float samples[QW_WINDOW];
    for (uint32_t channel = 0; channel < QW_CHANNELS; ++channel) {
        for (uint32_t n = 0; n < QW_WINDOW; ++n) {
            samples[n] = front->window[(front->samples + n) % QW_WINDOW][channel];
        }
        qw_log_power(samples, frame->values[channel / QW_ELECTRODES][channel % QW_ELECTRODES]);
    }
    for (uint32_t wrist = 0; wrist < QW_WRISTS; ++wrist) {
        frame->valid[wrist] = front->unbroken[wrist] == QW_WINDOW;
    }
}

/* After all channels of sample `index`; true where it completed `frame`. */
static bool finish_sample(qw_front *front, const uint8_t *valid, size_t index, qw_frame *frame)
{
    take_valid(front, valid == NULL ? NULL : &valid[index * QW_WRISTS]);
    if (!completes_frame(front)) {
        return false;
    }
    fill_frame(front, frame);
    return true;
}

size_t qw_front_push_uv(
    qw_front *front, const float *samples_uv, const uint8_t *valid, size_t count, qw_frame *frame, bool *ready)
{
    size_t taken = 0;
    *ready = false;
    while (taken < count && !*ready) {
        for (uint32_t channel = 0; channel < QW_CHANNELS; ++channel) {
            take_channel(front, channel, samples_uv[taken * QW_CHANNELS + channel]);
        }
        *ready = finish_sample(front, valid, taken, frame);
        ++taken;
    }
    return taken;
}

size_t qw_front_push_int16(
    qw_front *front,
    const int16_t *samples,
    float uv_per_lsb,
    const uint8_t *valid,
    size_t count,
    qw_frame *frame,
    bool *ready)
{
    size_t taken = 0;
    *ready = false;
    while (taken < count && !*ready) {
        for (uint32_t channel = 0; channel < QW_CHANNELS; ++channel) {
            take_channel(front, channel, (float)samples[taken * QW_CHANNELS + channel] * uv_per_lsb);
        }
        *ready = finish_sample(front, valid, taken, frame);
        ++taken;
    }
    return taken;
}
