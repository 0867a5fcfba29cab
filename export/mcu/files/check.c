/*
 * Does this C say what the desk says? Feeds the golden vectors from raw samples to frames and network input, and
 * their emissions to keys. Exits with the number of goldens that depart. The network itself: firmware.cc.
 */
#include "golden.h"
#include "model.h"

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

static qw_front front;
static qw_frame frame;
#if QW_MODEL_NORMALIZED
static qw_norm norm;
#endif

static bool close(const float *found, const float *expected, float tolerance)
{
    for (uint32_t i = 0; i < QW_CHANNELS * QW_BINS; ++i) {
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
    const bool same_power =
        expected == NULL || close(&frame.values[0][0][0], expected->log_power, LOG_POWER_TOLERANCE);
    normalize();
    return same_power && (expected == NULL || close(&frame.values[0][0][0], expected->input, INPUT_TOLERANCE));
}

static bool frames_agree(const qw_golden *golden)
{
    uint32_t frames = 0;
    bool agree = true;
    qw_front_reset(&front, false);
#if QW_MODEL_NORMALIZED
    qw_norm_reset(&norm, &qw_model_prior);
#endif
    for (size_t taken = 0; taken < golden->samples;) {
        bool ready = false;
        taken += qw_front_push_int16(
            &front, &golden->lsb[taken * QW_CHANNELS], QW_GOLDEN_UV_PER_LSB, &golden->valid[taken * QW_WRISTS],
            golden->samples - taken, &frame, &ready);
        if (ready) {
            agree = frame_agrees(golden, frames) && agree;
            ++frames;
        }
    }
    return agree && frames == golden->frames;
}

static bool keys_agree(const qw_golden *golden)
{
    qw_decoder decoder;
    uint32_t keys = 0;
    qw_decoder_reset(&decoder);
    for (uint32_t i = 0; i < golden->emissions; ++i) {
        const int32_t label = qw_decoder_step(&decoder, &golden->log_probs[i * QW_CLASSES]);
        if (label != QW_NO_KEY) {
            if (keys >= golden->keys || golden->labels[keys] != label) {
                return false;
            }
            ++keys;
        }
    }
    return keys == golden->keys;
}

int main(void)
{
    int departed = 0;
    for (uint32_t i = 0; i < QW_GOLDENS; ++i) {
        const bool same_frames = frames_agree(&qw_goldens[i]);
        const bool same_keys = keys_agree(&qw_goldens[i]);
        tell(qw_goldens[i].name, same_frames && same_keys);
        departed += same_frames && same_keys ? 0 : 1;
    }
    return departed;
}
