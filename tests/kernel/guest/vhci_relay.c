/* Carries H4 packets between /dev/vhci, which takes and gives one packet a call, and a serial port, a byte stream. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { COMMAND = 1, ACL = 2, SCO = 3, EVENT = 4, ISO = 5, VENDOR = 0xFF };

static int write_all(int file, const uint8_t *data, size_t size) {
    while (size > 0) {
        ssize_t written = write(file, data, size);
        if (written < 0 && errno != EAGAIN && errno != EINTR) return -1;
        if (written < 0) {
            usleep(200);
            continue;
        }
        data += written;
        size -= (size_t)written;
    }
    return 0;
}

/* Bytes of the packet that starts here; 0 while its head is incomplete, -1 for what is none. */
static int packet_size(const uint8_t *head, size_t have) {
    if (have < 5) return have >= 3 && head[0] == EVENT ? 3 + head[2] : 0;
    switch (head[0]) {
        case EVENT: return 3 + head[2];
        case COMMAND: case SCO: return 4 + head[3];
        case ACL: return 5 + (head[3] | head[4] << 8);
        case ISO: return 5 + ((head[3] | head[4] << 8) & 0x3FFF);
        default: return -1;
    }
}

static int forward_packets(int vhci, uint8_t *buffer, size_t *have) {
    size_t at = 0;
    for (;;) {
        int size = packet_size(buffer + at, *have - at);
        if (size < 0) return -1;
        if (size == 0 || *have - at < (size_t)size) break;
        if (write(vhci, buffer + at, (size_t)size) != size) perror("vhci_relay: write");
        at += (size_t)size;
    }
    memmove(buffer, buffer + at, *have - at);
    *have -= at;
    return 0;
}

int main(int count, char **arguments) {
    static uint8_t in[1 << 16], out[4096];
    const uint8_t create[2] = {VENDOR, 0}; /* a primary controller */
    size_t have = 0;
    if (count != 2) return 2;
    int vhci = open("/dev/vhci", O_RDWR | O_NONBLOCK);
    int port = open(arguments[1], O_RDWR | O_NONBLOCK);
    if (vhci < 0 || port < 0 || write(vhci, create, sizeof create) != sizeof create) {
        perror("vhci_relay");
        return 1;
    }
    for (;;) {
        struct pollfd both[2] = {{vhci, POLLIN, 0}, {port, POLLIN, 0}};
        if (poll(both, 2, -1) < 0) continue;
        if (both[0].revents & POLLIN) {
            ssize_t size = read(vhci, out, sizeof out);
            if (size > 0 && out[0] != VENDOR && write_all(port, out, (size_t)size) < 0) return 1;
        }
        if (both[1].revents & POLLIN) {
            ssize_t size = read(port, in + have, sizeof in - have);
            if (size > 0) have += (size_t)size;
            if (forward_packets(vhci, in, &have) < 0) return 1;
        } else if (both[1].revents & POLLHUP) {
            usleep(20000); /* nobody on the host's side yet */
        }
    }
}
