/* The rice12 payload: differences of 12-bit counts in Rice's code, one parameter an electrode and packet. */
#ifndef QWRIST_RICE_H
#define QWRIST_RICE_H

#include "qwrist_packet.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { QWB_RICE_PARAMETERS = 12 }; /* k from 0 to 11; 11 leaves one bit of a difference to the unary part */

/* What samples cost that are added one by one: 436 bytes. */
typedef struct {
    uint16_t excess[QWB_ELECTRODES][QWB_RICE_PARAMETERS]; /* bits of the differences beyond 1 + k each, for each k */
    int16_t last[QWB_ELECTRODES];
    uint8_t cheapest[QWB_ELECTRODES]; /* the least k of fewest bits */
    uint32_t samples;
} qwb_rice;

void qwb_rice_reset(qwb_rice *rice);

/* Add a sample of 12-bit counts, QWB_PACKET_SAMPLES at most; gives the bits of all electrodes, padding excluded. */
uint32_t qwb_rice_add(qwb_rice *rice, const int16_t counts[QWB_ELECTRODES]);

/* The payload of samples whose bits `rice` gave; `bytes` takes them all. Gives how many bytes. */
size_t qwb_rice_encode(
    const uint8_t k[QWB_ELECTRODES], const int16_t (*counts)[QWB_ELECTRODES], uint32_t samples, uint8_t *bytes);

/* Read a payload of `samples`, 1 or more; false where it is none. */
bool qwb_rice_decode(
    const uint8_t *bytes, size_t length, uint32_t samples, int16_t (*counts)[QWB_ELECTRODES]);

#ifdef __cplusplus
}
#endif

#endif
