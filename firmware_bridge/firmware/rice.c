/* Rice's code, cheap enough for each sample: what every parameter would cost is summed as the samples come. */
#include "qwrist_rice.h"

enum {
    PARAMETER_BITS = 4,
    COUNT_BITS = 12,
    COUNT_MASK = 0xFFF,
    SIGN_BIT = 0x800,
    LONGEST_RUN = 16, /* that many ones, no zero: the difference follows as it is */
    ESCAPED_BITS = LONGEST_RUN + COUNT_BITS,
};

/* A number of 12 bits as the count that it stands for. */
static int16_t signed_count(uint32_t bits)
{
    return (int16_t)((int32_t)((bits & COUNT_MASK) ^ SIGN_BIT) - SIGN_BIT);
}

/* Zigzag: 0, -1, 1, -2, ... become 0, 1, 2, 3, ... */
static uint32_t folded(int16_t count, int16_t before)
{
    const int32_t difference = signed_count((uint32_t)count - (uint32_t)before);
    return difference < 0 ? (uint32_t)(-2 * difference - 1) : (uint32_t)(2 * difference);
}

/* Modulo 4096, whatever `value` is. */
static int16_t unfolded(uint32_t value, int16_t before)
{
    const uint32_t difference = value & 1u ? ~(value >> 1) : value >> 1;
    return signed_count((uint32_t)before + difference);
}

void qwb_rice_reset(qwb_rice *rice)
{
    for (uint32_t e = 0; e < QWB_ELECTRODES; ++e) {
        for (uint32_t k = 0; k < QWB_RICE_PARAMETERS; ++k) {
            rice->excess[e][k] = 0;
        }
    }
    rice->samples = 0;
}

/* `value` has 12 bits at most, so that no k beyond the last has an excess. */
static void add_difference(uint16_t excess[QWB_RICE_PARAMETERS], uint32_t value)
{
    for (uint32_t k = 0; value >> k != 0; ++k) {
        const uint32_t run = value >> k;
        excess[k] = (uint16_t)(excess[k] + (run < LONGEST_RUN ? run : ESCAPED_BITS - 1 - k));
    }
}

/* Bits of an electrode's differences with the cheapest parameter, which goes to `cheapest`. */
static uint32_t fewest_bits(const uint16_t excess[QWB_RICE_PARAMETERS], uint32_t differences, uint8_t *cheapest)
{
    uint32_t fewest = excess[0] + differences;
    *cheapest = 0;
    /* The first k that leaves no excess costs no less than the one before it, where runs are of one bit at most. */
    for (uint8_t k = 1; k < QWB_RICE_PARAMETERS && excess[k] != 0; ++k) {
        const uint32_t bits = excess[k] + differences * (k + 1u);
        if (bits < fewest) {
            fewest = bits;
            *cheapest = k;
        }
    }
    return fewest;
}

uint32_t qwb_rice_add(qwb_rice *rice, const int16_t counts[QWB_ELECTRODES])
{
    uint32_t total = QWB_ELECTRODES * (PARAMETER_BITS + COUNT_BITS);
    for (uint32_t e = 0; e < QWB_ELECTRODES; ++e) {
        if (rice->samples != 0) {
            add_difference(rice->excess[e], folded(counts[e], rice->last[e]));
        }
        rice->last[e] = counts[e];
        total += fewest_bits(rice->excess[e], rice->samples, &rice->cheapest[e]);
    }
    ++rice->samples;
    return total;
}

/* Bits, the most significant first, on their way to bytes. */
typedef struct {
    uint8_t *next;
    uint32_t held; /* bits that do not fill a byte yet, on the right */
    uint32_t count;
} bit_writer;

/* At most 24 bits of `value`, which has no others. */
static void put(bit_writer *writer, uint32_t value, uint32_t bits)
{
    writer->held = writer->held << bits | value;
    writer->count += bits;
    while (writer->count >= 8) {
        writer->count -= 8;
        *writer->next++ = (uint8_t)(writer->held >> writer->count & 0xFFu);
    }
}

static void put_difference(bit_writer *writer, uint32_t value, uint32_t k)
{
    const uint32_t run = value >> k;
    if (run < LONGEST_RUN) {
        put(writer, (1u << (run + 1)) - 2, run + 1);
        put(writer, value & ((1u << k) - 1), k);
    } else {
        put(writer, (1u << LONGEST_RUN) - 1, LONGEST_RUN);
        put(writer, value, COUNT_BITS);
    }
}

size_t qwb_rice_encode(
    const uint8_t k[QWB_ELECTRODES], const int16_t (*counts)[QWB_ELECTRODES], uint32_t samples, uint8_t *bytes)
{
    bit_writer writer = {bytes, 0, 0};
    for (uint32_t e = 0; e < QWB_ELECTRODES; ++e) {
        put(&writer, k[e], PARAMETER_BITS);
        put(&writer, (uint32_t)counts[0][e] & COUNT_MASK, COUNT_BITS);
        for (uint32_t i = 1; i < samples; ++i) {
            put_difference(&writer, folded(counts[i][e], counts[i - 1][e]), k[e]);
        }
    }
    if (writer.count != 0) {
        put(&writer, 0, 8 - writer.count);
    }
    return (size_t)(writer.next - bytes);
}

typedef struct {
    const uint8_t *bytes;
    size_t place;   /* of the next bit */
    size_t left;    /* bits after it */
    bool overdrawn; /* more was asked for than there was */
} bit_reader;

static uint32_t take_bit(bit_reader *reader)
{
    if (reader->left == 0) {
        reader->overdrawn = true;
        return 0;
    }
    const uint32_t byte = reader->bytes[reader->place / 8];
    ++reader->place;
    --reader->left;
    return byte >> (reader->left % 8) & 1u; /* a payload is whole bytes */
}

static uint32_t take(bit_reader *reader, uint32_t bits)
{
    uint32_t value = 0;
    for (uint32_t i = 0; i < bits; ++i) {
        value = value << 1 | take_bit(reader);
    }
    return value;
}

static uint32_t take_difference(bit_reader *reader, uint32_t k)
{
    uint32_t run = 0;
    while (run < LONGEST_RUN && take_bit(reader) != 0) {
        ++run;
    }
    return run < LONGEST_RUN ? run << k | take(reader, k) : take(reader, COUNT_BITS);
}

bool qwb_rice_decode(
    const uint8_t *bytes, size_t length, uint32_t samples, int16_t (*counts)[QWB_ELECTRODES])
{
    bit_reader reader = {bytes, 0, 8 * length, false};
    for (uint32_t e = 0; e < QWB_ELECTRODES; ++e) {
        const uint32_t k = take(&reader, PARAMETER_BITS);
        if (k >= QWB_RICE_PARAMETERS) {
            return false;
        }
        counts[0][e] = signed_count(take(&reader, COUNT_BITS));
        for (uint32_t i = 1; i < samples; ++i) {
            counts[i][e] = unfolded(take_difference(&reader, k), counts[i - 1][e]);
        }
        if (reader.overdrawn) {
            return false;
        }
    }
    return reader.left < 8 && take(&reader, (uint32_t)reader.left) == 0;
}
