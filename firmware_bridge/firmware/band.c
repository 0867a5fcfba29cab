/* What lasts for a boot of a band: its numbering, its connection, its overflows, its status. */
#include "qwrist_band.h"

#include "qwrist_wire.h"

enum {
    LEAST_MTU = 23,                    /* of every LE connection */
    STEP_WITHIN = 10 * QWB_RATE_HZ,    /* two overflows in so many samples: the radio does not carry this codec */
};

static const qwb_link NO_LINK = {.phy = 1, .mtu = LEAST_MTU, .interval = 0};

static qwb_codec first_codec(uint8_t codecs)
{
    uint32_t codec = QWB_RAW16;
    while (codec < QWB_RICE12 && (codecs >> codec & 1) == 0) {
        ++codec;
    }
    return (qwb_codec)codec;
}

void qwb_reset(qwb_band *band, const qwb_traits *traits)
{
    band->traits = *traits;
    band->link = NO_LINK;
    band->state = QWB_IDLE;
    band->packer.samples = 0;
    band->index = 0;
    band->sequence = 0;
    band->codec = first_codec(traits->codecs);
    band->accepted = 0;
    band->lead_off = 0;
    band->overflows = 0;
    band->overflowed_at = 0;
    band->overflow_untold = false;
    band->status_changed = false;
    band->asked = 0;
}

void qwb_connected(qwb_band *band, const qwb_link *link)
{
    band->link = *link;
    if (band->state == QWB_STREAMING && qwb_most_samples(band->codec, link->mtu) == 0) {
        band->state = QWB_IDLE;
    }
}

void qwb_disconnected(qwb_band *band)
{
    band->link = NO_LINK;
    band->state = QWB_IDLE;
}

/* The next smaller codec that the host takes: the next number. QWB_CODECS where there is none. */
static uint32_t smaller_codec(const qwb_band *band)
{
    uint32_t codec = (uint32_t)band->codec + 1;
    while (codec < QWB_CODECS && (band->accepted & band->traits.codecs & 1u << codec) == 0) {
        ++codec;
    }
    return codec;
}

void qwb_overflow(qwb_band *band)
{
    const uint64_t now = band->index + 1; /* so that 0 means never */
    const bool again = band->overflowed_at != 0 && now - band->overflowed_at <= STEP_WITHIN;
    const uint32_t smaller = smaller_codec(band);
    ++band->overflows;
    band->overflow_untold = true;
    band->overflowed_at = now;
    if (again && smaller < QWB_CODECS) {
        band->codec = (qwb_codec)smaller;
        band->overflowed_at = 0;
        band->status_changed = true;
    }
}

void qwb_lead_off(qwb_band *band, uint16_t lead_off)
{
    band->status_changed = band->status_changed || lead_off != band->lead_off;
    band->lead_off = lead_off;
}

bool qwb_status_changed(qwb_band *band)
{
    const bool changed = band->status_changed;
    band->status_changed = false;
    return changed;
}

void qwb_status(const qwb_band *band, uint8_t status[QWB_STATUS_BYTES])
{
    const uint64_t uptime_ms = band->index * 1000 / QWB_RATE_HZ;
    uint8_t *place = qwb_put_u8(status, QWB_PROTOCOL);
    place = qwb_put_u8(place, band->traits.side);
    place = qwb_put_u8(place, band->traits.boot);
    place = qwb_put_u8(place, band->link.phy);
    place = qwb_put_u16(place, QWB_RATE_HZ);
    place = qwb_put_u16(place, band->link.mtu);
    place = qwb_put_u32(place, band->overflows);
    place = qwb_put_u16(place, band->link.interval);
    place = qwb_put_u16(place, band->lead_off);
    place = qwb_put_u32(place, (uint32_t)(uptime_ms & 0xFFFFFFFFu));
    place = qwb_put_u8(place, (uint32_t)band->codec);
    place = qwb_put_u8(place, band->state == QWB_STREAMING);
    (void)qwb_put_u16(place, 0);
}
