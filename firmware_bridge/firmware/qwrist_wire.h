/* Bytes and bits as they lie in packets, status and control. Not for callers. */
#ifndef QWRIST_WIRE_H
#define QWRIST_WIRE_H

#include <stddef.h>
#include <stdint.h>

enum { QWB_CRC_SEED = 0xFFFF };

/* CRC-16/IBM-3740, going on from `crc`. */
uint16_t qwb_crc(uint16_t crc, const uint8_t *bytes, size_t count);

/* Least significant byte first; give the place after what they wrote. */
uint8_t *qwb_put_u8(uint8_t *place, uint32_t value);
uint8_t *qwb_put_u16(uint8_t *place, uint32_t value);
uint8_t *qwb_put_u32(uint8_t *place, uint32_t value);
uint16_t qwb_get_u16(const uint8_t *place);
uint32_t qwb_get_u32(const uint8_t *place);

#endif
