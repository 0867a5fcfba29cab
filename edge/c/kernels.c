/* The layers of a streaming network, one row at a time. */
#include "qwrist_kernels.h"

#include "qwrist_internal.h"

void qw_affine(const qw_matrix *matrix, const float *bias, const float *x, float *y)
{
    const int8_t *weight = matrix->weights;
    for (uint32_t row = 0; row < matrix->rows; ++row) {
        float sum = 0.0f;
        for (uint32_t column = 0; column < matrix->columns; ++column) {
            sum += (float)weight[column] * x[column];
        }
        y[row] = bias[row] + matrix->scales[row] * sum;
        weight += matrix->columns;
    }
}

void qw_relu(float *x, uint32_t width)
{
    for (uint32_t i = 0; i < width; ++i) {
        x[i] = x[i] > 0.0f ? x[i] : 0.0f;
    }
}

void qw_mean(const float *x, uint32_t rows, uint32_t width, float *y)
{
    const float share = 1.0f / (float)rows;
    for (uint32_t i = 0; i < width; ++i) {
        float sum = 0.0f;
        for (uint32_t row = 0; row < rows; ++row) {
            sum += x[row * width + i];
        }
        y[i] = sum * share;
    }
}

void qw_normalize_row(const qw_layer_norm *norm, float *x)
{
    const float share = 1.0f / (float)norm->width;
    float sum = 0.0f;
    for (uint32_t i = 0; i < norm->width; ++i) {
        sum += x[i];
    }
    const float mean = sum * share;
    float squares = 0.0f;
    for (uint32_t i = 0; i < norm->width; ++i) {
        x[i] -= mean;
        squares += x[i] * x[i];
    }
    const float scale = qw_rsqrt(squares * share + norm->epsilon);
    for (uint32_t i = 0; i < norm->width; ++i) {
        x[i] = x[i] * scale * norm->gamma[i] + norm->beta[i];
    }
}

void qw_causal_conv(const qw_matrix *matrix, const float *bias, const qw_layer_norm *norm, float *past, float *x,
                    float *scratch)
{
    const uint32_t width = matrix->rows;
    const uint32_t before = matrix->columns - width;
    for (uint32_t i = 0; i < before; ++i) { /* every row one place older */
        past[i] = past[i + width];
    }
    for (uint32_t i = 0; i < width; ++i) {
        past[before + i] = x[i];
    }
    qw_affine(matrix, bias, past, scratch);
    qw_relu(scratch, width);
    for (uint32_t i = 0; i < width; ++i) {
        x[i] += scratch[i];
    }
    qw_normalize_row(norm, x);
}

static float sigmoid(float x)
{
    return 1.0f / (1.0f + qw_exp(-x));
}

static float hyperbolic_tangent(float x)
{
    return 1.0f - 2.0f / (1.0f + qw_exp(2.0f * x));
}

void qw_lstm(const qw_matrix *input, const qw_matrix *recurrent, const float *bias, const float *x, float *h, float *c,
             float *gates)
{
    const uint32_t hidden = recurrent->columns;
    qw_affine(input, bias, x, gates);
    qw_affine(recurrent, gates, h, gates);
    for (uint32_t i = 0; i < hidden; ++i) {
        const float written = sigmoid(gates[i]) * hyperbolic_tangent(gates[2 * hidden + i]);
        c[i] = sigmoid(gates[hidden + i]) * c[i] + written;
        h[i] = sigmoid(gates[3 * hidden + i]) * hyperbolic_tangent(c[i]);
    }
}

void qw_join(const float *a, uint32_t a_width, const float *b, uint32_t b_width, float *y)
{
    for (uint32_t i = 0; i < a_width; ++i) {
        y[i] = a[i];
    }
    for (uint32_t i = 0; i < b_width; ++i) {
        y[a_width + i] = b[i];
    }
}

void qw_log_softmax(float *x, uint32_t width)
{
    float largest = x[0];
    for (uint32_t i = 1; i < width; ++i) {
        largest = x[i] > largest ? x[i] : largest;
    }
    float sum = 0.0f;
    for (uint32_t i = 0; i < width; ++i) {
        x[i] -= largest;
        sum += qw_exp(x[i]);
    }
    const float log_sum = qw_log10(sum) * (1.0f / QW_LOG10_E);
    for (uint32_t i = 0; i < width; ++i) {
        x[i] -= log_sum;
    }
}
