/* A packet to bytes and back. */
#include "qwrist_packet.h"
#include "qwrist_rice.h"
#include "qwrist_wire.h"

enum { CRC_AT = QWB_HEADER_BYTES - 2, TWELVE_BITS_TOP = 2047 };

int16_t qwb_twelve_bits(int16_t count)
{
    /* Shifted to be positive, so that no negative number is shifted; 2^15 is an even number of sixteens. */
    const uint32_t lifted = (uint32_t)(count + 32768);
    const int32_t nearest = (int32_t)((lifted + 7 + (lifted >> 4 & 1u)) >> 4) - 2048;
    return (int16_t)(nearest > TWELVE_BITS_TOP ? TWELVE_BITS_TOP : nearest);
}

static bool twelve_bits_suffice(const int16_t (*counts)[QWB_ELECTRODES], uint32_t samples)
{
    for (uint32_t i = 0; i < samples; ++i) {
        for (uint32_t e = 0; e < QWB_ELECTRODES; ++e) {
            if (counts[i][e] > TWELVE_BITS_TOP || counts[i][e] < -TWELVE_BITS_TOP - 1) {
                return false;
            }
        }
    }
    return true;
}

static uint8_t *put_raw16(const int16_t counts[QWB_ELECTRODES], uint8_t *bytes)
{
    for (uint32_t e = 0; e < QWB_ELECTRODES; ++e) {
        bytes = qwb_put_u16(bytes, (uint16_t)counts[e]);
    }
    return bytes;
}

static uint8_t *put_pack12(const int16_t counts[QWB_ELECTRODES], uint8_t *bytes)
{
    for (uint32_t e = 0; e < QWB_ELECTRODES; e += 2) {
        const uint32_t pair = ((uint32_t)counts[e] & 0xFFFu) | ((uint32_t)counts[e + 1] & 0xFFFu) << 12;
        bytes = qwb_put_u8(qwb_put_u16(bytes, pair), pair >> 16);
    }
    return bytes;
}

static void get_raw16(const uint8_t *bytes, int16_t counts[QWB_ELECTRODES])
{
    for (uint32_t e = 0; e < QWB_ELECTRODES; ++e) {
        counts[e] = (int16_t)((qwb_get_u16(bytes + 2 * e) ^ 0x8000) - 0x8000);
    }
}

static void get_pack12(const uint8_t *bytes, int16_t counts[QWB_ELECTRODES])
{
    for (uint32_t e = 0; e < QWB_ELECTRODES; ++e) {
        const int32_t twelve = qwb_get_u16(bytes + e / 2 * 3 + e % 2) >> (e % 2 * 4) & 0xFFF;
        counts[e] = (int16_t)((twelve ^ 0x800) - 0x800);
    }
}

/* How long the payload will be; `rice` is told what it needs for rice12. */
static size_t payload_bytes(const qwb_header *header, const int16_t (*counts)[QWB_ELECTRODES], qwb_rice *rice)
{
    if (header->codec != QWB_RICE12) {
        return header->samples * (size_t)(header->codec == QWB_RAW16 ? QWB_RAW16_BYTES : QWB_PACK12_BYTES);
    }
    uint32_t bits = 0;
    qwb_rice_reset(rice);
    for (uint32_t i = 0; i < header->samples; ++i) {
        bits = qwb_rice_add(rice, counts[i]);
    }
    return (bits + 7) / 8;
}

static size_t put_payload(
    const qwb_header *header, const int16_t (*counts)[QWB_ELECTRODES], const uint8_t *k, uint8_t *bytes)
{
    if (header->codec == QWB_RICE12) {
        return header->samples == 0 ? 0 : qwb_rice_encode(k, counts, header->samples, bytes);
    }
    uint8_t *place = bytes;
    for (uint32_t i = 0; i < header->samples; ++i) {
        place = header->codec == QWB_RAW16 ? put_raw16(counts[i], place) : put_pack12(counts[i], place);
    }
    return (size_t)(place - bytes);
}

static void put_header(const qwb_header *header, uint8_t *bytes, size_t payload)
{
    uint8_t *place = qwb_put_u8(bytes, (uint32_t)QWB_PROTOCOL << 4 | (uint32_t)header->codec);
    place = qwb_put_u8(place, header->flags);
    place = qwb_put_u16(place, header->sequence);
    place = qwb_put_u32(place, header->first_index);
    place = qwb_put_u8(place, header->samples);
    place = qwb_put_u8(place, header->boot);
    const uint16_t crc = qwb_crc(QWB_CRC_SEED, bytes, CRC_AT);
    (void)qwb_put_u16(place, qwb_crc(crc, bytes + QWB_HEADER_BYTES, payload));
}

size_t qwb_packet_write(
    const qwb_header *header, const int16_t (*counts)[QWB_ELECTRODES], const uint8_t *k, uint8_t *bytes)
{
    const size_t payload = put_payload(header, counts, k, bytes + QWB_HEADER_BYTES);
    put_header(header, bytes, payload);
    return QWB_HEADER_BYTES + payload;
}

size_t qwb_packet_encode(
    const qwb_header *header, const int16_t (*counts)[QWB_ELECTRODES], uint8_t *bytes, size_t room)
{
    if (header->codec >= QWB_CODECS
        || (header->codec != QWB_RAW16 && !twelve_bits_suffice(counts, header->samples))) {
        return 0;
    }
    qwb_rice rice;
    if (QWB_HEADER_BYTES + payload_bytes(header, counts, &rice) > room) {
        return 0;
    }
    return qwb_packet_write(header, counts, rice.cheapest, bytes);
}

static qwb_verdict get_payload(
    const uint8_t *bytes, size_t length, const qwb_header *header, int16_t (*counts)[QWB_ELECTRODES])
{
    if (header->codec == QWB_RICE12) {
        return qwb_rice_decode(bytes, length, header->samples, counts) ? QWB_TAKEN : QWB_BAD_PAYLOAD;
    }
    const size_t width = header->codec == QWB_RAW16 ? QWB_RAW16_BYTES : QWB_PACK12_BYTES;
    for (size_t i = 0; i < header->samples; ++i) {
        (header->codec == QWB_RAW16 ? get_raw16 : get_pack12)(bytes + i * width, counts[i]);
    }
    return QWB_TAKEN;
}

/* Whether `length` bytes of payload can be what the header says. */
static bool plausible(const qwb_header *header, size_t length)
{
    if ((header->samples == 0) != ((header->flags & QWB_FLAG_END) != 0)) {
        return false;
    }
    if (header->codec == QWB_RICE12) {
        return (header->samples == 0) == (length == 0);
    }
    return length == (size_t)header->samples * (header->codec == QWB_RAW16 ? QWB_RAW16_BYTES : QWB_PACK12_BYTES);
}

qwb_verdict qwb_packet_decode(
    const uint8_t *bytes, size_t length, qwb_header *header, int16_t (*counts)[QWB_ELECTRODES], size_t room)
{
    if (length < QWB_HEADER_BYTES) {
        return QWB_SHORT;
    }
    if (bytes[0] >> 4 != QWB_PROTOCOL) {
        return QWB_OTHER_VERSION;
    }
    const uint8_t *payload = bytes + QWB_HEADER_BYTES;
    const size_t payload_bytes = length - QWB_HEADER_BYTES;
    if (qwb_crc(qwb_crc(QWB_CRC_SEED, bytes, CRC_AT), payload, payload_bytes) != qwb_get_u16(bytes + CRC_AT)) {
        return QWB_DAMAGED;
    }
    if ((bytes[0] & 0xF) >= QWB_CODECS) {
        return QWB_OTHER_CODEC;
    }
    *header = (qwb_header){
        .codec = (qwb_codec)(bytes[0] & 0xF),
        .flags = bytes[1],
        .boot = bytes[9],
        .samples = bytes[8],
        .sequence = qwb_get_u16(bytes + 2),
        .first_index = qwb_get_u32(bytes + 4),
    };
    if (!plausible(header, payload_bytes)) {
        return QWB_BAD_LENGTH;
    }
    if (header->samples > room) {
        return QWB_NO_ROOM;
    }
    return header->samples == 0 ? QWB_TAKEN : get_payload(payload, payload_bytes, header, counts);
}
