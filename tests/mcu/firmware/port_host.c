/* replay.c on a computer: for the sanitizers. */
#include <stdio.h>

#include "port.h"

static FILE *input;
static FILE *output;

int port_open(void)
{
    input = fopen("input.bin", "rb");
    output = fopen("output.bin", "wb");
    return input != NULL && output != NULL ? 0 : 1;
}

size_t port_read(void *bytes, size_t count)
{
    return fread(bytes, 1, count, input);
}

void port_write(const void *bytes, size_t count)
{
    (void)fwrite(bytes, 1, count, output);
}

uint32_t port_ticks(void)
{
    return 0;
}

uint32_t port_instructions(uint32_t ticks)
{
    return ticks;
}

uint32_t port_stack_used(void)
{
    return 0;
}
