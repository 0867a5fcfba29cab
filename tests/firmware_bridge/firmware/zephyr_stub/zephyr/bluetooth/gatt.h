/* As kernel.h: a stub. */
#ifndef STUB_GATT_H
#define STUB_GATT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <zephyr/bluetooth/conn.h>
#include <zephyr/bluetooth/uuid.h>

struct bt_gatt_attr;
typedef ssize_t (*bt_gatt_attr_read_func_t)(
    struct bt_conn *conn, const struct bt_gatt_attr *attr, void *buffer, uint16_t length, uint16_t offset);
typedef ssize_t (*bt_gatt_attr_write_func_t)(struct bt_conn *conn, const struct bt_gatt_attr *attr, const void *buffer,
                                             uint16_t length, uint16_t offset, uint8_t flags);
struct bt_gatt_attr {
    const struct bt_uuid *uuid;
    bt_gatt_attr_read_func_t read;
    bt_gatt_attr_write_func_t write;
    uint16_t perm;
};
struct bt_gatt_service_static {
    const struct bt_gatt_attr *attrs;
    size_t attr_count;
};
enum { BT_GATT_CHRC_READ = 2, BT_GATT_CHRC_WRITE = 8, BT_GATT_CHRC_NOTIFY = 16, BT_GATT_CHRC_INDICATE = 32 };
enum {
    BT_GATT_PERM_NONE = 0,
    BT_GATT_PERM_READ = 1,
    BT_GATT_PERM_READ_ENCRYPT = 4,
    BT_GATT_PERM_WRITE_ENCRYPT = 8,
};
enum { BT_ATT_ERR_INVALID_OFFSET = 0x07, BT_ATT_ERR_PROCEDURE_IN_PROGRESS = 0xFE };
#define BT_GATT_ERR(error) (-(error))
#define BT_GATT_PRIMARY_SERVICE(service) {service, NULL, NULL, BT_GATT_PERM_READ}
#define BT_GATT_CHARACTERISTIC(uuid, properties, permissions, read, write, data) \
    {NULL, NULL, NULL, properties}, {uuid, read, write, permissions}
#define BT_GATT_CCC(changed, permissions) {changed, NULL, NULL, permissions}
#define BT_GATT_SERVICE_DEFINE(name, ...)                   \
    const struct bt_gatt_attr name##_attrs[] = {__VA_ARGS__}; \
    const struct bt_gatt_service_static name = {name##_attrs, sizeof name##_attrs / sizeof name##_attrs[0]}

typedef void (*bt_gatt_complete_func_t)(struct bt_conn *conn, void *user_data);
struct bt_gatt_notify_params {
    const struct bt_uuid *uuid;
    const struct bt_gatt_attr *attr;
    const void *data;
    uint16_t len;
    bt_gatt_complete_func_t func;
    void *user_data;
};
struct bt_gatt_indicate_params;
typedef void (*bt_gatt_indicate_func_t)(struct bt_conn *conn, struct bt_gatt_indicate_params *params, uint8_t error);
struct bt_gatt_indicate_params {
    const struct bt_uuid *uuid;
    const struct bt_gatt_attr *attr;
    bt_gatt_indicate_func_t func;
    const void *data;
    uint16_t len;
};
struct bt_gatt_cb {
    void (*att_mtu_updated)(struct bt_conn *conn, uint16_t send, uint16_t receive);
};
void bt_gatt_cb_register(struct bt_gatt_cb *callbacks);
uint16_t bt_gatt_get_mtu(struct bt_conn *conn);
ssize_t bt_gatt_attr_read(struct bt_conn *conn, const struct bt_gatt_attr *attr, void *buffer, uint16_t length,
                          uint16_t offset, const void *value, uint16_t value_length);
int bt_gatt_notify(struct bt_conn *conn, const struct bt_gatt_attr *attr, const void *data, uint16_t length);
int bt_gatt_notify_cb(struct bt_conn *conn, struct bt_gatt_notify_params *params);
int bt_gatt_indicate(struct bt_conn *conn, struct bt_gatt_indicate_params *params);

#endif
