/* The sixteen electrodes. Replace amplifier.c by the driver of yours. */
#ifndef AMPLIFIER_H
#define AMPLIFIER_H

#include "qwrist_band.h"

/*
 * Call `take` at each sample, from an interrupt: sixteen counts of 0.2 microvolts, in ring order.
 *
 * The amplifier's own crystal sets the pace, 2 kHz within 100 ppm; a thread or a timer of the kernel cannot.
 */
void amplifier_start(void (*take)(const int16_t counts[QWB_ELECTRODES]));

/* Bit e: electrode e has no contact. */
uint16_t amplifier_lead_off(void);

/* Each electrode's, 0.1 kiloohm or QWB_ELECTRODE_OPEN; takes as long as it takes. */
void amplifier_impedances(uint16_t impedances[QWB_ELECTRODES]);

#endif
