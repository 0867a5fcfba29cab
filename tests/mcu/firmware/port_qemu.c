/* replay.c on an emulated board. */
#include "board.h"
#include "port.h"

static int32_t input;
static int32_t output;

int port_open(void)
{
    qw_clock_start();
    input = qw_open("input.bin", 1);
    output = qw_open("output.bin", 5);
    return input >= 0 && output >= 0 ? 0 : 1;
}

size_t port_read(void *bytes, size_t count)
{
    return qw_read(input, bytes, count);
}

void port_write(const void *bytes, size_t count)
{
    qw_write(output, bytes, count);
}

uint32_t port_ticks(void)
{
    return qw_clock_ticks();
}

uint32_t port_instructions(uint32_t ticks)
{
    return qw_clock_instructions(ticks);
}

uint32_t port_stack_used(void)
{
    return qw_stack_used();
}
