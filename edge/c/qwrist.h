/*
 * qwrist on a microcontroller: raw samples of two bands in, frames for the network, its emissions to keys.
 *
 *     samples -> qw_front -> frame -> qw_norm -> network -> emission -> qw_decoder -> qw_text -> keystroke
 *
 * Freestanding C99: no heap, no stdio, no libm, no static state. All memory is in the structures below, which
 * the caller owns; their size is known when compiling. Not thread-safe for one structure; safe for several.
 * Every function takes any number of samples at a time: how they are cut changes not one bit of the result.
 *
 * Units: microvolts, samples of 1/QW_RATE_HZ s, frames of QW_HOP samples. Indices: wrist (0 left, 1 right),
 * electrode (around the wrist), bin (QW_RATE_HZ / QW_WINDOW Hz each).
 */
#ifndef QWRIST_H
#define QWRIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qwrist_constants.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Frames ---------------------------------------------------------------------------------------------- */

/* One frame: log10 of power (microvolts squared) before qw_norm_step, what the network takes after it. */
typedef struct {
    float values[QW_WRISTS][QW_ELECTRODES][QW_BINS];
    bool valid[QW_WRISTS]; /* no sample of the frame's window is missing */
} qw_frame;

/* The high-pass of one electrode. It rests at the first sample, so an offset does not ring. */
typedef struct {
    int64_t input;  /* the last one; all in 2^-32 microvolts */
    int64_t output; /* the last one */
    int64_t sum;    /* of all outputs */
} qw_highpass;

/* High-pass and log-spectrogram of both bands: 9.0 KB. */
typedef struct {
    qw_highpass highpass[QW_CHANNELS];
    float window[QW_WINDOW][QW_CHANNELS]; /* filtered samples, microvolts; a ring */
    uint32_t samples;                     /* taken so far, kept small once a window is full */
    uint32_t unbroken[QW_WRISTS];         /* samples since the last missing one, QW_WINDOW at most */
    bool filtered;                        /* the source is high-passed already */
} qw_front;

/* Before the first sample. `filtered`: what comes is high-passed at QW_CUTOFF_HZ already. */
void qw_front_reset(qw_front *front, bool filtered);

/*
 * Take samples until a frame is complete or none are left; gives how many were taken.
 *
 * samples_uv: count x QW_WRISTS x QW_ELECTRODES; beyond 10 V, and where it is no number, it is limited. valid: count x QW_WRISTS, 0 where the sample is missing
 * (it must then repeat the electrode's last value); NULL where none is. *ready says whether `frame` was filled.
 */
size_t qw_front_push_uv(
    qw_front *front, const float *samples_uv, const uint8_t *valid, size_t count, qw_frame *frame, bool *ready);

/* The same for what an analogue front end gives: steps of `uv_per_lsb` microvolts. */
size_t qw_front_push_int16(
    qw_front *front,
    const int16_t *samples,
    float uv_per_lsb,
    const uint8_t *valid,
    size_t count,
    qw_frame *frame,
    bool *ready);

/* ---- Normalisation --------------------------------------------------------------------------------------- */

/* Where the running normalisation starts; a bundle generates it. All of log10 power, wrist x electrode x bin. */
typedef struct {
    const float *mean;
    const float *deviation; /* standard deviation */
    float prior_frames;     /* what the prior weighs */
    float horizon_frames;   /* how far the statistics reach back */
} qw_prior;

/* Running statistics: 8.5 KB. */
typedef struct {
    float mean[QW_WRISTS][QW_ELECTRODES][QW_BINS];
    float variance[QW_WRISTS][QW_ELECTRODES][QW_BINS];
    float weight[QW_WRISTS]; /* frames */
    float horizon_frames;
} qw_norm;

void qw_norm_reset(qw_norm *norm, const qw_prior *prior);

/* Normalise a frame in place, by statistics that include it. A missing band becomes 0 and moves nothing. */
void qw_norm_step(qw_norm *norm, qw_frame *frame);

/* What stands in for qw_norm_step where the network takes log power: a missing band becomes 0. */
void qw_mask_missing(qw_frame *frame);

/* ---- Decoding -------------------------------------------------------------------------------------------- */

#define QW_NO_KEY (-1)

typedef struct {
    int32_t previous;   /* class of the last emission */
    uint32_t emissions; /* seen so far; wraps */
} qw_decoder;

void qw_decoder_reset(qw_decoder *decoder);

/* Greedy CTC. log_probs: QW_CLASSES, any monotonic scores will do. Gives the key's class or QW_NO_KEY. */
int32_t qw_decoder_step(qw_decoder *decoder, const float *log_probs);

typedef enum { QW_NOTHING = 0, QW_TYPE = 1, QW_ERASE = 2 } qw_action;

/* What to send to the host for one key. */
typedef struct {
    qw_action action;
    char character; /* for QW_TYPE: ASCII, newline for enter */
} qw_keystroke;

/* Characters of ours before the cursor: only they are ever erased. */
typedef struct {
    uint32_t standing;
} qw_text;

void qw_text_reset(qw_text *text);

/* label: what qw_decoder_step gave; QW_NO_KEY gives QW_NOTHING. */
qw_keystroke qw_text_step(qw_text *text, int32_t label);

#ifdef __cplusplus
}
#endif

#endif
