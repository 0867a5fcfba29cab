/* Where replay.c reads, writes and measures: a computer's files, or a board's by semihosting. */
#ifndef PORT_H
#define PORT_H

#include <stddef.h>
#include <stdint.h>

int port_open(void);                            /* the input and output files; 0 where both are there */
size_t port_read(void *bytes, size_t count);    /* gives how many were read */
void port_write(const void *bytes, size_t count);
uint32_t port_ticks(void);                      /* a clock; wraps at 2^24 */
uint32_t port_instructions(uint32_t ticks);     /* 0 where the port cannot tell */
uint32_t port_stack_used(void);                 /* bytes; 0 where the port cannot tell */

#endif
