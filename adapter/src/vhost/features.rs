//! Which virtio and vhost-user features are offered, and what an accepted set means.

use super::ring::{Offloads, RingFeatures};
use vhost::vhost_user::{VhostUserProtocolFeatures as Protocol, VhostUserVirtioFeatures};
use virtio_bindings::virtio_config::VIRTIO_F_VERSION_1;
use virtio_bindings::virtio_net::{
    VIRTIO_NET_F_CSUM, VIRTIO_NET_F_GUEST_ANNOUNCE, VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_ECN,
    VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_HOST_ECN, VIRTIO_NET_F_HOST_TSO4,
    VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_F_MQ, VIRTIO_NET_F_MRG_RXBUF, VIRTIO_NET_F_MTU, VIRTIO_NET_F_STATUS,
};
use virtio_bindings::virtio_ring::{VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC};

/// `VHOST_USER_F_PROTOCOL_FEATURES`.
pub(super) const PROTOCOL_FEATURES: u64 = VhostUserVirtioFeatures::PROTOCOL_FEATURES.bits();

/// `VHOST_F_LOG_ALL`: what the device writes is logged. Of the front end, never of the guest's driver.
pub(super) const LOG_ALL: u64 = VhostUserVirtioFeatures::LOG_ALL.bits();

/// `VIRTIO_F_VERSION_1`.
pub(super) const VERSION_1: u64 = 1 << VIRTIO_F_VERSION_1;

/// What a guest may leave undone: it goes on so where the link takes it, or the engine finishes it
/// (`engine/datapath/finish.rs`).
const FROM_GUEST: u64 = 1 << VIRTIO_NET_F_CSUM
    | 1 << VIRTIO_NET_F_HOST_TSO4
    | 1 << VIRTIO_NET_F_HOST_TSO6
    | 1 << VIRTIO_NET_F_HOST_ECN;

/// What a guest may be left: frames that came so over the link. Which of it is accepted holds until the guest negotiates again; the
/// control queue, by which a guest could change its mind, is the front end's (QEMU's), which does not tell.
const TO_GUEST: u64 = 1 << VIRTIO_NET_F_GUEST_CSUM
    | 1 << VIRTIO_NET_F_GUEST_TSO4
    | 1 << VIRTIO_NET_F_GUEST_TSO6
    | 1 << VIRTIO_NET_F_GUEST_ECN;

/// Virtio features for a guest. No UDP fragmentation: nothing above fragments.
/// Legacy drivers (no `VIRTIO_F_VERSION_1`, a header of 10 octets) are not served: every driver of the last
/// ten years accepts it, and two header formats would cost every frame a branch.
pub(super) fn virtio(queue_pairs: u16, mtu: u16) -> u64 {
    let mut offered = VERSION_1
        | PROTOCOL_FEATURES
        | LOG_ALL
        | FROM_GUEST
        | TO_GUEST
        | 1 << VIRTIO_RING_F_INDIRECT_DESC
        | 1 << VIRTIO_RING_F_EVENT_IDX
        | 1 << VIRTIO_NET_F_MRG_RXBUF
        | 1 << VIRTIO_NET_F_STATUS
        | 1 << VIRTIO_NET_F_GUEST_ANNOUNCE;
    if queue_pairs > 1 {
        offered |= 1 << VIRTIO_NET_F_MQ;
    }
    if mtu > 0 {
        offered |= 1 << VIRTIO_NET_F_MTU;
    }
    offered
}

/// vhost-user protocol features.
pub(super) fn protocol(mtu: u16) -> Protocol {
    let offered = Protocol::MQ
        | Protocol::REPLY_ACK
        | Protocol::CONFIGURE_MEM_SLOTS
        | Protocol::STATUS
        | Protocol::RARP
        | Protocol::LOG_SHMFD
        | Protocol::INFLIGHT_SHMFD;
    if mtu > 0 { offered | Protocol::MTU } else { offered }
}

/// What an accepted set means for rings.
pub(super) fn ring(accepted: u64) -> RingFeatures {
    let has = |bit: u32| accepted & 1 << bit != 0;
    RingFeatures {
        indirect: has(VIRTIO_RING_F_INDIRECT_DESC),
        event_idx: has(VIRTIO_RING_F_EVENT_IDX),
        mergeable: has(VIRTIO_NET_F_MRG_RXBUF),
        offloads: Offloads {
            checksum: has(VIRTIO_NET_F_CSUM),
            tso4: has(VIRTIO_NET_F_HOST_TSO4),
            tso6: has(VIRTIO_NET_F_HOST_TSO6),
            ecn: has(VIRTIO_NET_F_HOST_ECN),
        },
        takes: Offloads {
            checksum: has(VIRTIO_NET_F_GUEST_CSUM),
            tso4: has(VIRTIO_NET_F_GUEST_TSO4),
            tso6: has(VIRTIO_NET_F_GUEST_TSO6),
            ecn: has(VIRTIO_NET_F_GUEST_ECN),
        },
    }
}
