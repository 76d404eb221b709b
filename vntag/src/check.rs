//! Every line of the conformance tables that a frame alone can decide.
//!
//! The engines stop at the first line that applies, as the tables say. This is the tester's view: all lines that
//! apply, in the order in which the tables judge, so that the first is the one a strict receiver counts unless
//! its own state decides earlier.
//!
//! **What a frame alone can decide.** A line that speaks of a table, a setting or a link ("unknown", "not
//! allowed", "over MTU") is left out, except for values that the line itself writes out: destination 0 (I12),
//! list 0 (I14), source 0 or 0xFFF (V11). So V2, V12, V13, V17, V19, V21, V23, V24, I21 and I24 to I26 are never
//! named, nor are lines that describe a behaviour and no fault (V16, V26 to V28, I15 to I19, I27, I28). The
//! knobs are strict, as by default: V8, V9 and I10 are faults.
//!
//! **Where a tag counts.** Only directly after the source address. The EtherType without its four octets is a
//! truncated tag (V3, I8), not a missing one. An E-TAG is no VNTag: V1, I7.
//!
//! **Captures that cut frames off.** A line that says something is missing needs the whole frame; what was not
//! captured is not held against the frame.

use crate::ethernet::{ADDRESSES, TYPE_ETAG, TYPE_VLAN, TYPE_VNTAG, be16, mac_at};
use crate::headers::{is_vlan_type, vntag_at};
use crate::untagged::Untagged;
use crate::{VifId, VlanTag, Vntag};

macro_rules! lines {
    ($($line:ident $text:literal,)*) => {
        /// A line of the conformance tables, `V` for frames that reach the bridge, `I` for frames that reach the
        /// adapter.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub enum Violation {
            $(#[doc = $text] $line,)*
        }

        impl Violation {
            /// All of them, in the order in which the tables judge.
            pub const ALL: &[Self] = &[$(Self::$line,)*];

            /// The line's name: `V5`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$line => stringify!($line),)* }
            }

            /// What the line says, in a few words.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$line => $text,)* }
            }
        }
    };
}

lines! {
    V29 "untagged control frame of a neighbouring switch",
    V1 "no VNTag, and not control of the link itself",
    V3 "VNTag truncated: fewer than 4 octets after its EtherType",
    V4 "VNTag complete, but no EtherType follows it",
    V5 "d=1 on the way up",
    V6 "p=1 on the way up",
    V7 "l=1 on the way up",
    V8 "destination on the way up",
    V9 "reserved bit set",
    V10 "version not 0",
    V11 "source 0 or 0xfff, which is never assigned",
    V14 "second VNTag directly after the first",
    V15 "VNTag after an 802.1Q or 802.1ad tag",
    V18 "VLAN id 0xfff inside",
    V20 "source address multicast or all-zero",
    V22 "link-local destination address inside a VNTag",
    V25 "VNTag or E-TAG hidden behind the inner 802.1Q tag, or E-TAG behind the VNTag",
    I7 "no VNTag, and not control of the link itself",
    I8 "VNTag truncated, or no EtherType follows it",
    I9 "d=0 on the way down",
    I10 "reserved bit set",
    I11 "version not 0",
    I13 "p=0 and a destination over 0xfff",
    I12 "p=0 and destination 0",
    I14 "p=1 and list 0",
    I20 "looped unicast to its own source",
    I22 "second VNTag directly after the first",
    I23 "VNTag after an 802.1Q or 802.1ad tag",
}

/// A set of [`Violation`]s.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Violations(u32);

const _: () = assert!(Violation::ALL.len() <= u32::BITS as usize, "a set of lines is 32 bits");

impl Violations {
    /// Nothing is wrong.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many there are.
    #[must_use]
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether `line` is one of them.
    #[must_use]
    pub const fn contains(self, line: Violation) -> bool {
        self.0 & 1 << line as u32 != 0
    }

    /// They, in the order in which the tables judge.
    pub fn iter(self) -> impl Iterator<Item = Violation> {
        Violation::ALL.iter().copied().filter(move |line| self.contains(*line))
    }

    fn note(&mut self, line: Violation, applies: bool) {
        self.0 |= u32::from(applies) << line as u32;
    }
}

impl core::fmt::Debug for Violations {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// What a bridge finds wrong with a frame that reaches its NIV port.
///
/// `frame` is what there is of it, `wire_len` its length on the wire (more than `frame.len()` where a capture cut
/// it off).
#[must_use]
pub fn up(frame: &[u8], wire_len: usize) -> Violations {
    let mut found = Violations::default();
    let whole = frame.len() >= wire_len;
    match position(frame) {
        Position::Here(tag) => {
            found.note(Violation::V5, tag.d());
            found.note(Violation::V6, tag.p());
            found.note(Violation::V7, tag.l());
            found.note(Violation::V8, tag.dst_vif() != 0);
            found.note(Violation::V9, tag.r());
            found.note(Violation::V10, tag.ver() != 0);
            found.note(Violation::V11, VifId::new(tag.src_vif()).is_none());
            found.note(Violation::V22, mac_at(frame, 0).is_some_and(|mac| mac.is_link_local()));
            inside(frame, whole, &mut found);
        }
        Position::Truncated => found.note(Violation::V3, whole),
        Position::Missing(Untagged::Control | Untagged::LinkControl) => return found,
        Position::Missing(Untagged::PeerProtocol) => found.note(Violation::V29, true),
        Position::Missing(Untagged::Other) => {
            found.note(Violation::V1, true);
            found.note(Violation::V15, hidden_by_vlan(frame));
        }
        Position::NoType => found.note(Violation::V1, whole),
    }
    found.note(Violation::V20, mac_at(frame, 6).is_some_and(|mac| mac.is_group() || mac.is_zero()));
    found
}

/// What an adapter finds wrong with a frame that reaches it from the bridge. Arguments as for [`up`].
#[must_use]
pub fn down(frame: &[u8], wire_len: usize) -> Violations {
    let mut found = Violations::default();
    let whole = frame.len() >= wire_len;
    match position(frame) {
        Position::Here(tag) => {
            let (p, destination) = (tag.p(), tag.dst_vif());
            let inner = be16(frame, INNER);
            found.note(Violation::I8, inner.is_none() && whole);
            found.note(Violation::I9, !tag.d());
            found.note(Violation::I10, tag.r());
            found.note(Violation::I11, tag.ver() != 0);
            found.note(Violation::I13, !p && destination > 0xfff);
            found.note(Violation::I12, !p && destination == 0);
            found.note(Violation::I14, p && destination == 0);
            found.note(Violation::I20, !p && tag.l() && destination == tag.src_vif());
            found.note(Violation::I22, inner == Some(TYPE_VNTAG));
        }
        Position::Truncated => found.note(Violation::I8, whole),
        Position::Missing(Untagged::Control | Untagged::LinkControl) => {}
        Position::Missing(Untagged::PeerProtocol) => found.note(Violation::V29, true),
        Position::Missing(Untagged::Other) => {
            found.note(Violation::I7, true);
            found.note(Violation::I23, hidden_by_vlan(frame));
        }
        Position::NoType => found.note(Violation::I7, whole),
    }
    found
}

/// Where the type behind a VNTag stands.
const INNER: usize = ADDRESSES + Vntag::LEN;

/// What stands directly after the source address.
enum Position {
    Here(Vntag),
    Truncated,
    Missing(Untagged),
    NoType,
}

fn position(frame: &[u8]) -> Position {
    match be16(frame, ADDRESSES) {
        Some(TYPE_VNTAG) => vntag_at(frame, ADDRESSES).map_or(Position::Truncated, Position::Here),
        Some(_) => Position::Missing(Untagged::of(frame)),
        None => Position::NoType,
    }
}

/// The upward lines about what follows a whole VNTag.
fn inside(frame: &[u8], whole: bool, found: &mut Violations) {
    match be16(frame, INNER) {
        None => found.note(Violation::V4, whole),
        Some(TYPE_VNTAG) => found.note(Violation::V14, true),
        // Not behind 802.1Q, but just as much a tag that would come to light on an ordinary port.
        Some(TYPE_ETAG) => found.note(Violation::V25, true),
        Some(TYPE_VLAN) => {
            let vlan = VlanTag::parse(frame, INNER);
            found.note(Violation::V18, vlan.is_some_and(|vlan| vlan.vid() == 0xfff));
            let behind = be16(frame, INNER + VlanTag::LEN);
            found.note(Violation::V25, matches!(behind, Some(TYPE_VNTAG | TYPE_ETAG)));
        }
        Some(_) => {}
    }
}

/// Whether a VNTag's EtherType follows one or more VLAN tags.
fn hidden_by_vlan(frame: &[u8]) -> bool {
    let mut types = (ADDRESSES..).step_by(VlanTag::LEN).map_while(|at| be16(frame, at));
    let mut vlan_tags = 0;
    let behind = types.find(|ethertype| {
        let vlan = is_vlan_type(*ethertype);
        vlan_tags += usize::from(vlan);
        !vlan
    });
    vlan_tags > 0 && behind == Some(TYPE_VNTAG)
}
