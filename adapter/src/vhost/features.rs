//! Which virtio and vhost-user features are offered, and what an accepted set means.

use super::ring::{Offloads, RingFeatures};
use vhost::vhost_user::{VhostUserProtocolFeatures as Protocol, VhostUserVirtioFeatures};
use virtio_bindings::virtio_config::{VIRTIO_F_IN_ORDER, VIRTIO_F_RING_PACKED, VIRTIO_F_VERSION_1};
use virtio_bindings::virtio_net::{
    VIRTIO_NET_F_CSUM, VIRTIO_NET_F_GUEST_ANNOUNCE, VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_ECN,
    VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_GUEST_USO4, VIRTIO_NET_F_GUEST_USO6,
    VIRTIO_NET_F_HOST_ECN, VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_F_HOST_USO,
    VIRTIO_NET_F_MQ, VIRTIO_NET_F_MRG_RXBUF, VIRTIO_NET_F_MTU, VIRTIO_NET_F_STATUS,
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
    | 1 << VIRTIO_NET_F_HOST_ECN
    | 1 << VIRTIO_NET_F_HOST_USO;

/// What a guest may be left: frames that came so over the link. Which of it is accepted holds until the guest negotiates again; the
/// control queue, by which a guest could change its mind, is the front end's (QEMU's), which does not tell.
const TO_GUEST: u64 = 1 << VIRTIO_NET_F_GUEST_CSUM
    | 1 << VIRTIO_NET_F_GUEST_TSO4
    | 1 << VIRTIO_NET_F_GUEST_TSO6
    | 1 << VIRTIO_NET_F_GUEST_ECN
    | 1 << VIRTIO_NET_F_GUEST_USO4
    | 1 << VIRTIO_NET_F_GUEST_USO6;

/// Virtio features for a guest. No UDP fragmentation: nothing above fragments.
/// Legacy drivers (no `VIRTIO_F_VERSION_1`, a header of 10 octets) are not served: every driver of the last
/// ten years accepts it, and two header formats would cost every frame a branch.
/// Buffers are used in the order in which they were offered, in either format, whether that was accepted or not. Packed rings
/// only where they were asked for (`packed`): see decision 0013.
pub(super) fn virtio(queue_pairs: u16, mtu: u16, packed: bool) -> u64 {
    let mut offered = VERSION_1
        | PROTOCOL_FEATURES
        | LOG_ALL
        | FROM_GUEST
        | TO_GUEST
        | 1 << VIRTIO_RING_F_INDIRECT_DESC
        | 1 << VIRTIO_RING_F_EVENT_IDX
        | 1 << VIRTIO_F_IN_ORDER
        | 1 << VIRTIO_NET_F_MRG_RXBUF
        | 1 << VIRTIO_NET_F_STATUS
        | 1 << VIRTIO_NET_F_GUEST_ANNOUNCE;
    if packed {
        offered |= 1 << VIRTIO_F_RING_PACKED;
    }
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
        packed: has(VIRTIO_F_RING_PACKED),
        indirect: has(VIRTIO_RING_F_INDIRECT_DESC),
        event_idx: has(VIRTIO_RING_F_EVENT_IDX),
        mergeable: has(VIRTIO_NET_F_MRG_RXBUF),
        offloads: Offloads {
            checksum: has(VIRTIO_NET_F_CSUM),
            tso4: has(VIRTIO_NET_F_HOST_TSO4),
            tso6: has(VIRTIO_NET_F_HOST_TSO6),
            ecn: has(VIRTIO_NET_F_HOST_ECN),
            uso: has(VIRTIO_NET_F_HOST_USO),
        },
        takes: Offloads {
            checksum: has(VIRTIO_NET_F_GUEST_CSUM),
            tso4: has(VIRTIO_NET_F_GUEST_TSO4),
            tso6: has(VIRTIO_NET_F_GUEST_TSO6),
            ecn: has(VIRTIO_NET_F_GUEST_ECN),
            // Nothing in a header says which of the two it is about: a guest gets both or none, as Linux takes them.
            uso: has(VIRTIO_NET_F_GUEST_USO4) && has(VIRTIO_NET_F_GUEST_USO6),
        },
    }
}

/// What a driver can accept, in the words of QEMU's options for it where it has some.
const NAMES: [(u32, &str); 21] = [
    (VIRTIO_NET_F_CSUM, "csum"),
    (VIRTIO_NET_F_GUEST_CSUM, "guest_csum"),
    (VIRTIO_NET_F_MTU, "mtu"),
    (VIRTIO_NET_F_GUEST_TSO4, "guest_tso4"),
    (VIRTIO_NET_F_GUEST_TSO6, "guest_tso6"),
    (VIRTIO_NET_F_GUEST_ECN, "guest_ecn"),
    (VIRTIO_NET_F_HOST_TSO4, "host_tso4"),
    (VIRTIO_NET_F_HOST_TSO6, "host_tso6"),
    (VIRTIO_NET_F_HOST_ECN, "host_ecn"),
    (VIRTIO_NET_F_MRG_RXBUF, "mrg_rxbuf"),
    (VIRTIO_NET_F_STATUS, "status"),
    (VIRTIO_NET_F_GUEST_ANNOUNCE, "guest_announce"),
    (VIRTIO_NET_F_MQ, "mq"),
    (VIRTIO_RING_F_INDIRECT_DESC, "indirect_desc"),
    (VIRTIO_RING_F_EVENT_IDX, "event_idx"),
    (VIRTIO_F_VERSION_1, "version_1"),
    (VIRTIO_F_RING_PACKED, "packed"),
    (VIRTIO_F_IN_ORDER, "in_order"),
    (VIRTIO_NET_F_GUEST_USO4, "guest_uso4"),
    (VIRTIO_NET_F_GUEST_USO6, "guest_uso6"),
    (VIRTIO_NET_F_HOST_USO, "host_uso"),
];

/// The names of what a driver accepted, in the order of their bits; those of the front end are not among them.
pub(super) fn names(accepted: u64) -> impl Iterator<Item = &'static str> {
    NAMES.into_iter().filter(move |(bit, _)| accepted & 1 << bit != 0).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_offered_to_drivers_has_a_name() {
        let offered = virtio(8, 1500, true) & !(PROTOCOL_FEATURES | LOG_ALL);
        assert_eq!(names(offered).count(), offered.count_ones() as usize);
        assert_eq!(NAMES.iter().fold(0, |bits, (bit, _)| bits | 1 << bit), offered);
        assert!(NAMES.is_sorted());
    }

    #[test]
    fn datagrams_are_left_to_be_cut_over_both_versions_of_ip_or_none() {
        let [four, six] = [VIRTIO_NET_F_GUEST_USO4, VIRTIO_NET_F_GUEST_USO6].map(|bit| 1 << bit);
        for (accepted, takes) in [(0, false), (four, false), (six, false), (four | six, true)] {
            assert_eq!(ring(VERSION_1 | accepted).takes.uso, takes);
        }
        assert!(ring(1 << VIRTIO_NET_F_HOST_USO).offloads.uso && !ring(four | six).offloads.uso);
    }
}
