/* What a program needs of an emulated board: files by semihosting, a clock of instructions, a painted stack. */
#ifndef QW_BOARD_H
#define QW_BOARD_H

#include <stddef.h>
#include <stdint.h>

/* Files of the folder that QEMU was started in. Mode: 1 read, 5 write (binary). Gives -1 where it cannot. */
int32_t qw_open(const char *name, int32_t mode);
size_t qw_read(int32_t file, void *bytes, size_t count); /* gives how many were read */
void qw_write(int32_t file, const void *bytes, size_t count);
void qw_exit(int status);

/*
 * Instructions since qw_clock_start, where QEMU runs with -icount; wraps after 2^24 ticks of the system timer,
 * so take differences of less than a second. They are instructions, not cycles: no memory waits, no dual issue.
 */
void qw_clock_start(void);
uint32_t qw_clock_ticks(void);               /* of the system timer */
uint32_t qw_clock_instructions(uint32_t ticks); /* by the ratio that qw_clock_start measured */

/* Bytes of stack that were ever written since the start. */
uint32_t qw_stack_used(void);

#endif
