/* A band without radio and amplifier: calls of qwrist_band.h come in as bytes, what they give goes out as bytes. */
#include "port.h"
#include "qwrist_band.h"

enum { CLOCK_MASK = 0xFFFFFF, LONGEST = QWB_HEADER_BYTES + QWB_PACKET_SAMPLES * QWB_ELECTRODES * 4 };

typedef struct {
    uint32_t samples;
    uint32_t instructions; /* of qwb_push, all samples */
    uint32_t most;         /* of one sample */
    uint32_t stack_bytes;
    uint32_t band_bytes;
} measured;

static qwb_band band;
static int16_t counts[QWB_PACKET_SAMPLES][QWB_ELECTRODES];
static uint8_t bytes[LONGEST];
static measured result;

static uint32_t get(uint32_t width)
{
    uint8_t value[4] = {0, 0, 0, 0};
    (void)port_read(value, width);
    return (uint32_t)value[0] | (uint32_t)value[1] << 8 | (uint32_t)value[2] << 16 | (uint32_t)value[3] << 24;
}

static void put(uint32_t value, uint32_t width)
{
    const uint8_t out[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16), (uint8_t)(value >> 24)};
    port_write(out, width);
}

static void put_sized(const uint8_t *content, size_t length)
{
    put((uint32_t)length, 2);
    port_write(content, length);
}

/* Bytes of input, at the very end of their array: the sanitizer sees who reads beyond them. */
static const uint8_t *get_bytes(size_t length)
{
    uint8_t *place = bytes + sizeof bytes - length;
    (void)port_read(place, length);
    return place;
}

static void boot(void)
{
    qwb_traits traits;
    traits.side = (uint8_t)get(1);
    traits.boot = (uint8_t)get(1);
    traits.codecs = (uint8_t)get(1);
    traits.measures_impedance = get(1) != 0;
    traits.identifies = get(1) != 0;
    qwb_reset(&band, &traits);
}

static void count_from(void)
{
    band.index = get(4);
    band.index |= (uint64_t)get(4) << 32;
    band.sequence = (uint16_t)get(2);
}

static void connect(void)
{
    qwb_link link;
    link.phy = (uint8_t)get(1);
    link.mtu = (uint16_t)get(2);
    link.interval = (uint16_t)get(2);
    qwb_connected(&band, &link);
}

static void push(void)
{
    static uint8_t packet[QWB_VALUE_BYTES];
    const uint32_t count = get(2);
    for (uint32_t i = 0; i < count; ++i) {
        (void)port_read(counts[0], sizeof counts[0]);
        const uint32_t start = port_ticks();
        const size_t length = qwb_push(&band, counts[0], packet);
        const uint32_t taken = port_instructions((port_ticks() - start) & CLOCK_MASK);
        ++result.samples;
        result.instructions += taken;
        result.most = taken > result.most ? taken : result.most;
        if (length != 0) {
            put_sized(packet, length);
        }
    }
    put(0, 2);
}

static void skip(void)
{
    static uint8_t packet[QWB_VALUE_BYTES];
    put_sized(packet, qwb_skip(&band, get(4), packet));
}

static void put_answer(qwb_answer answer)
{
    put(answer.task, 1);
    put(answer.seconds, 1);
    put_sized(answer.bytes, answer.length);
}

static void control(void)
{
    const uint32_t waiting = get(4);
    const uint32_t length = get(2);
    put_answer(qwb_control(&band, get_bytes(length), length, waiting));
}

static void impedances(void)
{
    uint16_t measured_now[QWB_ELECTRODES];
    (void)port_read(measured_now, sizeof measured_now);
    put_answer(qwb_impedances(&band, measured_now));
}

static void status(void)
{
    uint8_t value[QWB_STATUS_BYTES];
    qwb_status(&band, value);
    put(qwb_status_changed(&band), 1);
    port_write(value, sizeof value);
}

static void put_header(const qwb_header *header)
{
    put((uint32_t)header->codec, 1);
    put(header->flags, 1);
    put(header->boot, 1);
    put(header->samples, 1);
    put(header->sequence, 2);
    put(header->first_index, 4);
}

static void decode(void)
{
    qwb_header header;
    const uint32_t room = get(2);
    const uint32_t length = get(2);
    int16_t(*last)[QWB_ELECTRODES] = counts + QWB_PACKET_SAMPLES - room; /* for the sanitizer, as above */
    const qwb_verdict verdict = qwb_packet_decode(get_bytes(length), length, &header, last, room);
    put((uint32_t)verdict, 1);
    if (verdict == QWB_TAKEN) {
        put_header(&header);
        port_write(last, header.samples * sizeof counts[0]);
    }
}

static void encode(void)
{
    qwb_header header;
    const uint32_t room = get(2);
    header.codec = (qwb_codec)get(1);
    header.flags = (uint8_t)get(1);
    header.boot = (uint8_t)get(1);
    header.samples = (uint8_t)get(1);
    header.sequence = (uint16_t)get(2);
    header.first_index = get(4);
    (void)port_read(counts, header.samples * sizeof counts[0]);
    uint8_t *place = bytes + sizeof bytes - room;
    put_sized(place, qwb_packet_encode(&header, (const int16_t (*)[QWB_ELECTRODES])counts, place, room));
}

static bool obey(uint8_t command)
{
    switch (command) {
    case 'B':
        boot();
        return true;
    case 'N':
        count_from();
        return true;
    case 'G':
        connect();
        return true;
    case 'D':
        qwb_disconnected(&band);
        return true;
    case 'P':
        push();
        return true;
    case 'S':
        skip();
        return true;
    case 'O':
        qwb_overflow(&band);
        return true;
    case 'C':
        control();
        return true;
    case 'I':
        impedances();
        return true;
    case 'L':
        qwb_lead_off(&band, (uint16_t)get(2));
        return true;
    case 'T':
        status();
        return true;
    case 'R':
        decode();
        return true;
    case 'W':
        encode();
        return true;
    default:
        return false;
    }
}

int main(void)
{
    uint8_t command = 0;
    if (port_open() != 0) {
        return 1;
    }
    while (port_read(&command, 1) == 1) {
        if (!obey(command)) {
            return 2;
        }
    }
    result.stack_bytes = port_stack_used();
    result.band_bytes = sizeof band;
    port_write(&result, sizeof result);
    return 0;
}
