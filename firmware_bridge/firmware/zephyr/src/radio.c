/* One GATT service over Zephyr's Bluetooth host. Battery and device information come from the stack: prj.conf. */
#include "radio.h"

#include <string.h>

#include <zephyr/bluetooth/bluetooth.h>
#include <zephyr/bluetooth/conn.h>
#include <zephyr/bluetooth/gatt.h>
#include <zephyr/bluetooth/uuid.h>
#include <zephyr/kernel.h>

#define BAND_UUID(number) BT_UUID_128_ENCODE(0x7b1f0000 + (number), 0x93a4, 0x4c5e, 0x8f0d, 0x71a2c6e8d4b9)

enum {
    STREAM_VALUE = 2, /* places in the service's table below */
    CONTROL_VALUE = 5,
    STATUS_VALUE = 8,
    /* A notification waits for a buffer for ever, so that they are counted here; four are left for answers. */
    MOST_WAITING = CONFIG_BT_ATT_TX_COUNT - 4,
};

static const struct bt_uuid_128 service_uuid = BT_UUID_INIT_128(BAND_UUID(1));
static const struct bt_uuid_128 stream_uuid = BT_UUID_INIT_128(BAND_UUID(2));
static const struct bt_uuid_128 control_uuid = BT_UUID_INIT_128(BAND_UUID(3));
static const struct bt_uuid_128 status_uuid = BT_UUID_INIT_128(BAND_UUID(4));

static const struct bt_data advertisement[] = {
    BT_DATA_BYTES(BT_DATA_FLAGS, BT_LE_AD_GENERAL | BT_LE_AD_NO_BREDR),
    BT_DATA_BYTES(BT_DATA_UUID128_ALL, BAND_UUID(1)),
    BT_DATA(BT_DATA_NAME_COMPLETE, CONFIG_BT_DEVICE_NAME, sizeof(CONFIG_BT_DEVICE_NAME) - 1),
};
BUILD_ASSERT(sizeof(CONFIG_BT_DEVICE_NAME) - 1 == 8, "flags, UUID and a name of 8 fill an advertisement");

K_MUTEX_DEFINE(radio_mutex);
static const radio_listener *band;
static struct bt_conn *host;   /* guarded by the mutex */
static uint32_t connections;   /* so many so far: tells this one's packets from those of the last */
static atomic_t waiting;       /* packets that the stack holds */
static atomic_t answering;     /* an answer that the host has not confirmed */

/* ---- The connection ---------------------------------------------------------------------------------------- */

static uint8_t phy_number(const struct bt_conn_le_phy_info *phy)
{
    return phy->tx_phy == BT_GAP_LE_PHY_2M ? 2 : phy->tx_phy == BT_GAP_LE_PHY_CODED ? 3 : 1;
}

static void tell_link(struct bt_conn *conn)
{
    struct bt_conn_info info;
    if (bt_conn_get_info(conn, &info) == 0) {
        const qwb_link link = {
            .phy = phy_number(info.le.phy),
            .mtu = bt_gatt_get_mtu(conn),
            .interval = info.le.interval,
        };
        band->connected(&link);
    }
}

static struct bt_conn *host_now(void)
{
    k_mutex_lock(&radio_mutex, K_FOREVER);
    struct bt_conn *const conn = host == NULL ? NULL : bt_conn_ref(host);
    k_mutex_unlock(&radio_mutex);
    return conn;
}

/* A host that has neither says no, and STATUS says what it became. The interval is asked for by the stack. */
static void ask(struct bt_conn *conn)
{
    (void)bt_conn_le_phy_update(conn, BT_CONN_LE_PHY_PARAM_2M);
    (void)bt_conn_le_data_len_update(conn, BT_LE_DATA_LEN_PARAM_MAX);
}

/* Once more: at first a host may have been busy with a procedure of its own. */
static void ask_again(struct k_work *work)
{
    ARG_UNUSED(work);
    struct bt_conn *const conn = host_now();
    if (conn != NULL) {
        ask(conn);
        bt_conn_unref(conn);
    }
}

K_WORK_DELAYABLE_DEFINE(asking, ask_again);

static void on_connected(struct bt_conn *conn, uint8_t error)
{
    if (error != 0) {
        return;
    }
    k_mutex_lock(&radio_mutex, K_FOREVER);
    host = bt_conn_ref(conn);
    ++connections;
    atomic_set(&waiting, 0);
    atomic_set(&answering, 0);
    k_mutex_unlock(&radio_mutex);
    tell_link(conn);
    ask(conn);
    (void)k_work_schedule(&asking, K_SECONDS(3));
}

static void on_disconnected(struct bt_conn *conn, uint8_t reason)
{
    ARG_UNUSED(conn);
    ARG_UNUSED(reason);
    k_mutex_lock(&radio_mutex, K_FOREVER);
    struct bt_conn *const gone = host;
    host = NULL;
    k_mutex_unlock(&radio_mutex);
    if (gone != NULL) {
        bt_conn_unref(gone);
    }
    band->disconnected();
}

static void on_interval(struct bt_conn *conn, uint16_t interval, uint16_t latency, uint16_t timeout)
{
    ARG_UNUSED(interval);
    ARG_UNUSED(latency);
    ARG_UNUSED(timeout);
    tell_link(conn);
}

static void on_phy(struct bt_conn *conn, struct bt_conn_le_phy_info *phy)
{
    ARG_UNUSED(phy);
    tell_link(conn);
}

static void on_mtu(struct bt_conn *conn, uint16_t send, uint16_t receive)
{
    ARG_UNUSED(send);
    ARG_UNUSED(receive);
    tell_link(conn);
}

static void advertise(struct k_work *work)
{
    ARG_UNUSED(work);
    (void)bt_le_adv_start(BT_LE_ADV_CONN_FAST_2, advertisement, ARRAY_SIZE(advertisement), NULL, 0);
}

K_WORK_DEFINE(advertising, advertise);

/* The connection's object is free again; before, advertising cannot start. It may come from anywhere. */
static void on_recycled(void)
{
    (void)k_work_submit(&advertising);
}

BT_CONN_CB_DEFINE(connection_callbacks) = {
    .connected = on_connected,
    .disconnected = on_disconnected,
    .recycled = on_recycled,
    .le_param_updated = on_interval,
    .le_phy_updated = on_phy,
};

static struct bt_gatt_cb gatt_callbacks = {.att_mtu_updated = on_mtu};

/* ---- The service --------------------------------------------------------------------------------------------- */

static ssize_t read_status(
    struct bt_conn *conn, const struct bt_gatt_attr *attr, void *buffer, uint16_t length, uint16_t offset)
{
    uint8_t status[QWB_STATUS_BYTES];
    band->status(status);
    return bt_gatt_attr_read(conn, attr, buffer, length, offset, status, sizeof status);
}

static ssize_t write_control(struct bt_conn *conn, const struct bt_gatt_attr *attr, const void *buffer,
                             uint16_t length, uint16_t offset, uint8_t flags)
{
    ARG_UNUSED(conn);
    ARG_UNUSED(attr);
    ARG_UNUSED(flags);
    if (offset != 0) {
        return BT_GATT_ERR(BT_ATT_ERR_INVALID_OFFSET);
    }
    if (!atomic_cas(&answering, 0, 1)) {
        return BT_GATT_ERR(BT_ATT_ERR_PROCEDURE_IN_PROGRESS); /* the host has to await its answer */
    }
    if (!band->request(buffer, length)) {
        atomic_set(&answering, 0);
        return BT_GATT_ERR(QWB_NO_REQUEST);
    }
    return length;
}

BT_GATT_SERVICE_DEFINE(
    band_service, BT_GATT_PRIMARY_SERVICE(&service_uuid.uuid),
    BT_GATT_CHARACTERISTIC(&stream_uuid.uuid, BT_GATT_CHRC_NOTIFY, BT_GATT_PERM_NONE, NULL, NULL, NULL),
    BT_GATT_CCC(NULL, BT_GATT_PERM_READ | BT_GATT_PERM_WRITE_ENCRYPT),
    BT_GATT_CHARACTERISTIC(&control_uuid.uuid, BT_GATT_CHRC_WRITE | BT_GATT_CHRC_INDICATE,
                           BT_GATT_PERM_WRITE_ENCRYPT, NULL, write_control, NULL),
    BT_GATT_CCC(NULL, BT_GATT_PERM_READ | BT_GATT_PERM_WRITE_ENCRYPT),
    BT_GATT_CHARACTERISTIC(&status_uuid.uuid, BT_GATT_CHRC_READ | BT_GATT_CHRC_NOTIFY,
                           BT_GATT_PERM_READ_ENCRYPT, read_status, NULL, NULL),
    BT_GATT_CCC(NULL, BT_GATT_PERM_READ | BT_GATT_PERM_WRITE_ENCRYPT));

/* ---- What the band sends --------------------------------------------------------------------------------------- */

static void on_sent(struct bt_conn *conn, void *connection)
{
    ARG_UNUSED(conn);
    if ((uintptr_t)connection == connections) {
        (void)atomic_dec(&waiting);
    }
}

bool radio_send(const uint8_t *packet, size_t length)
{
    struct bt_conn *const conn = host_now();
    if (conn == NULL) {
        return true; /* nobody is there to miss it */
    }
    struct bt_gatt_notify_params notification = {
        .attr = &band_service.attrs[STREAM_VALUE],
        .data = packet,
        .len = (uint16_t)length,
        .func = on_sent,
        .user_data = (void *)(uintptr_t)connections,
    };
    int error = -ENOMEM;
    if (atomic_inc(&waiting) < MOST_WAITING) {
        error = bt_gatt_notify_cb(conn, &notification);
    }
    if (error != 0) {
        (void)atomic_dec(&waiting);
    }
    bt_conn_unref(conn);
    return error != -ENOMEM;
}

static void on_confirmed(struct bt_conn *conn, struct bt_gatt_indicate_params *params, uint8_t error)
{
    ARG_UNUSED(conn);
    ARG_UNUSED(params);
    ARG_UNUSED(error);
    atomic_set(&answering, 0);
}

void radio_answer(const qwb_answer *answer)
{
    static uint8_t bytes[QWB_ANSWER_BYTES]; /* they are the stack's until the host confirms */
    static struct bt_gatt_indicate_params indication;
    struct bt_conn *const conn = host_now();
    if (conn == NULL) {
        return;
    }
    memcpy(bytes, answer->bytes, answer->length);
    indication = (struct bt_gatt_indicate_params){
        .attr = &band_service.attrs[CONTROL_VALUE],
        .func = on_confirmed,
        .data = bytes,
        .len = answer->length,
    };
    if (bt_gatt_indicate(conn, &indication) != 0) {
        atomic_set(&answering, 0);
    }
    bt_conn_unref(conn);
}

void radio_tell_status(const uint8_t status[QWB_STATUS_BYTES])
{
    struct bt_conn *const conn = host_now();
    if (conn != NULL) {
        (void)bt_gatt_notify(conn, &band_service.attrs[STATUS_VALUE], status, QWB_STATUS_BYTES);
        bt_conn_unref(conn);
    }
}

int radio_start(const radio_listener *listener)
{
    band = listener;
    bt_gatt_cb_register(&gatt_callbacks);
    return bt_le_adv_start(BT_LE_ADV_CONN_FAST_2, advertisement, ARRAY_SIZE(advertisement), NULL, 0);
}
