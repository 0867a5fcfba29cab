/* A program of this folder on a computer, asked over its standard input and answered before the next question. */
#include <stdio.h>

#include "port.h"

int port_open(void)
{
    return 0;
}

size_t port_read(void *bytes, size_t count)
{
    (void)fflush(stdout);
    return fread(bytes, 1, count, stdin);
}

void port_write(const void *bytes, size_t count)
{
    (void)fwrite(bytes, 1, count, stdout);
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
