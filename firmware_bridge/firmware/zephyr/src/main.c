/*
 * A band: samples come from the amplifier's interrupt into a queue, one thread makes packets of them and sends them.
 *
 * Written against Zephyr 4.1; it was compiled against a stub of its headers, not built and never run on a board.
 */
#include <string.h>

#include <zephyr/bluetooth/bluetooth.h>
#include <zephyr/bluetooth/services/bas.h>
#include <zephyr/kernel.h>
#include <zephyr/settings/settings.h>

#include "amplifier.h"
#include "board.h"
#include "qwrist_band.h"
#include "radio.h"

enum {
    QUEUED_SAMPLES = 64, /* 32 ms: longer than the flash or the radio keep the thread waiting */
    BATTERY_SAMPLES = 60 * 2000, /* between two looks at the battery: a minute */
    STACK_BYTES = 2048,
    PRIORITY = 5,
};

typedef struct {
    uint32_t missed; /* samples before this one that found the queue full */
    int16_t counts[QWB_ELECTRODES];
} sample;

K_MSGQ_DEFINE(samples, sizeof(sample), QUEUED_SAMPLES, 4);
K_MSGQ_DEFINE(answers, sizeof(qwb_answer), 1, 4); /* radio.c takes no second request before the answer */
K_MUTEX_DEFINE(band_mutex);
static qwb_band band; /* guarded by the mutex */
static uint8_t boots;

static void lock(void)
{
    k_mutex_lock(&band_mutex, K_FOREVER);
}

static void unlock(void)
{
    k_mutex_unlock(&band_mutex);
}

/* ---- What Bluetooth's receiving thread asks ---------------------------------------------------------------- */

static void on_connected(const qwb_link *link)
{
    lock();
    qwb_connected(&band, link);
    unlock();
}

static void on_disconnected(void)
{
    lock();
    qwb_disconnected(&band);
    unlock();
}

static bool on_request(const uint8_t *request, size_t length)
{
    lock();
    const qwb_answer answer = qwb_control(&band, request, length, k_msgq_num_used_get(&samples));
    unlock();
    if (answer.task == QWB_REFUSE_WRITE) {
        return false;
    }
    (void)k_msgq_put(&answers, &answer, K_NO_WAIT);
    return true;
}

static void on_status(uint8_t status[QWB_STATUS_BYTES])
{
    lock();
    qwb_status(&band, status);
    unlock();
}

static const radio_listener listener = {on_connected, on_disconnected, on_request, on_status};

/* ---- The band's thread ----------------------------------------------------------------------------------------- */

/* The amplifier's interrupt. */
static void on_sample(const int16_t counts[QWB_ELECTRODES])
{
    static uint32_t missed;
    sample taken = {.missed = missed};
    memcpy(taken.counts, counts, sizeof taken.counts);
    missed = k_msgq_put(&samples, &taken, K_NO_WAIT) == 0 ? 0 : missed + 1;
}

static void send(const uint8_t *packet, size_t length)
{
    if (length != 0 && !radio_send(packet, length)) {
        lock();
        qwb_overflow(&band);
        unlock();
    }
}

static void take(const sample *taken)
{
    static uint8_t packet[QWB_VALUE_BYTES];
    lock();
    const size_t before = qwb_skip(&band, taken->missed, packet);
    unlock();
    send(packet, before);
    lock();
    const size_t length = qwb_push(&band, taken->counts, packet);
    unlock();
    send(packet, length);
}

static void answer(qwb_answer given)
{
    if (given.task == QWB_IDENTIFY) {
        board_identify(given.seconds);
    } else if (given.task == QWB_MEASURE) {
        uint16_t impedances[QWB_ELECTRODES];
        amplifier_impedances(impedances); /* samples queue up meanwhile, or are counted as missed */
        lock();
        given = qwb_impedances(&band, impedances);
        unlock();
    }
    if (given.length != 0) {
        radio_answer(&given);
    }
}

static void tell_status(void)
{
    uint8_t status[QWB_STATUS_BYTES];
    lock();
    qwb_lead_off(&band, amplifier_lead_off());
    const bool changed = qwb_status_changed(&band);
    qwb_status(&band, status);
    unlock();
    if (changed) {
        radio_tell_status(status);
    }
}

static void tell_battery(void)
{
    static uint32_t until_look;
    if (until_look-- == 0) {
        until_look = BATTERY_SAMPLES - 1;
        (void)bt_bas_set_battery_level(board_battery_percent());
    }
}

/* Each sample wakes it; what else there is to do waits for the next one, half a millisecond at most. */
static void run(void *first, void *second, void *third)
{
    sample taken;
    qwb_answer given;
    ARG_UNUSED(first);
    ARG_UNUSED(second);
    ARG_UNUSED(third);
    while (k_msgq_get(&samples, &taken, K_FOREVER) == 0) {
        take(&taken);
        if (k_msgq_get(&answers, &given, K_NO_WAIT) == 0) {
            answer(given);
        }
        tell_status();
        tell_battery();
    }
}

K_THREAD_STACK_DEFINE(band_stack, STACK_BYTES);
static struct k_thread band_thread;

/* ---- Boot -------------------------------------------------------------------------------------------------- */

static int on_setting(const char *name, size_t length, settings_read_cb read, void *argument)
{
    if (strcmp(name, "boots") != 0 || length != sizeof boots) {
        return -ENOENT;
    }
    return read(argument, &boots, sizeof boots) == sizeof boots ? 0 : -EIO;
}

SETTINGS_STATIC_HANDLER_DEFINE(qwrist, "qwrist", NULL, on_setting, NULL, NULL);

/* One more at each boot, wherever power went away. */
static int count_boot(void)
{
    ++boots;
    return settings_save_one("qwrist/boots", &boots, sizeof boots);
}

int main(void)
{
    int error = bt_enable(NULL);
    error = error != 0 ? error : settings_load(); /* bonds as well */
    error = error != 0 ? error : count_boot();
    if (error != 0) {
        return error;
    }
    const qwb_traits traits = {
        .side = CONFIG_BT_DEVICE_NAME[7] == 'R',
        .boot = boots,
        .codecs = QWB_RAW16_BIT | QWB_PACK12_BIT | QWB_RICE12_BIT,
        .measures_impedance = true,
        .identifies = BOARD_IDENTIFIES,
    };
    qwb_reset(&band, &traits);
    (void)k_thread_create(&band_thread, band_stack, STACK_BYTES, run, NULL, NULL, NULL, PRIORITY, 0, K_NO_WAIT);
    amplifier_start(on_sample);
    return radio_start(&listener);
}
