#!/bin/sh
# The first program of a node image: finds the root disk and hands over to systemd.

fail() {
    echo "initrd: $*; powering off" > /dev/console
    poweroff -f
}

mount -t devtmpfs dev /dev || fail "there is no /dev"
exec < /dev/console > /dev/console 2>&1
mount -t proc proc /proc || fail "there is no /proc"

for module in /modules/*; do
    insmod "$module" || fail "$module cannot be loaded"
done

flags=noatime
for word in $(cat /proc/cmdline); do
    case $word in
        root=*) root=${word#root=} ;;
        rootflags=*) flags=${word#rootflags=} ;;
    esac
done

tries=0
until [ -b "$root" ]; do
    tries=$((tries + 1))
    [ "$tries" -le 100 ] || fail "the root disk $root did not appear within 10 s"
    usleep 100000
done

mount -t ext4 -o "$flags" "$root" /root || fail "the root disk $root cannot be mounted"
# Devices whose modules load when they are opened first; systemd's way to them
# (kmod-static-nodes.service) takes a second.
device() { [ -e "$1" ] || mknod -m "$2" "$1" c "$3" "$4"; }
[ -e /dev/net ] || mkdir /dev/net
device /dev/net/tun 666 10 200
device /dev/fuse 666 10 229
device /dev/loop-control 660 10 237

mount --move /dev /root/dev
umount /proc
exec switch_root /root /sbin/init "$@"
fail "there is no /sbin/init on $root"
