/* What else a band's board has: a battery, and perhaps a light. Replace board.c by yours. */
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

enum { BOARD_IDENTIFIES = 0 }; /* 1 once board_identify() can be seen or felt */

/* What is left in the battery, 0 to 100. */
uint8_t board_battery_percent(void);

/* Blink or buzz for so long; 0 ends it. Returns at once. */
void board_identify(uint8_t seconds);

#endif
