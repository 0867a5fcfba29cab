/* The control point: requests in, answers and tasks out. */
#include "qwrist_band.h"
#include "qwrist_wire.h"

typedef enum { START = 1, STOP, CONFIG, PING, IMPEDANCE, IDENTIFY } opcode;
typedef enum { OK, UNSUPPORTED, NOT_NOW, BAD_ARGUMENT } result;

enum { HEAD_BYTES = 2, ANSWERED = 0x80, CONFIG_BYTES = 4, IDENTIFY_BYTES = 1 };

static uint8_t *put_result(qwb_answer *answer, uint32_t asked, uint32_t number, result how)
{
    uint8_t *place = qwb_put_u8(answer->bytes, asked | ANSWERED);
    return qwb_put_u8(qwb_put_u8(place, number), (uint32_t)how);
}

static bool has_operation(const qwb_band *band, uint8_t asked)
{
    switch (asked) {
    case IMPEDANCE:
        return band->traits.measures_impedance;
    case IDENTIFY:
        return band->traits.identifies;
    default:
        return asked >= START && asked <= PING;
    }
}

static size_t argument_bytes(uint8_t asked)
{
    return asked == CONFIG ? CONFIG_BYTES : asked == IDENTIFY ? IDENTIFY_BYTES : 0;
}

static result start(qwb_band *band)
{
    if (band->state == QWB_MEASURING || qwb_most_samples(band->codec, band->link.mtu) == 0) {
        return NOT_NOW;
    }
    if (band->state == QWB_IDLE) {
        band->packer.samples = 0;
        band->state = QWB_STREAMING;
    }
    return OK;
}

static void stop(qwb_band *band)
{
    if (band->state == QWB_STREAMING) {
        band->state = QWB_IDLE;
    }
}

static bool contains(uint8_t codecs, uint32_t codec)
{
    return codec < QWB_CODECS && (codecs >> codec & 1) != 0;
}

static result configure(qwb_band *band, const uint8_t arguments[CONFIG_BYTES])
{
    if (band->state != QWB_IDLE) {
        return NOT_NOW;
    }
    const uint8_t preferred = arguments[0];
    const uint8_t common = arguments[1] & band->traits.codecs;
    uint32_t codec = QWB_CODECS;
    while (codec > 0 && !contains(common, codec)) {
        --codec;
    }
    if (qwb_get_u16(arguments + 2) != QWB_RATE_HZ || !contains(common, codec)) {
        return UNSUPPORTED;
    }
    if (contains(band->traits.codecs, preferred)) {
        codec = preferred;
    }
    band->status_changed = band->status_changed || codec != (uint32_t)band->codec;
    band->codec = (qwb_codec)codec;
    band->accepted = arguments[1];
    band->overflowed_at = 0; /* another codec, another count */
    return OK;
}

static result measure(qwb_band *band, uint8_t number)
{
    if (band->state != QWB_IDLE) {
        return NOT_NOW;
    }
    band->state = QWB_MEASURING;
    band->asked = number;
    return OK;
}

/* Do what a sound request asks; the task that is left goes into `answer`. */
static result operate(qwb_band *band, const uint8_t *request, qwb_answer *answer)
{
    const uint8_t *arguments = request + HEAD_BYTES;
    result how = OK;
    switch (request[0]) {
    case START:
        return start(band);
    case STOP:
        stop(band);
        return OK;
    case CONFIG:
        return configure(band, arguments);
    case IMPEDANCE:
        how = measure(band, request[1]);
        answer->task = how == OK ? QWB_MEASURE : QWB_NOTHING;
        return how;
    case IDENTIFY:
        answer->task = QWB_IDENTIFY;
        answer->seconds = arguments[0];
        return OK;
    default:
        return OK;
    }
}

/* What an answer carries beyond its result. */
static uint8_t *put_data(const qwb_band *band, uint8_t asked, uint32_t waiting, uint8_t *place)
{
    const uint32_t index = (uint32_t)(band->index & 0xFFFFFFFFu);
    switch (asked) {
    case START:
        place = qwb_put_u16(qwb_put_u8(place, band->traits.boot), band->sequence);
        return qwb_put_u32(place, index - band->packer.samples);
    case CONFIG:
        return qwb_put_u16(qwb_put_u8(place, (uint32_t)band->codec), QWB_RATE_HZ);
    case PING:
        return qwb_put_u32(qwb_put_u8(place, band->traits.boot), index + waiting);
    default:
        return place;
    }
}

static result judge(qwb_band *band, const uint8_t *request, size_t length, qwb_answer *answer)
{
    if (!has_operation(band, request[0])) {
        return UNSUPPORTED;
    }
    if (length != HEAD_BYTES + argument_bytes(request[0])) {
        return BAD_ARGUMENT;
    }
    return operate(band, request, answer);
}

qwb_answer qwb_control(qwb_band *band, const uint8_t *request, size_t length, uint32_t waiting)
{
    qwb_answer answer = {.length = 0, .task = QWB_NOTHING};
    if (length < HEAD_BYTES) {
        answer.task = QWB_REFUSE_WRITE;
        return answer;
    }
    const result how = judge(band, request, length, &answer);
    if (answer.task == QWB_MEASURE) {
        return answer; /* qwb_impedances gives the bytes */
    }
    uint8_t *place = put_result(&answer, request[0], request[1], how);
    place = how == OK ? put_data(band, request[0], waiting, place) : place;
    answer.length = (uint8_t)(place - answer.bytes);
    return answer;
}

qwb_answer qwb_impedances(qwb_band *band, const uint16_t impedances[QWB_ELECTRODES])
{
    qwb_answer answer = {.length = 0, .task = QWB_NOTHING};
    if (band->state != QWB_MEASURING) {
        return answer;
    }
    band->state = QWB_IDLE;
    uint8_t *place = put_result(&answer, IMPEDANCE, band->asked, OK);
    for (uint32_t e = 0; e < QWB_ELECTRODES; ++e) {
        place = qwb_put_u16(place, impedances[e]);
    }
    answer.length = (uint8_t)(place - answer.bytes);
    return answer;
}
