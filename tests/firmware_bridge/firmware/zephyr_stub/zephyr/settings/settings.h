/* As kernel.h: a stub. */
#ifndef STUB_SETTINGS_H
#define STUB_SETTINGS_H

#include <stddef.h>
#include <sys/types.h>

typedef ssize_t (*settings_read_cb)(void *argument, void *data, size_t length);
struct settings_handler_static {
    const char *name;
    int (*get)(const char *key, char *value, int length);
    int (*set)(const char *key, size_t length, settings_read_cb read, void *argument);
    int (*commit)(void);
    int (*export_all)(int (*save)(const char *name, const void *value, size_t length));
};
#define SETTINGS_STATIC_HANDLER_DEFINE(name, tree, get, set, commit, export_all) \
    const struct settings_handler_static settings_handler_##name = {tree, get, set, commit, export_all}
int settings_load(void);
int settings_save_one(const char *name, const void *value, size_t length);

#endif
