//! What a switch can find. `docs/doctor.md` is held to this list.

niv_node::finding_kinds! {
    PORT_DOWN = "port-down", Problem:
        "No frame passes the port.",
        "`ip link set dev IF up`; an adapter that connects to the memif";
    PORT_MTU = "port-mtu", Warning:
        "Frames that the interface allows are longer than its device takes, and are dropped (`tx_unsendable`).",
        "`ip link set dev IF mtu N`, or a smaller `mtu` on the interface";
    LINK_MTU = "link-mtu", Problem:
        "A frame of the guests' MTU does not fit on the NIV link once it has its tags (ten octets): short frames pass, long ones do not.",
        "`ip link set dev IF mtu N` at both ends, or a smaller `mtu` on profile and vEthernets";
    FAULT_PLAN = "fault-injected", Warning:
        "Frames are dropped, delayed or broken on purpose.",
        "take `fault` out of the section and restart the daemon";
    PEER_SILENT = "peer-silent", Problem:
        "Nobody on the NIV link says that he is an adapter, so there are no VIFs on it.",
        "`negotiation = \"niv\"` at the other end; or `\"off\"` at both, and static VIFs";
    PEER_REFUSED = "peer-refused", Problem:
        "The neighbour on the NIV link cannot be its adapter: another version, the same role, or no NIV at all.",
        "the right neighbour, of the same release";
    PEER_UNANSWERED = "peer-unanswered", Problem:
        "An adapter was found but does not answer: it hangs, or the link passes frames one way only.",
        "look at the adapter's own findings";
    PEER_SECOND = "peer-second", Warning:
        "A link has one adapter; the vNICs of the second one get no VIF.",
        "a port of its own for each adapter";
    NEGOTIATION_OFF = "negotiation-off", Hint:
        "Somebody sends discovery or control frames to a port with `negotiation = \"off\"`: perhaps the other end negotiates.",
        "the same `negotiation` at both ends";
    VIF_IDS = "vif-ids-few", Warning:
        "When the link has no VIF id left, further vNICs are refused.",
        "another link for some of the vNICs";
    PROFILE_MISSING = "profile-missing", Problem:
        "vNICs that ask for a profile which does not exist get no VIF, and their guests no link.",
        "`port-profile NAME`, `state enabled`";
    PROFILE_DISABLED = "profile-disabled", Problem:
        "Interfaces with a profile that is not enabled stay down, and vNICs that ask for it are refused.",
        "`port-profile NAME`, `state enabled`";
    PROFILE_FULL = "profile-full", Problem:
        "As many interfaces as the profile allows have it; further vNICs are refused.",
        "`port-profile NAME`, `max-ports N`";
    PROFILE_NONE = "profile-none", Problem:
        "A vNIC that names no profile, on an interface that has none typed, is refused.",
        "`interface vethernet N`, `inherit port-profile NAME`";
    NO_AUTO_CREATE = "auto-create-off", Problem:
        "A vNIC that no vEthernet is bound to gets none by itself.",
        "`vethernet auto-create`, or `bind mac H.H.H` on an interface";
    VNIC_REFUSED = "vnic-refused", Problem:
        "A vNIC gets no VIF, and its guest no link.",
        "what the cause says; `show interface virtual pending`";
    SHUTDOWN = "veth-shutdown", Warning:
        "The interface was shut by the administrator; its guest has no link.",
        "`interface vethernet N`, `no shutdown`";
    UNUSED = "veth-unused", Hint:
        "No vNIC with a running guest uses the interface.",
        "start the guest";
    LINK_LOST = "veth-link-lost", Warning:
        "The interface waits for its adapter to return.",
        "look at the port's and the adapter's findings";
    MAC_DUPLICATE = "mac-duplicate", Problem:
        "Two vNICs of one VLAN have the same configured address; the later one is down.",
        "`nivctl --api ADAPTER vnic set NAME no mac`, or another `mac` in the adapter's file; and the new address for its guest";
    MAC_OTHER = "mac-other", Warning:
        "The guest sends from other addresses than the configured one only: a copied image, or a NIC that was given no `mac=`.",
        "`ip link set dev IF address MAC` in the guest, or the guest's address at the vNIC";
    UPLINK_LOST = "uplink-lost", Problem:
        "No port of its VLAN is up, and the interface is configured to go down with the last one.",
        "bring the port up, or `uplink-fail-action warning`";
    ERR_DISABLED = "err-disabled", Problem:
        "Port security has taken the interface down: somebody was there who may not be.",
        "`show port-security`; then `shutdown` and `no shutdown`, or `errdisable recovery cause psecure-violation`";
    PRIVATE_VLAN = "private-vlan", Problem:
        "The private VLANs of the interface are not what its mode needs, and it is down.",
        "`vlan N`, `private-vlan ...`, or the interface's own lines";
    LIST_FULL = "list-full", Problem:
        "The adapter has no room for another VIF list: broadcasts of these VLANs do not reach all their members.",
        "fewer VLANs with different members on the link";
    LIST_REFUSED = "list-refused", Problem:
        "The adapter refuses a VIF list: broadcasts of these VLANs do not reach all their members.",
        "`show firmware fault` at the adapter; its log";
    LIST_PENDING = "list-pending", Warning:
        "The adapter has not acknowledged a VIF list: broadcasts of these VLANs go by the former one.",
        "look at the adapter's findings, if it lasts";
    DROPS = "drops", Warning:
        "Frames are being dropped right now.",
        "as the finding says for each reason (`show drops`)";
    MAC_TABLE = "mac-table-full", Warning:
        "Addresses find no room in the MAC address table, and frames to them are flooded.",
        "a larger `mac_table_size` in `[switch]` of the switch's file, and a restart";
    DEVICE = "device-trouble", Warning:
        "The device of the port loses or refuses frames, or its peer breaks the rules, right now.",
        "as the counter says (`show interface ethernet 1/N`)";
    STORE = "store", Problem:
        "State cannot be kept: configuration is refused, and new vNICs wait.",
        "room and rights in `state_dir`";
    WORKERS = "workers-crowded", Hint:
        "Workers that share a CPU wait for each other; fewer of them move as much.",
        "fewer `workers`, or more `cpus`, in `[node]`, and a restart";
}
