/* Running normalisation: a mean and a variance follow each electrode and bin, from a prior on. */
#include "qwrist_internal.h"

enum { FEATURES = QW_ELECTRODES * QW_BINS };

static float at_least_floor(float variance)
{
    return variance > QW_VARIANCE_FLOOR ? variance : QW_VARIANCE_FLOOR;
}

void qw_norm_reset(qw_norm *norm, const qw_prior *prior)
{
    for (uint32_t wrist = 0; wrist < QW_WRISTS; ++wrist) {
        float *mean = &norm->mean[wrist][0][0];
        float *variance = &norm->variance[wrist][0][0];
        for (uint32_t i = 0; i < FEATURES; ++i) {
            const float deviation = prior->deviation[wrist * FEATURES + i];
            mean[i] = prior->mean[wrist * FEATURES + i];
            variance[i] = at_least_floor(deviation * deviation);
        }
        norm->weight[wrist] = prior->prior_frames;
    }
    norm->horizon_frames = prior->horizon_frames;
}

static void clear(float *values)
{
    for (uint32_t i = 0; i < FEATURES; ++i) {
        values[i] = 0.0f;
    }
}

void qw_norm_step(qw_norm *norm, qw_frame *frame)
{
    for (uint32_t wrist = 0; wrist < QW_WRISTS; ++wrist) {
        float *values = &frame->values[wrist][0][0];
        if (!frame->valid[wrist]) {
            clear(values);
            continue;
        }
        const float grown = norm->weight[wrist] + 1.0f;
        norm->weight[wrist] = grown < norm->horizon_frames ? grown : norm->horizon_frames;
        const float share = 1.0f / norm->weight[wrist];
        float *mean = &norm->mean[wrist][0][0];
        float *variance = &norm->variance[wrist][0][0];
        for (uint32_t i = 0; i < FEATURES; ++i) {
            const float before = values[i] - mean[i];
            mean[i] += before * share;
            const float after = values[i] - mean[i];
            variance[i] += (before * after - variance[i]) * share;
            values[i] = after * qw_rsqrt(at_least_floor(variance[i]));
        }
    }
}

void qw_mask_missing(qw_frame *frame)
{
    for (uint32_t wrist = 0; wrist < QW_WRISTS; ++wrist) {
        if (!frame->valid[wrist]) {
            clear(&frame->values[wrist][0][0]);
        }
    }
}
