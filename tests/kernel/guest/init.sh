#!/bin/busybox sh
# First process of the guest: modules, the host's root read-only under a memory overlay, then guest.sh in it.
B=/bin/busybox
$B mount -t proc proc /proc
$B mount -t sysfs sys /sys
$B mount -t devtmpfs dev /dev
while read -r module; do
  $B insmod "/modules/$module.ko" || echo "guest: $module was not loaded"
done < /modules/order
$B mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=524288,cache=loose hostroot /lower
$B mount -t tmpfs tmpfs /upper
$B mkdir -p /upper/files /upper/work
$B mount -t overlay overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work /new
$B mount --move /dev /new/dev
$B mount --move /proc /new/proc
$B mount --move /sys /new/sys
$B mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288 share /new/mnt
exec $B switch_root /new /bin/sh /mnt/guest.sh
