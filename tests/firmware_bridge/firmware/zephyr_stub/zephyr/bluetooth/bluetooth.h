/* As kernel.h: a stub, and of the options of prj.conf. */
#ifndef STUB_BLUETOOTH_H
#define STUB_BLUETOOTH_H

#include <stddef.h>
#include <stdint.h>

#define CONFIG_BT_DEVICE_NAME "Qwrist1L"
#define CONFIG_BT_ATT_TX_COUNT 28

struct bt_data {
    uint8_t type;
    uint8_t data_len;
    const uint8_t *data;
};
enum { BT_DATA_FLAGS = 1, BT_DATA_UUID128_ALL = 7, BT_DATA_NAME_COMPLETE = 9 };
enum { BT_LE_AD_GENERAL = 2, BT_LE_AD_NO_BREDR = 4 };
#define BT_DATA(type, data, length) {(type), (uint8_t)(length), (const uint8_t *)(data)}
#define BT_DATA_BYTES(type, ...) \
    BT_DATA(type, ((const uint8_t[]){__VA_ARGS__}), sizeof((const uint8_t[]){__VA_ARGS__}))
struct bt_le_adv_param {
    uint32_t options;
};
#define BT_LE_ADV_CONN_FAST_2 ((const struct bt_le_adv_param[]){{1}})
typedef void (*bt_ready_cb_t)(int error);
int bt_enable(bt_ready_cb_t ready);
int bt_le_adv_start(const struct bt_le_adv_param *param, const struct bt_data *ad, size_t ad_count,
                    const struct bt_data *sd, size_t sd_count);

#endif
