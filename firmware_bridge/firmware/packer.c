/* Samples to packets: each as long as the notification allows, and out of step with the radio. */
#include "qwrist_band.h"

enum {
    NOTIFICATION_OVERHEAD_BYTES = 3, /* ATT opcode and handle */
    LEAST_UNLOCKED = 7,              /* below it the loss of a sample costs too much */
};

/* Bytes of payload that a notification carries. */
static uint32_t payload_room(uint16_t mtu)
{
    const uint32_t overhead = NOTIFICATION_OVERHEAD_BYTES + QWB_HEADER_BYTES;
    const uint32_t most = QWB_VALUE_BYTES - QWB_HEADER_BYTES;
    const uint32_t room = mtu < overhead ? 0 : mtu - overhead;
    return room < most ? room : most;
}

/* The largest number of samples up to `fit` without a factor of 30: docs/formats/packet.md says why. */
static uint32_t out_of_step(uint32_t fit)
{
    for (uint32_t n = fit; n >= LEAST_UNLOCKED; --n) {
        if (n % 2 != 0 && n % 3 != 0 && n % 5 != 0) {
            return n;
        }
    }
    return fit;
}

uint32_t qwb_most_samples(qwb_codec codec, uint16_t mtu)
{
    const uint32_t room = payload_room(mtu);
    if (codec == QWB_RICE12) {
        return room < QWB_PACK12_BYTES ? 0 : QWB_MOST_SAMPLES;
    }
    return out_of_step(room / (codec == QWB_RAW16 ? QWB_RAW16_BYTES : QWB_PACK12_BYTES));
}

static void begin(qwb_band *band)
{
    qwb_packer *packer = &band->packer;
    packer->codec = band->codec;
    packer->room = payload_room(band->link.mtu);
    packer->limit = qwb_most_samples(band->codec, band->link.mtu);
    qwb_rice_reset(&packer->rice);
}

/* Whether the packet carries one more sample, as rice12 or as pack12. */
static bool affordable(qwb_packer *packer, const int16_t counts[QWB_ELECTRODES])
{
    const uint32_t rice_bytes = (qwb_rice_add(&packer->rice, counts) + 7) / 8;
    const uint32_t pack_bytes = (packer->samples + 1) * QWB_PACK12_BYTES;
    if ((rice_bytes < pack_bytes ? rice_bytes : pack_bytes) > packer->room) {
        return false;
    }
    for (uint32_t e = 0; e < QWB_ELECTRODES; ++e) {
        packer->k[e] = packer->rice.cheapest[e];
    }
    packer->rice_bytes = rice_bytes;
    return true;
}

static bool append(qwb_band *band, const int16_t counts[QWB_ELECTRODES])
{
    qwb_packer *packer = &band->packer;
    if (packer->samples == 0) {
        begin(band);
    }
    int16_t *place = packer->counts[packer->samples];
    for (uint32_t e = 0; e < QWB_ELECTRODES; ++e) {
        place[e] = packer->codec == QWB_RAW16 ? counts[e] : qwb_twelve_bits(counts[e]);
    }
    if (packer->codec == QWB_RICE12 && !affordable(packer, place)) {
        return false;
    }
    ++packer->samples;
    return true;
}

/* Close the packet of samples before `next_index`; gives its bytes, or 0 where it has no sample. */
static size_t emit(qwb_band *band, uint64_t next_index, uint8_t packet[QWB_VALUE_BYTES])
{
    qwb_packer *packer = &band->packer;
    if (packer->samples == 0) {
        return 0;
    }
    const bool packs = packer->codec == QWB_RICE12 && packer->rice_bytes >= packer->samples * QWB_PACK12_BYTES;
    const qwb_header header = {
        .codec = packs ? QWB_PACK12 : packer->codec,
        .flags = band->overflow_untold ? QWB_FLAG_OVERFLOW : 0,
        .boot = band->traits.boot,
        .samples = (uint8_t)packer->samples,
        .sequence = band->sequence,
        .first_index = (uint32_t)((next_index - packer->samples) & 0xFFFFFFFFu),
    };
    ++band->sequence;
    band->overflow_untold = false;
    packer->samples = 0;
    return qwb_packet_write(&header, (const int16_t (*)[QWB_ELECTRODES])packer->counts, packer->k, packet);
}

size_t qwb_push(qwb_band *band, const int16_t counts[QWB_ELECTRODES], uint8_t packet[QWB_VALUE_BYTES])
{
    size_t length = 0;
    if (band->state == QWB_STREAMING) {
        if (!append(band, counts)) {
            length = emit(band, band->index, packet);
            (void)append(band, counts); /* the first sample always fits: START sees to it */
        }
        if (length == 0 && band->packer.samples == band->packer.limit) {
            length = emit(band, band->index + 1, packet);
        }
    }
    ++band->index;
    return length;
}

size_t qwb_skip(qwb_band *band, uint32_t count, uint8_t packet[QWB_VALUE_BYTES])
{
    const bool closes = count != 0 && band->state == QWB_STREAMING;
    const size_t length = closes ? emit(band, band->index, packet) : 0;
    band->index += count;
    return length;
}
