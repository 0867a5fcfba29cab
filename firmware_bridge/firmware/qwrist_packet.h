/*
 * One packet of the band's wire format, protocol 1, to bytes and back: docs/formats/packet.md.
 *
 * Freestanding C99: no heap, no stdio, no libm, no static state. For a firmware it is a part of qwrist_band.h; a
 * phone that reads packets needs this header, bytes.c, packet.c and rice.c.
 *
 * Counts are those of the packet's codec: 0.2 microvolts for raw16, 3.2 for pack12 and rice12, sixteen electrodes in
 * ring order.
 */
#ifndef QWRIST_PACKET_H
#define QWRIST_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    QWB_PROTOCOL = 1,
    QWB_ELECTRODES = 16,
    QWB_HEADER_BYTES = 12,
    QWB_VALUE_BYTES = 512, /* the longest attribute value: Bluetooth Core 5.4, Vol 3, Part F, 3.2.9 */
    QWB_PACKET_SAMPLES = 255, /* what the header's count can say */
    QWB_RAW16_BYTES = 32, /* a sample */
    QWB_PACK12_BYTES = 24,
};

typedef enum { QWB_RAW16 = 0, QWB_PACK12 = 1, QWB_RICE12 = 2, QWB_CODECS = 3 } qwb_codec;

enum { QWB_FLAG_END = 1, QWB_FLAG_OVERFLOW = 2 };

typedef struct {
    qwb_codec codec;
    uint8_t flags;
    uint8_t boot;
    uint8_t samples;
    uint16_t sequence;
    uint32_t first_index;
} qwb_header;

/*
 * The bytes of a packet; gives how many, or 0 where they are more than `room` or a count is not of the codec's range
 * (12 bits for pack12 and rice12).
 *
 * counts: header->samples x QWB_ELECTRODES, oldest first; NULL where there are none.
 */
size_t qwb_packet_encode(
    const qwb_header *header, const int16_t (*counts)[QWB_ELECTRODES], uint8_t *bytes, size_t room);

/*
 * The same where room and range are known, and for rice12 the parameter of each electrode; another codec takes NULL.
 * qwb_packer calls it.
 */
size_t qwb_packet_write(
    const qwb_header *header, const int16_t (*counts)[QWB_ELECTRODES], const uint8_t *k, uint8_t *bytes);

typedef enum {
    QWB_TAKEN = 0,
    QWB_SHORT,         /* shorter than a header */
    QWB_OTHER_VERSION, /* of the protocol: update one of both sides */
    QWB_DAMAGED,       /* the CRC is wrong */
    QWB_OTHER_CODEC,
    QWB_BAD_LENGTH,  /* a payload that is not `samples` long, or no samples without the END flag, or an END with some */
    QWB_BAD_PAYLOAD, /* rice12 that no encoder writes */
    QWB_NO_ROOM,     /* sound as far as it was read, and more samples than `room` */
} qwb_verdict;

/*
 * Read a packet. `header` and `counts` hold its content only where QWB_TAKEN is given.
 *
 * counts: room x QWB_ELECTRODES; QWB_PACKET_SAMPLES is always enough.
 */
qwb_verdict qwb_packet_decode(
    const uint8_t *bytes, size_t length, qwb_header *header, int16_t (*counts)[QWB_ELECTRODES], size_t room);

/* The 12-bit count of a 16-bit one: to the nearest 3.2 microvolts, ties to the even count, limited to 2047. */
int16_t qwb_twelve_bits(int16_t count);

#ifdef __cplusplus
}
#endif

#endif
