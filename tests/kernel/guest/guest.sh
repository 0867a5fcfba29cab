# In the guest, on the host's root: the system bus, bluetoothd, and the two ways out (HCI by a serial port, the bus by TCP).
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t tmpfs tmpfs /run
mkdir -p /run/dbus /var/lib/bluetooth
mount -t tmpfs tmpfs /var/lib/bluetooth
busybox ip link set lo up
busybox ip link set eth0 up
busybox ip addr add 10.0.2.15/24 dev eth0
dbus-daemon --system --nofork --nopidfile &
while [ ! -S /run/dbus/system_bus_socket ]; do sleep 0.1; done
echo "guest: kernel $(uname -r), $(/usr/libexec/bluetooth/bluetoothd --version | tail -1) is bluetoothd's version"
/usr/libexec/bluetooth/bluetoothd -n 2>&1 | sed 's/^/bluetoothd: /' &
socat TCP-LISTEN:5555,fork,reuseaddr UNIX-CONNECT:/run/dbus/system_bus_socket &
/mnt/vhci_relay "$(ls /dev/vport*p1)" &
echo "guest: ready after $(cut -d' ' -f1 /proc/uptime) s"
while [ ! -e /mnt/stop ]; do sleep 1; done
busybox poweroff -f
