/* Numbers to bytes and back, and the sum that guards them. */
#include "qwrist_wire.h"

/* What four bits on top of the remainder do to it: polynomial 0x1021. A table of 256 would be twice as fast. */
static const uint16_t crc_of_nibble[16] = {
    0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50A5, 0x60C6, 0x70E7,
    0x8108, 0x9129, 0xA14A, 0xB16B, 0xC18C, 0xD1AD, 0xE1CE, 0xF1EF,
};

uint16_t qwb_crc(uint16_t crc, const uint8_t *bytes, size_t count)
{
    uint32_t rest = crc;
    for (size_t i = 0; i < count; ++i) {
        rest = (rest << 4) ^ crc_of_nibble[((rest >> 12) ^ (bytes[i] >> 4)) & 0xFu];
        rest = (rest << 4) ^ crc_of_nibble[((rest >> 12) ^ bytes[i]) & 0xFu];
        rest &= 0xFFFFu;
    }
    return (uint16_t)rest;
}

uint8_t *qwb_put_u8(uint8_t *place, uint32_t value)
{
    place[0] = (uint8_t)(value & 0xFFu);
    return place + 1;
}

uint8_t *qwb_put_u16(uint8_t *place, uint32_t value)
{
    return qwb_put_u8(qwb_put_u8(place, value), value >> 8);
}

uint8_t *qwb_put_u32(uint8_t *place, uint32_t value)
{
    return qwb_put_u16(qwb_put_u16(place, value), value >> 16);
}

uint16_t qwb_get_u16(const uint8_t *place)
{
    return (uint16_t)(place[0] | place[1] << 8);
}

uint32_t qwb_get_u32(const uint8_t *place)
{
    return (uint32_t)qwb_get_u16(place) | (uint32_t)qwb_get_u16(place + 2) << 16;
}
