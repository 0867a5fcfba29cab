/*
 * The layers of a streaming network with weights of one byte and activations in single precision, one row at a time.
 *
 * For microcontrollers that do without TFLite Micro: a bundle generates model/network.c from these. Each row of a
 * matrix has a scale of its own. No function keeps anything; what a layer remembers is the caller's array.
 */
#ifndef QWRIST_KERNELS_H
#define QWRIST_KERNELS_H

#include "qwrist.h"

#ifdef __cplusplus
extern "C" {
#endif

/* weight[r][c] = scales[r] * weights[r * columns + c] */
typedef struct {
    const int8_t *weights;
    const float *scales;
    uint32_t rows;
    uint32_t columns;
} qw_matrix;

typedef struct {
    const float *gamma;
    const float *beta;
    float epsilon;
    uint32_t width;
} qw_layer_norm;

/* y = bias + matrix x; `bias` may be y itself, which adds to what is there. */
void qw_affine(const qw_matrix *matrix, const float *bias, const float *x, float *y);

void qw_relu(float *x, uint32_t width);

/* y = mean of `rows` rows. */
void qw_mean(const float *x, uint32_t rows, uint32_t width, float *y);

/* In place, each row to mean 0 and variance 1, then gamma and beta. */
void qw_normalize_row(const qw_layer_norm *norm, float *x);

/*
 * x = norm(x + ReLU(conv(x))) over this row and those before: `past` holds `kernel` rows, the last is this one's place.
 * The matrix has kernel x width columns, oldest row first. `scratch` takes one row.
 */
void qw_causal_conv(const qw_matrix *matrix, const float *bias, const qw_layer_norm *norm, float *past, float *x,
                    float *scratch);

/* One step: h and c are taken on. Gates in the order i, f, g, o; `gates` takes 4 rows of h. */
void qw_lstm(const qw_matrix *input, const qw_matrix *recurrent, const float *bias, const float *x, float *h, float *c,
             float *gates);

/* y = a, then b. */
void qw_join(const float *a, uint32_t a_width, const float *b, uint32_t b_width, float *y);

/* In place. */
void qw_log_softmax(float *x, uint32_t width);

/* exp(x), limited to what is a normal number; relative error below 3e-7. */
float qw_exp(float x);

#ifdef __cplusplus
}
#endif

#endif
