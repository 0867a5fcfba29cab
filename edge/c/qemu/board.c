/* Semihosting (Arm IHI 0098) and the system timer of an emulated Cortex-M. */
#include "board.h"

enum { SYS_OPEN = 0x01, SYS_WRITE = 0x05, SYS_READ = 0x06, SYS_EXIT_EXTENDED = 0x20 };
enum { APPLICATION_EXIT = 0x20026 };

static int32_t call(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm("r0") = operation;
    register const void *r1 __asm("r1") = argument;
    __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return (int32_t)r0;
}

int32_t qw_open(const char *name, int32_t mode)
{
    uint32_t length = 0;
    while (name[length] != '\0') {
        ++length;
    }
    const uint32_t block[3] = {(uint32_t)name, (uint32_t)mode, length};
    return call(SYS_OPEN, block);
}

size_t qw_read(int32_t file, void *bytes, size_t count)
{
    const uint32_t block[3] = {(uint32_t)file, (uint32_t)bytes, count};
    return count - (size_t)call(SYS_READ, block); /* it answers with what is missing */
}

void qw_write(int32_t file, const void *bytes, size_t count)
{
    const uint32_t block[3] = {(uint32_t)file, (uint32_t)bytes, count};
    (void)call(SYS_WRITE, block);
}

void qw_exit(int status)
{
    const uint32_t block[2] = {APPLICATION_EXIT, (uint32_t)status};
    (void)call(SYS_EXIT_EXTENDED, block);
    for (;;) {
    }
}

/* SysTick: Armv7-M Architecture Reference Manual, B3.3. */
typedef struct {
    volatile uint32_t control;
    volatile uint32_t reload;
    volatile uint32_t value;
} system_timer;

static system_timer *const timer = (system_timer *)0xE000E010u;
enum { ENABLED_BY_PROCESSOR_CLOCK = 0x5, TIMER_MASK = 0xFFFFFF };
enum { CALIBRATION_LOOPS = 1000000, INSTRUCTIONS_A_LOOP = 2 };

static uint32_t calibration_ticks;

uint32_t qw_clock_ticks(void)
{
    return (TIMER_MASK - timer->value) & TIMER_MASK; /* it counts down */
}

void qw_clock_start(void)
{
    timer->reload = TIMER_MASK;
    timer->value = 0;
    timer->control = ENABLED_BY_PROCESSOR_CLOCK;
    const uint32_t start = qw_clock_ticks();
    uint32_t loops = CALIBRATION_LOOPS;
    __asm volatile("1: subs %0, %0, #1\n bne 1b" : "+r"(loops)::"cc");
    calibration_ticks = (qw_clock_ticks() - start) & TIMER_MASK;
}

uint32_t qw_clock_instructions(uint32_t ticks)
{
    const uint64_t calibrated = (uint64_t)CALIBRATION_LOOPS * INSTRUCTIONS_A_LOOP;
    return (uint32_t)(calibrated * ticks / calibration_ticks);
}
