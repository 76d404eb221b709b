//! Access lists: which IPv4 packets may pass an interface.
//!
//! A list is compiled once, whatever the number of interfaces that have it. Of its rules the first that fits decides, and a
//! packet that none fits is denied. Each rule counts what it decided.
//!
//! What a rule sees of a packet:
//!
//! - A rule with ports fits only packets whose ports are there. Fragments behind the first have none, nor has a packet that
//!   ends before them; only rules without ports can fit those.
//! - Ports count as far as the packet reaches by its own length: what pads a short frame is none of it.
//! - What calls itself IPv4 and has no whole header is no packet that a rule could permit: it is denied.
//! - What is not IPv4 (ARP, IPv6) is nothing that a list decides about.

use core::hash::{Hash, Hasher};
use core::ops::Deref;
use niv_node::counter::{Counter, PerWorker};
use std::sync::Arc;
use vntag::ethernet::be16;

/// The EtherType of IPv4.
pub const TYPE_IPV4: u16 = 0x0800;
/// Octets of an IPv4 header without options.
const HEADER: usize = 20;

/// The number of TCP in the field for the protocol.
pub const TCP: u8 = 6;
/// The number of UDP in the field for the protocol.
pub const UDP: u8 = 17;

/// IPv4 addresses of which some bits are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    bits: u32,
    care: u32,
}

impl Addresses {
    /// All of them.
    pub const ANY: Self = Self { bits: 0, care: 0 };

    /// Those that differ from this one only in bits that are set in `wildcard`.
    #[must_use]
    pub const fn new(address: u32, wildcard: u32) -> Self {
        Self { bits: address & !wildcard, care: !wildcard }
    }

    /// The bits that are given; the others are 0.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.bits
    }

    /// The bits that are not given.
    #[must_use]
    pub const fn wildcard(self) -> u32 {
        !self.care
    }

    /// Whether an address is among them.
    #[inline]
    #[must_use]
    pub const fn contains(self, address: u32) -> bool {
        address & self.care == self.bits
    }
}

/// TCP or UDP ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ports {
    /// This one.
    Eq(u16),
    /// All but this one.
    Neq(u16),
    /// Those above.
    Gt(u16),
    /// Those below.
    Lt(u16),
    /// From one to another, both included.
    Range(u16, u16),
}

impl Ports {
    /// Whether a port is among them.
    #[inline]
    #[must_use]
    pub const fn contains(self, port: u16) -> bool {
        match self {
            Self::Eq(one) => port == one,
            Self::Neq(one) => port != one,
            Self::Gt(low) => port > low,
            Self::Lt(high) => port < high,
            Self::Range(low, high) => low <= port && port <= high,
        }
    }
}

/// What becomes of the packets that a rule fits, and which those are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AclRule {
    /// They pass; or they are dropped.
    pub permit: bool,
    /// Of this protocol only.
    pub protocol: Option<u8>,
    /// From these addresses.
    pub source: Addresses,
    /// From these ports only.
    pub source_ports: Option<Ports>,
    /// To these addresses.
    pub destination: Addresses,
    /// To these ports only.
    pub destination_ports: Option<Ports>,
}

impl AclRule {
    #[inline]
    fn fits(&self, packet: &Packet) -> bool {
        let ports = match (self.source_ports, self.destination_ports) {
            (None, None) => true,
            (source, destination) => packet.ports.is_some_and(|(from, to)| {
                source.is_none_or(|ports| ports.contains(from))
                    && destination.is_none_or(|ports| ports.contains(to))
            }),
        };
        self.protocol.is_none_or(|protocol| protocol == packet.protocol)
            && self.source.contains(packet.source)
            && self.destination.contains(packet.destination)
            && ports
    }
}

/// What rules look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Packet {
    protocol: u8,
    source: u32,
    destination: u32,
    ports: Option<(u16, u16)>,
}

impl Packet {
    /// Reads it from the octets behind the EtherType, or as many of them as there are at hand: 64 are enough for any
    /// header.
    #[inline]
    fn read(octets: &[u8]) -> Option<Self> {
        let header: &[u8; HEADER] = octets.first_chunk()?;
        let [first, _, high, low, _, _, flags, offset, _, protocol, _, _, addresses @ ..] = header;
        let words = usize::from(first & 0xf);
        let (header, length) = (4 * words, usize::from(u16::from_be_bytes([*high, *low])));
        if first >> 4 != 4 || header < HEADER || length < header {
            return None;
        }
        let [a, b, c, d, e, f, g, h] = *addresses;
        let first_fragment = flags & 0x1f == 0 && *offset == 0;
        let ports = if first_fragment && length >= header + 4 {
            be16(octets, header).zip(be16(octets, header + 2))
        } else {
            None
        };
        Some(Self {
            protocol: *protocol,
            source: u32::from_be_bytes([a, b, c, d]),
            destination: u32::from_be_bytes([e, f, g, h]),
            ports,
        })
    }
}

/// A compiled list.
#[derive(Debug)]
pub struct Acl {
    rules: Box<[AclRule]>,
    /// What each of them decided, and what none did.
    counters: Box<[Matches]>,
    unmatched: Matches,
}

/// Packets that something decided about.
pub type Matches = Arc<PerWorker<Counter>>;

impl Acl {
    /// A list of these rules in this order, each with its counter; `unmatched` counts what none of them fits.
    #[must_use]
    pub fn new(rules: impl IntoIterator<Item = (AclRule, Matches)>, unmatched: Matches) -> Self {
        let (rules, counters): (Vec<_>, Vec<_>) = rules.into_iter().unzip();
        Self { rules: rules.into(), counters: counters.into(), unmatched }
    }

    /// Whether a payload of this EtherType may pass. For a `worker`, which counts: once for each frame and egress class
    /// (see [`flood`](super::flood)), however many interfaces are meant.
    #[inline(never)]
    #[must_use]
    pub fn passes(&self, worker: usize, ethertype: u16, payload: &[u8]) -> bool {
        if ethertype != TYPE_IPV4 {
            return true;
        }
        let first =
            Packet::read(payload).and_then(|packet| self.rules.iter().position(|rule| rule.fits(&packet)));
        let decided = first.and_then(|place| self.rules.get(place).zip(self.counters.get(place)));
        match decided {
            Some((rule, counter)) => {
                counter.of(worker).add(1);
                rule.permit
            }
            None => {
                self.unmatched.of(worker).add(1);
                false
            }
        }
    }
}

/// A list that many interfaces have. Two are the same if they are one, not if they say the same: their counters differ.
#[derive(Clone, Debug)]
pub struct SharedAcl(pub Arc<Acl>);

impl PartialEq for SharedAcl {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for SharedAcl {}

impl Hash for SharedAcl {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

impl Deref for SharedAcl {
    type Target = Acl;
    fn deref(&self) -> &Acl {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// A packet, field by field.
    #[derive(Clone, Debug)]
    struct Sent {
        version: u8,
        options: usize,
        protocol: u8,
        source: [u8; 4],
        destination: [u8; 4],
        ports: (u16, u16),
        /// In units of eight octets.
        fragment: u16,
        more: bool,
        /// Octets of data behind the header.
        data: usize,
        /// Octets behind the packet.
        padding: usize,
        /// How many octets of all that arrived.
        cut: Option<usize>,
    }

    impl Sent {
        fn octets(&self) -> Vec<u8> {
            let header = HEADER + 4 * self.options;
            let mut octets = vec![self.version << 4 | (header / 4) as u8, 0];
            octets.extend(((header + self.data) as u16).to_be_bytes());
            octets.extend([0, 7]);
            octets.extend((u16::from(self.more) << 13 | self.fragment).to_be_bytes());
            octets.extend([64, self.protocol, 0, 0]);
            octets.extend(self.source);
            octets.extend(self.destination);
            octets.resize(header, 1);
            octets.extend(self.ports.0.to_be_bytes());
            octets.extend(self.ports.1.to_be_bytes());
            octets.resize(header + self.data, 0xee);
            // Looks like ports.
            octets.extend([0, 2].iter().cycle().take(self.padding));
            octets.truncate(self.cut.unwrap_or(usize::MAX));
            octets
        }
    }

    /// The same as text-book prose: slow, and with nothing in common with the above but the words.
    fn model(rules: &[AclRule], sent: &Sent) -> Option<usize> {
        let whole = sent.cut.unwrap_or(usize::MAX);
        if sent.version != 4 || whole < 20 {
            return None;
        }
        let ports_end = 24 + 4 * sent.options;
        let has_ports = sent.fragment == 0 && sent.data >= 4 && whole >= ports_end;
        let bit = |octets: [u8; 4], n: usize| octets[n / 8] >> (7 - n % 8) & 1;
        let among = |set: Addresses, address: [u8; 4]| {
            (0..32).all(|n| {
                bit(set.wildcard().to_be_bytes(), n) == 1
                    || bit(set.bits().to_be_bytes(), n) == bit(address, n)
            })
        };
        let among_ports = |set: Option<Ports>, port: u16| match set {
            None => true,
            Some(set) if has_ports => {
                let (port, span) = (i64::from(port), |from: i64, to: i64| from..to);
                match set {
                    Ports::Eq(one) => span(one.into(), i64::from(one) + 1).contains(&port),
                    Ports::Neq(one) => !span(one.into(), i64::from(one) + 1).contains(&port),
                    Ports::Gt(low) => span(i64::from(low) + 1, 65_536).contains(&port),
                    Ports::Lt(high) => span(0, high.into()).contains(&port),
                    Ports::Range(low, high) => span(low.into(), i64::from(high) + 1).contains(&port),
                }
            }
            Some(_) => false,
        };
        let fits = |rule: &AclRule| {
            (rule.protocol.is_none() || rule.protocol == Some(sent.protocol))
                && among(rule.source, sent.source)
                && among(rule.destination, sent.destination)
                && among_ports(rule.source_ports, sent.ports.0)
                && among_ports(rule.destination_ports, sent.ports.1)
        };
        rules.iter().position(fits)
    }

    /// Few different values, so that rules and packets meet.
    fn address() -> impl Strategy<Value = [u8; 4]> {
        (0..3u8, 0..3u8).prop_map(|(net, host)| [10, 0, net, host])
    }

    fn port() -> impl Strategy<Value = u16> {
        prop_oneof![6 => 0..5u16, 1 => Just(u16::MAX)]
    }

    fn addresses() -> impl Strategy<Value = Addresses> {
        prop_oneof![
            Just(Addresses::ANY),
            (address(), prop_oneof![Just(0), Just(0xff), Just(0xff00), Just(0x1), any::<u32>()])
                .prop_map(|(address, wildcard)| Addresses::new(u32::from_be_bytes(address), wildcard)),
        ]
    }

    fn ports() -> impl Strategy<Value = Ports> {
        prop_oneof![
            port().prop_map(Ports::Eq),
            port().prop_map(Ports::Neq),
            port().prop_map(Ports::Gt),
            port().prop_map(Ports::Lt),
            (port(), port()).prop_map(|(a, b)| Ports::Range(a.min(b), a.max(b))),
        ]
    }

    fn rule() -> impl Strategy<Value = AclRule> {
        let protocol = prop_oneof![Just(None), Just(Some(TCP)), Just(Some(UDP)), Just(Some(1))];
        let maybe = || proptest::option::weighted(0.4, ports());
        (any::<bool>(), protocol, addresses(), maybe(), addresses(), maybe()).prop_map(
            |(permit, protocol, source, source_ports, destination, destination_ports)| AclRule {
                permit,
                protocol,
                source,
                source_ports,
                destination,
                destination_ports,
            },
        )
    }

    fn sent() -> impl Strategy<Value = Sent> {
        let version = prop_oneof![15 => Just(4u8), 1 => 0..16u8];
        let options = prop_oneof![3 => Just(0), 1 => 0..=10usize];
        let protocol = prop_oneof![3 => Just(TCP), 3 => Just(UDP), 1 => Just(1)];
        let fragment = prop_oneof![4 => Just(0), 1 => 1..0x2000u16];
        let data = prop_oneof![4 => Just(40), 1 => 0..8usize];
        let cut = proptest::option::weighted(0.1, 0..80usize);
        (
            version,
            options,
            protocol,
            (address(), address()),
            (port(), port()),
            fragment,
            any::<bool>(),
            data,
            0..20usize,
            cut,
        )
            .prop_map(
                |(
                    version,
                    options,
                    protocol,
                    (source, destination),
                    ports,
                    fragment,
                    more,
                    data,
                    padding,
                    cut,
                )| {
                    Sent {
                        version,
                        options,
                        protocol,
                        source,
                        destination,
                        ports,
                        fragment,
                        more,
                        data,
                        padding,
                        cut,
                    }
                },
            )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn decides_and_counts_like_the_model(rules in vec(rule(), 0..8), sent in vec(sent(), 1..20)) {
            let counters: Vec<Matches> = rules.iter().map(|_| Arc::default()).collect();
            let unmatched = Matches::default();
            let acl = Acl::new(rules.iter().copied().zip(counters.iter().cloned()), unmatched.clone());
            let mut want = vec![0u64; rules.len() + 1];
            for sent in &sent {
                let place = model(&rules, sent);
                let permit = place.is_some_and(|place| rules[place].permit);
                prop_assert_eq!(acl.passes(1, TYPE_IPV4, &sent.octets()), permit, "{:?}", sent);
                want[place.unwrap_or(rules.len())] += 1;
            }
            let got: Vec<u64> = counters.iter().chain([&unmatched]).map(|counter| counter.sum(Counter::get)).collect();
            prop_assert_eq!(got, want);
        }

        #[test]
        fn whatever_comes_is_decided(octets in vec(any::<u8>(), 0..100), rules in vec(rule(), 0..4)) {
            let acl = Acl::new(rules.into_iter().map(|rule| (rule, Arc::default())), Arc::default());
            let _ = acl.passes(1, TYPE_IPV4, &octets);
            prop_assert!(acl.passes(1, 0x0806, &octets) && acl.passes(1, 0x86dd, &octets));
        }
    }

    #[test]
    fn a_list_without_rules_denies_ipv4() {
        let unmatched = Matches::default();
        let acl = Acl::new([], unmatched.clone());
        let sent = Sent {
            version: 4,
            options: 0,
            protocol: UDP,
            source: [10, 0, 0, 1],
            destination: [10, 0, 0, 2],
            ports: (1, 2),
            fragment: 0,
            more: false,
            data: 8,
            padding: 0,
            cut: None,
        };
        assert!(!acl.passes(1, TYPE_IPV4, &sent.octets()));
        assert_eq!(unmatched.sum(Counter::get), 1);
    }
}
