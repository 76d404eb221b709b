#!/bin/busybox sh
# First process of a lab guest. Settings come by the kernel command line:
#   niv.name=vm1  niv.ip=10.10.0.1/24
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox --install -s /bin
export PATH=/bin HOME=/root
for module in /modules/*.ko; do insmod "$module"; done
for word in $(cat /proc/cmdline); do
    case "$word" in
        niv.name=*) hostname "${word#niv.name=}" ;;
        niv.ip=*) address="${word#niv.ip=}" ;;
    esac
done
# A quiet guest: what moves in the lab was asked for.
echo 0 >/proc/sys/net/ipv4/icmp_echo_ignore_broadcasts
ip link set lo up
ip link set eth0 up
[ -n "$address" ] && ip addr add "$address" dev eth0
# ttyS1 carries the agent, ttyS0 a shell for people.
stty -F /dev/ttyS1 raw -echo 115200
( while :; do lab inside agent </dev/ttyS1 >/dev/ttyS1 2>/dev/console; sleep 1; done ) &
while :; do
    PS1="$(hostname)# " setsid cttyhack sh
done
