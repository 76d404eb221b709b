//! A guest that has moved here and cannot say so itself (QEMU tells that by vhost-user's SEND_RARP) is announced for it:
//! a frame that everybody in its VLAN gets, so that this switch and whatever bridges are behind its uplinks learn at
//! once where the guest is now.

use vntag::ethernet::{Mac, TYPE_VLAN};
use vntag::{NivTag, UpTag, VifId};

const BROADCAST: [u8; 6] = [0xff; 6];
/// EtherType of RARP (RFC 903).
const TYPE_RARP: u16 = 0x8035;
/// Ethernet and IPv4 addresses, "request reverse": who am I? Nobody has to answer.
const REQUEST: [u8; 8] = [0, 1, 8, 0, 6, 4, 0, 3];
/// What makes the frame 60 octets long where it leaves without tags.
const PADDING: [u8; 18] = [0; 18];

/// The frame, as it would come up the guest's link: a RARP request in its name, untagged on its interface.
pub(super) fn frame<T: NivTag>(vif: VifId, mac: Mac) -> Vec<u8> {
    let mut tag = vec![0; T::LEN];
    T::emit_up(UpTag { source: vif.get().into() }, &mut tag);
    let unknown = [0; 4];
    let types = [TYPE_VLAN, 0, TYPE_RARP].map(u16::to_be_bytes);
    let ethernet = [&BROADCAST[..], &mac.0, &tag, types.as_flattened()];
    let request = [&REQUEST[..], &mac.0, &unknown, &mac.0, &unknown, &PADDING];
    [ethernet.concat(), request.concat()].concat()
}
