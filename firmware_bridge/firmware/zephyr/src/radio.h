/* The Bluetooth side: services, advertising, connection, a bounded queue of packets. */
#ifndef RADIO_H
#define RADIO_H

#include "qwrist_band.h"

/* What the radio asks of the band. All are called by Bluetooth's receiving thread. */
typedef struct {
    void (*connected)(const qwb_link *link); /* and whenever the link's parameters change */
    void (*disconnected)(void);
    bool (*request)(const uint8_t *request, size_t length); /* of CONTROL; false where it is none */
    void (*status)(uint8_t status[QWB_STATUS_BYTES]);
} radio_listener;

/* Advertise, and again after each connection. 0, or the stack's error. */
int radio_start(const radio_listener *listener);

/* Notify STREAM; false where too many packets wait already and this one is dropped. Waits for nothing. */
bool radio_send(const uint8_t *packet, size_t length);

/* Indicate CONTROL. Not from Bluetooth's receiving thread, which may have to free the buffer that this waits for. */
void radio_answer(const qwb_answer *answer);

/* Notify STATUS; the same holds. */
void radio_tell_status(const uint8_t status[QWB_STATUS_BYTES]);

#endif
