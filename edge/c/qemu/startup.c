/* Reset, faults and the painted stack of an emulated Cortex-M. No C library: GCC's four memory functions follow. */
#include "board.h"

extern uint32_t qw_data[], qw_data_end[], qw_data_in_flash[], qw_bss[], qw_bss_end[], qw_stack_top[];

int main(void);
void qw_reset(void);

enum { PAINT = 0x5AFE57AC, FAULT_STATUS = 99 };

static void fault(void)
{
    qw_exit(FAULT_STATUS);
}

typedef union {
    uint32_t *stack;
    void (*handler)(void);
} vector;

__attribute__((section(".vectors"), used)) static const vector vectors[16] = {
    {.stack = qw_stack_top}, {.handler = qw_reset}, {.handler = fault}, {.handler = fault},
    {.handler = fault},      {.handler = fault},    {.handler = fault}, {.handler = fault},
    {.handler = fault},      {.handler = fault},    {.handler = fault}, {.handler = fault},
    {.handler = fault},      {.handler = fault},    {.handler = fault}, {.handler = fault},
};

static void paint_stack(void)
{
    uint32_t *here;
    __asm volatile("mov %0, sp" : "=r"(here));
    for (volatile uint32_t *word = qw_bss_end; word < here; ++word) {
        *word = PAINT;
    }
}

uint32_t qw_stack_used(void)
{
    const volatile uint32_t *word = qw_bss_end;
    while (word < qw_stack_top && *word == PAINT) {
        ++word;
    }
    return (uint32_t)(qw_stack_top - word) * (uint32_t)sizeof *word;
}

void qw_reset(void)
{
#ifdef __ARM_FP
    volatile uint32_t *const coprocessors = (volatile uint32_t *)0xE000ED88u; /* CPACR: full access to the FPU */
    *coprocessors |= 0xFu << 20;
    __asm volatile("dsb\n isb" ::: "memory");
#endif
    const uint32_t *from = qw_data_in_flash;
    for (uint32_t *word = qw_data; word < qw_data_end; ++word) {
        *word = *from++;
    }
    for (uint32_t *word = qw_bss; word < qw_bss_end; ++word) {
        *word = 0;
    }
    paint_stack();
    qw_exit(main());
}

void *memcpy(void *restrict to, const void *restrict from, size_t count);
void *memmove(void *to, const void *from, size_t count);
void *memset(void *to, int value, size_t count);
int memcmp(const void *a, const void *b, size_t count);

void *memcpy(void *restrict to, const void *restrict from, size_t count)
{
    return memmove(to, from, count);
}

void *memmove(void *to, const void *from, size_t count)
{
    unsigned char *target = to;
    const unsigned char *source = from;
    if (target <= source) {
        for (size_t i = 0; i < count; ++i) {
            target[i] = source[i];
        }
    } else {
        for (size_t i = count; i > 0; --i) {
            target[i - 1] = source[i - 1];
        }
    }
    return to;
}

void *memset(void *to, int value, size_t count)
{
    unsigned char *target = to;
    for (size_t i = 0; i < count; ++i) {
        target[i] = (unsigned char)value;
    }
    return to;
}

int memcmp(const void *a, const void *b, size_t count)
{
    const unsigned char *left = a;
    const unsigned char *right = b;
    for (size_t i = 0; i < count; ++i) {
        if (left[i] != right[i]) {
            return left[i] < right[i] ? -1 : 1;
        }
    }
    return 0;
}
