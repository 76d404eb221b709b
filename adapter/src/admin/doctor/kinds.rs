//! What an adapter can find. `docs/doctor.md` is held to this list.

niv_node::finding_kinds! {
    LINK_DOWN = "link-down", Problem:
        "No frame of the vNICs on the link passes.",
        "`ip link set dev IF up`; the switch that serves the memif";
    LINK_MTU = "link-mtu", Problem:
        "A frame of the guests' MTU does not fit on the NIV link once it has its tags (ten octets): short frames pass, long ones do not.",
        "`ip link set dev IF mtu N` at both ends, or a smaller MTU at the switch";
    FAULT_PLAN = "fault-injected", Warning:
        "Frames are dropped, delayed or broken on purpose.",
        "take `fault` out of the section and restart the daemon";
    FIRMWARE_FAULT = "firmware-faults", Warning:
        "The firmware misbehaves on purpose.",
        "`nivctl firmware fault clear`";
    PEER_SILENT = "peer-silent", Problem:
        "Nobody on the link says that he is a switch, so its vNICs get no VIF.",
        "`negotiation = \"niv\"` at the other end; or `\"off\"` at both, and static VIFs";
    PEER_REFUSED = "peer-refused", Problem:
        "The neighbour on the link cannot be its switch: another version, the same role, or no NIV at all.",
        "the right neighbour, of the same release";
    PEER_UNANSWERED = "peer-unanswered", Problem:
        "A switch was found but does not answer: it hangs, or the link passes frames one way only.",
        "look at the switch's own findings";
    PEER_SECOND = "peer-second", Warning:
        "A link has one switch; the second one is not listened to.",
        "one switch on each link";
    NEGOTIATION_OFF = "negotiation-off", Hint:
        "Somebody sends discovery or control frames to a link with `negotiation = \"off\"`: perhaps the other end negotiates.",
        "the same `negotiation` at both ends";
    REFUSED = "vnic-refused", Problem:
        "The vNIC has no VIF, and its guest no link.",
        "what the switch says: `nivctl doctor` there; another `profile`";
    DISABLED = "vnic-disabled", Problem:
        "The switch shut the vNIC; its guest has no link.",
        "what the switch says: `nivctl doctor` there";
    CLAIMED = "vnic-claimed", Problem:
        "Another vNIC of the same UUID and address is active; of two only one can be.",
        "stop the other guest, or `nivctl vnic set NAME no uuid`";
    NOT_PROVISIONED = "vnic-not-provisioned", Warning:
        "The driver took the vNIC's provisioning back, so it asks for no VIF.",
        "its driver (`firmware devcmd`), or restart the adapter";
    NOT_USED = "vnic-not-used", Warning:
        "A vNIC that a command added is kept, but not there.",
        "`nivctl vnic del NAME`, or what the cause says";
    CLOSED = "vnic-closed", Problem:
        "The vNIC's device cannot be opened, so no guest can use it.",
        "what the cause says, then `nivctl vnic set NAME device DEVICE`";
    PORT_DOWN = "vnic-down", Problem:
        "The interface of the vNIC passes no frames.",
        "`ip link set dev IF up`";
    VNIC_MTU = "vnic-mtu", Warning:
        "The host may send longer frames than its VIF takes (`host_oversize`), or get longer ones than its interface takes.",
        "`ip link set dev IF mtu N`; `host_mtu=N` of QEMU's device";
    SOCKET = "guest-socket", Problem:
        "No guest can connect, and one that was started waits for ever.",
        "what the cause says; the adapter tries again by itself";
    SOCKET_RIGHTS = "guest-socket-rights", Warning:
        "The user that libvirt runs guests as may not connect; such a guest does not start.",
        "`nivctl vnic set NAME socket_group GROUP`, or `chgrp` on the socket";
    SIGNAL = "carrier-obstacle", Warning:
        "The guest does not see that its link is down, and keeps sending.",
        "`nivctl vnic set NAME link_signal qmp:PATH`";
    NO_GUEST = "guest-none", Hint:
        "No guest is connected to the vNIC.",
        "start it with the arguments of `nivctl vnic qemu NAME`";
    NO_DRIVER = "guest-no-driver", Hint:
        "The guest is booting, or has no virtio-net driver.",
        "`modprobe virtio_net` in the guest";
    NOT_ENABLED = "guest-not-enabled", Hint:
        "The guest's driver runs, but its interface is not set up.",
        "`ip link set dev IF up` in the guest";
    MEMORY = "guest-memory", Problem:
        "The adapter cannot reach the guest's memory, so no frame passes.",
        "`memory-backend-memfd,share=on` for QEMU, `<access mode='shared'/>` for libvirt";
    FEATURES = "guest-features", Problem:
        "The guest's driver does not speak virtio 1, or accepted what was not offered; its rings are not started.",
        "`disable-legacy=on` of QEMU's device; a later driver";
    RINGS = "guest-rings", Problem:
        "The guest's driver broke the rules of virtio; its rings stay stopped until they are set up again.",
        "set its interface down and up, or restart the guest";
    DROPS = "drops", Warning:
        "Frames are being dropped right now.",
        "as the finding says for each reason (`show drops`)";
    DEVICE = "device-trouble", Warning:
        "The device loses or refuses frames, or its peer breaks the rules, right now.",
        "as the counter says (`show link NAME`, `show vnic NAME`)";
    STORE = "store", Problem:
        "vNICs cannot be added or changed.",
        "room and rights in `state_dir`";
    WORKERS = "workers-crowded", Hint:
        "Workers that share a CPU wait for each other; fewer of them move as much.",
        "fewer `workers`, or more `cpus`, in `[node]`, and a restart";
}
