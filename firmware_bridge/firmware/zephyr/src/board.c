/* A stand-in for a board: a battery that is always full, and no light. To be replaced. */
#include "board.h"

uint8_t board_battery_percent(void)
{
    return 100;
}

void board_identify(uint8_t seconds)
{
    (void)seconds;
}
