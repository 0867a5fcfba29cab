/* Feeds a file through edge/c and writes what it answers: the same program on a computer and on a Cortex-M. */
#include "port.h"
#include "qwrist.h"

enum { MICROVOLTS = 0, INT16 = 1, EMISSIONS = 2, LARGEST_PIECE = 256, CLOCK_MASK = 0xFFFFFF };

typedef struct {
    int32_t kind;
    int32_t filtered;
    int32_t normalized;
    int32_t count; /* samples or emissions */
    int32_t piece; /* samples a push */
    float uv_per_lsb;
    float prior_frames;
    float horizon_frames;
} request;

typedef struct {
    uint32_t frames;
    uint32_t front_instructions; /* of all frames */
    uint32_t norm_instructions;
    uint32_t stack_bytes;
} measured;

typedef union {
    float uv[LARGEST_PIECE][QW_CHANNELS];
    int16_t lsb[LARGEST_PIECE][QW_CHANNELS];
} piece_of_samples;

static float prior_mean[QW_WRISTS * QW_ELECTRODES * QW_BINS];
static float prior_deviation[QW_WRISTS * QW_ELECTRODES * QW_BINS];
static piece_of_samples samples;
static uint8_t valid[LARGEST_PIECE][QW_WRISTS];
static qw_front front;
static qw_norm norm;
static qw_frame frame;
static measured result;

static uint32_t since(uint32_t start)
{
    return port_instructions((port_ticks() - start) & CLOCK_MASK);
}

static void write_frame(void)
{
    const uint8_t is_valid[4] = {frame.valid[0], frame.valid[1], 0, 0};
    port_write(frame.values, sizeof frame.values);
    port_write(is_valid, sizeof is_valid);
}

static void answer_frame(const request *asked)
{
    ++result.frames;
    write_frame();
    const uint32_t start = port_ticks();
    if (asked->normalized) {
        qw_norm_step(&norm, &frame);
    } else {
        qw_mask_missing(&frame);
    }
    result.norm_instructions += since(start);
    port_write(frame.values, sizeof frame.values);
}

static void push(const request *asked, size_t count)
{
    for (size_t taken = 0; taken < count;) {
        bool ready = false;
        const uint32_t start = port_ticks();
        if (asked->kind == INT16) {
            taken += qw_front_push_int16(
                &front, samples.lsb[taken], asked->uv_per_lsb, valid[taken], count - taken, &frame, &ready);
        } else {
            taken += qw_front_push_uv(&front, samples.uv[taken], valid[taken], count - taken, &frame, &ready);
        }
        result.front_instructions += since(start);
        if (ready) {
            answer_frame(asked);
        }
    }
}

static int replay_samples(const request *asked)
{
    if (asked->piece < 1 || asked->piece > LARGEST_PIECE) {
        return 2;
    }
    if (asked->normalized) {
        (void)port_read(prior_mean, sizeof prior_mean);
        (void)port_read(prior_deviation, sizeof prior_deviation);
        const qw_prior prior = {prior_mean, prior_deviation, asked->prior_frames, asked->horizon_frames};
        qw_norm_reset(&norm, &prior);
    }
    qw_front_reset(&front, asked->filtered != 0);
    const size_t width = asked->kind == INT16 ? sizeof(int16_t) : sizeof(float);
    for (int32_t done = 0; done < asked->count; done += asked->piece) {
        const int32_t left = asked->count - done;
        const size_t count = (size_t)(left < asked->piece ? left : asked->piece);
        if (port_read(&samples, count * QW_CHANNELS * width) != count * QW_CHANNELS * width
            || port_read(valid, count * QW_WRISTS) != count * QW_WRISTS) {
            return 3;
        }
        push(asked, count);
    }
    return 0;
}

static int replay_emissions(const request *asked)
{
    static float log_probs[QW_CLASSES];
    qw_decoder decoder;
    qw_text text;
    qw_decoder_reset(&decoder);
    qw_text_reset(&text);
    for (int32_t i = 0; i < asked->count; ++i) {
        if (port_read(log_probs, sizeof log_probs) != sizeof log_probs) {
            return 3;
        }
        const int32_t label = qw_decoder_step(&decoder, log_probs);
        const qw_keystroke keystroke = qw_text_step(&text, label);
        const int32_t said[3] = {label, (int32_t)keystroke.action, keystroke.character};
        port_write(said, sizeof said);
    }
    return 0;
}

int main(void)
{
    request asked;
    if (port_open() != 0 || port_read(&asked, sizeof asked) != sizeof asked) {
        return 1;
    }
    const int status = asked.kind == EMISSIONS ? replay_emissions(&asked) : replay_samples(&asked);
    result.stack_bytes = port_stack_used();
    port_write(&result, sizeof result);
    return status;
}
