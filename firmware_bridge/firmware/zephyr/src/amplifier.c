/*
 * A stand-in for an amplifier: a sawtooth of 50 Hz, another phase at each electrode. To be replaced.
 *
 * Its pace is that of a kernel timer, which rounds 500 us to whole ticks: with 32,768 ticks a second it is 1,928 Hz,
 * and qwrist link-test says so.
 */
#include <zephyr/kernel.h>

#include "amplifier.h"

enum { PERIOD_SAMPLES = 40, STEP = 100 };

static void (*take_sample)(const int16_t counts[QWB_ELECTRODES]);
static uint32_t phase;

static void on_timer(struct k_timer *timer)
{
    int16_t counts[QWB_ELECTRODES];
    ARG_UNUSED(timer);
    for (uint32_t e = 0; e < QWB_ELECTRODES; ++e) {
        counts[e] = (int16_t)(((phase + e) % PERIOD_SAMPLES) * STEP);
    }
    phase = (phase + 1) % PERIOD_SAMPLES;
    take_sample(counts);
}

K_TIMER_DEFINE(sample_timer, on_timer, NULL);

void amplifier_start(void (*take)(const int16_t counts[QWB_ELECTRODES]))
{
    take_sample = take;
    k_timer_start(&sample_timer, K_USEC(500), K_USEC(500));
}

uint16_t amplifier_lead_off(void)
{
    return 0;
}

void amplifier_impedances(uint16_t impedances[QWB_ELECTRODES])
{
    for (uint32_t e = 0; e < QWB_ELECTRODES; ++e) {
        impedances[e] = QWB_ELECTRODE_OPEN;
    }
}
