/*
 * Does this C say what the desk says? Feeds the golden vectors from raw samples to frames and network input, and
 * their emissions to keys; where network.c is there, from raw samples to keys through it. Exits with the number of
 * goldens that depart. The network on TFLite Micro: firmware.cc.
 */
#include "golden.h"
#include "model.h"
#if QW_GOLDEN_OF_NETWORK
#include "network.h"
#endif

#ifdef QW_ON_A_BOARD
#include "board.h"
static void tell(const char *golden, int agrees)
{
    (void)golden;
    (void)agrees;
}
#else
#include <stdio.h>
static void tell(const char *golden, int agrees)
{
    (void)printf("%s: %s\n", golden, agrees ? "says what the desk says" : "DEPARTS from the desk");
}
#endif

/* Decades of power: a five-hundredth of what a frame of noise scatters by. Measured: below 1e-4. */
static const float LOG_POWER_TOLERANCE = 1e-3f;
/* Normalised: at least 0.01 decades are 1, so ten times the above is what it may become; a wrong one is off by 1. */
static const float INPUT_TOLERANCE = 1e-2f;

enum { FRAME_FLOATS = QW_CHANNELS * QW_BINS };

static qw_front front;
static qw_frame frame;
#if QW_MODEL_NORMALIZED
static qw_norm norm;
#endif

static bool close(const float *found, const float *expected, uint32_t count, float tolerance)
{
    for (uint32_t i = 0; i < count; ++i) {
        const float departure = found[i] > expected[i] ? found[i] - expected[i] : expected[i] - found[i];
        if (!(departure <= tolerance)) { /* negated, so that a NaN departs */
            return false;
        }
    }
    return true;
}

static void normalize(void)
{
#if QW_MODEL_NORMALIZED
    qw_norm_step(&norm, &frame);
#else
    qw_mask_missing(&frame);
#endif
}

/* Whether the frame that was just made is one that is checked, and as the desk has it. */
static bool frame_agrees(const qw_golden *golden, uint32_t index)
{
    const qw_golden_frame *expected = NULL;
    for (uint32_t i = 0; i < QW_CHECKED_FRAMES; ++i) {
        if (golden->checked[i].index == index) {
            expected = &golden->checked[i];
        }
    }
    const float *values = &frame.values[0][0][0];
    const bool same_power = expected == NULL || close(values, expected->log_power, FRAME_FLOATS, LOG_POWER_TOLERANCE);
    normalize();
    return same_power && (expected == NULL || close(values, expected->input, FRAME_FLOATS, INPUT_TOLERANCE));
}

#if QW_GOLDEN_OF_NETWORK
/* Log-probabilities of network.c: single precision in another order, measured below 1e-4, and the input's error. */
static const float NETWORK_TOLERANCE = 1e-2f;

static qw_network network;
static float waiting[QW_NETWORK_FRAMES * FRAME_FLOATS];

/* Whether the frame, normalised, makes the network say what it should; most frames only wait. */
static bool network_agrees(const qw_golden *golden, uint32_t index)
{
    float log_probs[QW_CLASSES];
    const uint32_t place = index % QW_NETWORK_FRAMES;
    for (uint32_t i = 0; i < FRAME_FLOATS; ++i) {
        waiting[place * FRAME_FLOATS + i] = (&frame.values[0][0][0])[i];
    }
    if (place + 1 < QW_NETWORK_FRAMES) {
        return true;
    }
    qw_network_step(&network, waiting, log_probs);
    const float *expected = &golden->network_log_probs[index / QW_NETWORK_FRAMES * QW_CLASSES];
    return close(log_probs, expected, QW_CLASSES, NETWORK_TOLERANCE);
}
#endif

static bool frames_agree(const qw_golden *golden)
{
    uint32_t frames = 0;
    bool agree = true;
    qw_front_reset(&front, false);
#if QW_MODEL_NORMALIZED
    qw_norm_reset(&norm, &qw_model_prior);
#endif
#if QW_GOLDEN_OF_NETWORK
    qw_network_reset(&network);
#endif
    for (size_t taken = 0; taken < golden->samples;) {
        bool ready = false;
        taken += qw_front_push_int16(
            &front, &golden->lsb[taken * QW_CHANNELS], QW_GOLDEN_UV_PER_LSB, &golden->valid[taken * QW_WRISTS],
            golden->samples - taken, &frame, &ready);
        if (ready) {
            agree = frame_agrees(golden, frames) && agree;
#if QW_GOLDEN_OF_NETWORK
            agree = network_agrees(golden, frames) && agree;
#endif
            ++frames;
        }
    }
    return agree && frames == golden->frames;
}

/* Whether emissions decode to these labels. */
static bool keys_agree(const float *log_probs, uint32_t emissions, const uint8_t *labels, uint32_t expected)
{
    qw_decoder decoder;
    uint32_t keys = 0;
    qw_decoder_reset(&decoder);
    for (uint32_t i = 0; i < emissions; ++i) {
        const int32_t label = qw_decoder_step(&decoder, &log_probs[i * QW_CLASSES]);
        if (label != QW_NO_KEY) {
            if (keys >= expected || labels[keys] != label) {
                return false;
            }
            ++keys;
        }
    }
    return keys == expected;
}

int main(void)
{
    int departed = 0;
    for (uint32_t i = 0; i < QW_GOLDENS; ++i) {
        const qw_golden *golden = &qw_goldens[i];
        bool agrees = frames_agree(golden);
        agrees = keys_agree(golden->log_probs, golden->emissions, golden->labels, golden->keys) && agrees;
#if QW_GOLDEN_OF_NETWORK
        agrees = keys_agree(golden->network_log_probs, golden->emissions, golden->network_labels,
                            golden->network_keys) && agrees;
#endif
        tell(golden->name, agrees);
        departed += agrees ? 0 : 1;
    }
    return departed;
}
