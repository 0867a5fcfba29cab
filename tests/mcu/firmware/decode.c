/* Raw samples to text with a generated network, no TFLite Micro: the whole decoder, on a computer or a Cortex-M. */
#include "model.h"
#include "network.h"
#include "port.h"
#include "qwrist.h"

enum { CLOCK_MASK = 0xFFFFFF };

typedef struct {
    uint32_t emissions;
    uint32_t network_instructions; /* of the longest emission */
    uint32_t stack_bytes;
} measured;

static qw_front front;
static qw_norm norm;
static qw_frame frame;
static qw_network network;
static float frames[QW_NETWORK_FRAMES][QW_CHANNELS * QW_BINS];
static float log_probs[QW_CLASSES];
static int16_t lsb[QW_HOP][QW_CHANNELS];
static uint8_t valid[QW_HOP][QW_WRISTS];
static uint32_t waiting;
static qw_decoder decoder;
static qw_text text;
static measured result;

static void emit(void)
{
    const uint32_t start = port_ticks();
    qw_network_step(&network, frames[0], log_probs);
    const uint32_t taken = port_instructions((port_ticks() - start) & CLOCK_MASK);
    result.network_instructions = taken > result.network_instructions ? taken : result.network_instructions;
    ++result.emissions;
    const qw_keystroke key = qw_text_step(&text, qw_decoder_step(&decoder, log_probs));
    const int32_t said[2] = {(int32_t)key.action, key.character};
    port_write(log_probs, sizeof log_probs);
    port_write(said, sizeof said);
}

static void take_frame(void)
{
    qw_norm_step(&norm, &frame);
    for (uint32_t i = 0; i < QW_CHANNELS * QW_BINS; ++i) {
        frames[waiting][i] = (&frame.values[0][0][0])[i];
    }
    if (++waiting == QW_NETWORK_FRAMES) {
        waiting = 0;
        emit();
    }
}

int main(void)
{
    float uv_per_lsb = 0.0f;
    if (port_open() != 0 || port_read(&uv_per_lsb, sizeof uv_per_lsb) != sizeof uv_per_lsb) {
        return 1;
    }
    qw_front_reset(&front, false);
    qw_norm_reset(&norm, &qw_model_prior);
    qw_network_reset(&network);
    qw_decoder_reset(&decoder);
    qw_text_reset(&text);
    while (port_read(lsb, sizeof lsb) == sizeof lsb && port_read(valid, sizeof valid) == sizeof valid) {
        for (size_t taken = 0; taken < QW_HOP;) {
            bool ready = false;
            taken += qw_front_push_int16(
                &front, lsb[taken], uv_per_lsb, valid[taken], QW_HOP - taken, &frame, &ready);
            if (ready) {
                take_frame();
            }
        }
    }
    result.stack_bytes = port_stack_used();
    port_write(&result, sizeof result);
    return 0;
}
