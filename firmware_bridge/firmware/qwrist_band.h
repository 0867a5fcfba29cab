/*
 * What a wristband's firmware does between its amplifier and its radio: fill packets, answer the control point, say
 * its status. docs/formats/packet.md is the specification, docs/guides/firmware.md how to build it in.
 *
 *     sample -> qwb_push -> packet -> notify STREAM       write to CONTROL -> qwb_control -> indicate CONTROL
 *
 * Freestanding C99: no heap, no stdio, no libm, no floating point, no static state. All memory is in qwb_band, which
 * the caller owns. Not safe to be called for one band from two threads or from an interrupt: queue samples and
 * requests to one thread.
 */
#ifndef QWRIST_BAND_H
#define QWRIST_BAND_H

#include "qwrist_packet.h"
#include "qwrist_rice.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    QWB_RATE_HZ = 2000,
    QWB_RAW16_BIT = 1 << QWB_RAW16, /* sets of codecs */
    QWB_PACK12_BIT = 1 << QWB_PACK12,
    QWB_RICE12_BIT = 1 << QWB_RICE12,
    QWB_MOST_SAMPLES = 31, /* in a packet of ours, 15.5 ms: shares no factor with intervals of n x 1.25 ms */
    QWB_STATUS_BYTES = 24,
    QWB_ANSWER_BYTES = 35,      /* the longest answer: impedances */
    QWB_ELECTRODE_OPEN = 0xFFFF, /* an impedance: it touches nothing */
    QWB_NO_REQUEST = 0x80,      /* ATT error for a write that is too short to be answered */
};

/* What a band is; it stays so until the next boot. */
typedef struct {
    uint8_t side;   /* 0 left, 1 right */
    uint8_t boot;   /* one more at each boot, wrapping: kept where it survives power */
    uint8_t codecs; /* those that it shall use, one at least */
    bool measures_impedance;
    bool identifies; /* it can blink or buzz */
} qwb_traits;

/* What the radio says of the connection. */
typedef struct {
    uint8_t phy; /* 1 for 1M, 2 for 2M, 3 for coded */
    uint16_t mtu;
    uint16_t interval; /* in 1.25 ms */
} qwb_link;

/* Samples that do not fill a packet yet: 1.5 KB. */
typedef struct {
    qwb_codec codec; /* of this packet; a new one is used from the next packet on */
    uint32_t room;   /* bytes of payload */
    uint32_t limit;  /* samples */
    uint32_t samples;
    int16_t counts[QWB_MOST_SAMPLES][QWB_ELECTRODES]; /* in the codec's steps */
    qwb_rice rice;                                    /* may count a sample that did not fit */
    uint8_t k[QWB_ELECTRODES];                        /* rice12's parameters for these samples ... */
    uint32_t rice_bytes;                              /* ... and the payload that they make */
} qwb_packer;

typedef enum { QWB_IDLE, QWB_STREAMING, QWB_MEASURING } qwb_state;

/* One boot of a band: 1.5 KB. */
typedef struct {
    qwb_traits traits;
    qwb_link link;
    qwb_state state;
    qwb_packer packer;
    uint64_t index;    /* of the next sample since boot */
    uint16_t sequence; /* of the next packet since boot */
    qwb_codec codec;   /* in use */
    uint8_t accepted;  /* codecs of the last CONFIG */
    uint16_t lead_off;
    uint32_t overflows;
    uint64_t overflowed_at; /* index at the last overflow that counts for a step, plus one; 0 for none */
    bool overflow_untold;   /* the next packet says that one was dropped */
    bool status_changed;
    uint8_t asked; /* number of the IMPEDANCE request that waits */
} qwb_band;

void qwb_reset(qwb_band *band, const qwb_traits *traits);

/* ---- Samples ---------------------------------------------------------------------------------------------- */

/*
 * Take the next sample, sixteen counts of 0.2 microvolts. Call it for every sample from boot on, connected or not:
 * the index is the band's clock.
 *
 * Gives the bytes of the packet that the sample completes, or 0. Notify it; where the radio's queue is full drop it
 * and call qwb_overflow.
 */
size_t qwb_push(qwb_band *band, const int16_t counts[QWB_ELECTRODES], uint8_t packet[QWB_VALUE_BYTES]);

/* `count` samples could not be taken: the index jumps over them. What came before is given as by qwb_push. */
size_t qwb_skip(qwb_band *band, uint32_t count, uint8_t packet[QWB_VALUE_BYTES]);

/* The last packet could not be sent. The second time within 10 s a smaller codec is used, where one is accepted. */
void qwb_overflow(qwb_band *band);

/* ---- The connection ------------------------------------------------------------------------------------------ */

/* Call it when a host connects and when MTU, PHY or interval change. */
void qwb_connected(qwb_band *band, const qwb_link *link);

/* Streaming ends; samples of an unfinished packet are not sent. */
void qwb_disconnected(qwb_band *band);

/* What is left to do after a request. */
typedef enum {
    QWB_NOTHING,
    QWB_REFUSE_WRITE, /* answer the write itself with ATT error QWB_NO_REQUEST */
    QWB_MEASURE,      /* measure all electrodes, then call qwb_impedances */
    QWB_IDENTIFY,     /* blink or buzz for `seconds`; 0 stops it */
} qwb_task;

/* Bytes to indicate on CONTROL, none where `length` is 0. */
typedef struct {
    uint8_t bytes[QWB_ANSWER_BYTES];
    uint8_t length;
    qwb_task task;
    uint8_t seconds;
} qwb_answer;

/*
 * Do what a host writes to CONTROL, of any length.
 *
 * waiting: samples that the amplifier has finished and that are not pushed yet; PING's answer counts them.
 */
qwb_answer qwb_control(qwb_band *band, const uint8_t *request, size_t length, uint32_t waiting);

/* The answer that QWB_MEASURE owes, in 0.1 kiloohm; empty where the host is gone meanwhile. */
qwb_answer qwb_impedances(qwb_band *band, const uint16_t impedances[QWB_ELECTRODES]);

/* ---- The status -------------------------------------------------------------------------------------------- */

/* Bit e: electrode e has no contact. */
void qwb_lead_off(qwb_band *band, uint16_t lead_off);

/* The value of STATUS. */
void qwb_status(const qwb_band *band, uint8_t status[QWB_STATUS_BYTES]);

/* Whether STATUS is to be notified; true once for each change. */
bool qwb_status_changed(qwb_band *band);

/* The most samples that this codec puts into a packet at this MTU; 0 where not one fits. */
uint32_t qwb_most_samples(qwb_codec codec, uint16_t mtu);

#ifdef __cplusplus
}
#endif

#endif
