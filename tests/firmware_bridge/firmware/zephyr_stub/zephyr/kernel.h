/* The few declarations of Zephyr's kernel that the sample uses, to compile it without Zephyr. Not Zephyr's headers. */
#ifndef STUB_KERNEL_H
#define STUB_KERNEL_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ARG_UNUSED(x) (void)(x)
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define BUILD_ASSERT(condition, text) extern char built_as_asserted[(condition) ? 1 : -1]

typedef struct {
    int64_t ticks;
} k_timeout_t;
#define K_FOREVER ((k_timeout_t){-1})
#define K_NO_WAIT ((k_timeout_t){0})
#define K_USEC(us) ((k_timeout_t){us})
#define K_SECONDS(s) ((k_timeout_t){(s) * 1000000})

typedef long atomic_t;
long atomic_set(atomic_t *target, long value);
long atomic_inc(atomic_t *target);
long atomic_dec(atomic_t *target);
bool atomic_cas(atomic_t *target, long old_value, long new_value);

struct k_mutex {
    int count;
};
#define K_MUTEX_DEFINE(name) struct k_mutex name
int k_mutex_lock(struct k_mutex *mutex, k_timeout_t timeout);
int k_mutex_unlock(struct k_mutex *mutex);

struct k_msgq {
    size_t size;
};
#define K_MSGQ_DEFINE(name, size, most, alignment) struct k_msgq name = {(size) * (most) + (alignment)}
int k_msgq_put(struct k_msgq *queue, const void *data, k_timeout_t timeout);
int k_msgq_get(struct k_msgq *queue, void *data, k_timeout_t timeout);
uint32_t k_msgq_num_used_get(struct k_msgq *queue);

struct k_work;
typedef void (*k_work_handler_t)(struct k_work *work);
struct k_work {
    k_work_handler_t handler;
};
#define K_WORK_DEFINE(name, function) struct k_work name = {function}
int k_work_submit(struct k_work *work);
struct k_work_delayable {
    struct k_work work;
};
#define K_WORK_DELAYABLE_DEFINE(name, function) struct k_work_delayable name = {{function}}
int k_work_schedule(struct k_work_delayable *work, k_timeout_t delay);

struct k_timer;
typedef void (*k_timer_expiry_t)(struct k_timer *timer);
struct k_timer {
    k_timer_expiry_t expiry;
    k_timer_expiry_t stop;
};
#define K_TIMER_DEFINE(name, expiry, stop) struct k_timer name = {expiry, stop}
void k_timer_start(struct k_timer *timer, k_timeout_t duration, k_timeout_t period);

typedef struct {
    char bytes[8];
} k_thread_stack_t;
struct k_thread {
    int state;
};
typedef struct k_thread *k_tid_t;
typedef void (*k_thread_entry_t)(void *first, void *second, void *third);
#define K_THREAD_STACK_DEFINE(name, bytes) k_thread_stack_t name[(bytes) / sizeof(k_thread_stack_t)]
k_tid_t k_thread_create(struct k_thread *thread, k_thread_stack_t *stack, size_t stack_bytes, k_thread_entry_t entry,
                        void *first, void *second, void *third, int priority, uint32_t options, k_timeout_t delay);

#endif
