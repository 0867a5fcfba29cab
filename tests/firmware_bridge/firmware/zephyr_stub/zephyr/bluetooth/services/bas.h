/* What the sample uses of Zephyr's battery service. Not Zephyr's header. */
#ifndef STUB_BAS_H
#define STUB_BAS_H

#include <stdint.h>

int bt_bas_set_battery_level(uint8_t level);

#endif
