//! The switch, read off spec tables 6.1 and 6.2, with a list of MACs and a list of interfaces.

use super::{Line, Octets};
use std::collections::BTreeMap;

/// Which VLANs an interface carries, and what of them goes out to it.
#[derive(Clone, Debug)]
pub struct ModelVlans {
    /// Trunk, or access.
    pub trunk: bool,
    /// The access or native VLAN.
    pub untagged: u16,
    /// What a trunk allows, by the ids on its frames.
    pub allowed: Vec<u16>,
    /// What it is in private VLANs.
    pub private: ModelPrivate,
    /// The access list towards it: of IPv4 only packets of this protocol go out to it.
    pub only: Option<u8>,
}

/// What an interface is in private VLANs.
#[derive(Clone, Debug, Default)]
pub enum ModelPrivate {
    /// Nothing: the same with private VLANs as with others.
    #[default]
    Plain,
    /// A host, whose `untagged` is the primary VLAN, in this secondary one.
    Host(u16),
    /// Promiscuous, in its `untagged` primary VLAN or in those that it allows, for these secondary ones.
    Promiscuous(Vec<u16>),
}

/// A secondary VLAN.
#[derive(Clone, Copy, Debug)]
pub struct ModelPair {
    /// Its id.
    pub secondary: u16,
    /// The primary VLAN that it belongs to.
    pub primary: u16,
    /// Isolated, or a community.
    pub isolated: bool,
}

/// The private VLANs of all models: 101 isolated and 102, 103 communities in 100; 201 isolated in 200.
pub const PRIVATE: [ModelPair; 4] = [
    ModelPair { secondary: 101, primary: 100, isolated: true },
    ModelPair { secondary: 102, primary: 100, isolated: false },
    ModelPair { secondary: 103, primary: 100, isolated: false },
    ModelPair { secondary: 201, primary: 200, isolated: true },
];

/// The primary VLAN of a secondary one; any other is its own.
fn primary(vlan: u16) -> u16 {
    PRIVATE.iter().find(|pair| pair.secondary == vlan).map_or(vlan, |pair| pair.primary)
}

fn is_isolated(vlan: u16) -> bool {
    PRIVATE.iter().any(|pair| pair.secondary == vlan && pair.isolated)
}

impl ModelVlans {
    /// An access interface.
    #[must_use]
    pub fn access(vlan: u16) -> Self {
        Self { trunk: false, untagged: vlan, allowed: Vec::new(), private: ModelPrivate::Plain, only: None }
    }

    /// A trunk.
    #[must_use]
    pub fn trunk(native: u16, allowed: &[u16]) -> Self {
        let allowed = allowed.to_vec();
        Self { trunk: true, untagged: native, allowed, private: ModelPrivate::Plain, only: None }
    }

    /// A host in one of the [`PRIVATE`] VLANs.
    #[must_use]
    pub fn host(secondary: u16) -> Self {
        Self { private: ModelPrivate::Host(secondary), ..Self::access(primary(secondary)) }
    }

    /// A promiscuous interface.
    #[must_use]
    pub fn promiscuous(primary: u16, secondaries: &[u16]) -> Self {
        Self { private: ModelPrivate::Promiscuous(secondaries.to_vec()), ..Self::access(primary) }
    }

    /// A promiscuous trunk of these ordinary and primary VLANs.
    #[must_use]
    pub fn promiscuous_trunk(native: u16, allowed: &[u16], secondaries: &[u16]) -> Self {
        Self { private: ModelPrivate::Promiscuous(secondaries.to_vec()), ..Self::trunk(native, allowed) }
    }

    /// The same with an access list towards it, for this protocol.
    #[must_use]
    pub fn only(self, protocol: u8) -> Self {
        Self { only: Some(protocol), ..self }
    }

    /// Whether its access list lets this frame, which has no tag, out.
    fn lets_out(&self, plain: &[u8]) -> bool {
        let Some(protocol) = self.only.filter(|_| plain.word(12) == Some(0x0800)) else { return true };
        let packet = &plain[14..];
        let whole = packet.len() >= 20 && packet[0] / 16 == 4 && packet[0] % 16 >= 5;
        whole && packet.word(2) >= Some(u16::from(packet[0] % 16) * 4) && packet[9] == protocol
    }

    /// Whether it may send frames with this VLAN id.
    fn admits(&self, id: u16) -> bool {
        if self.trunk { self.allowed.contains(&id) } else { id == self.untagged }
    }

    /// Whether frames in a VLAN reach it.
    #[must_use]
    pub fn carries(&self, vlan: u16) -> bool {
        match &self.private {
            ModelPrivate::Plain => self.admits(vlan),
            ModelPrivate::Host(own) => vlan == primary(*own) || vlan == *own && !is_isolated(vlan),
            ModelPrivate::Promiscuous(mapped) => self.admits(vlan) || mapped.contains(&vlan),
        }
    }
}

/// A port of the switch.
#[derive(Clone, Debug)]
pub enum ModelPort {
    /// An NIV link without negotiation: its vEths by VIF, and its lists.
    Niv {
        /// VIF and VLANs of each vEth.
        veths: Vec<(u16, ModelVlans)>,
        /// Id and members of each list.
        lists: Vec<(u16, Vec<u16>)>,
    },
    /// An NIV link with a control session: the vEths that are located there by VIF, and the lists of each VLAN.
    Negotiated {
        /// VIF and VLANs of each vEth.
        veths: Vec<(u16, ModelVlans)>,
        /// By VLAN, list ids and members at the adapter; nobody is in two of them.
        floods: BTreeMap<u16, BTreeMap<u16, Vec<u16>>>,
    },
    /// An ordinary port.
    Wire(ModelVlans),
}

/// Port index, and the VIF where the port is an NIV link.
pub type Interface = (usize, Option<u16>);

/// A switch and what it has learned.
#[derive(Clone, Debug, Default)]
pub struct ModelSwitch {
    /// Control listens on the NIV links.
    pub negotiation: bool,
    /// The ports.
    pub ports: Vec<ModelPort>,
    macs: Vec<(u16, Vec<u8>, Interface)>,
}

/// What comes of a frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// Which port sends what.
    pub frames: Vec<(usize, Vec<u8>)>,
    /// Drops, one for each frame or copy.
    pub drops: Vec<Line>,
    /// The interfaces that get it.
    pub reached: Vec<Interface>,
    /// What control gets.
    pub punted: Option<Vec<u8>>,
}

/// A frame that was let in: its VLAN, its priority bits, and its octets without any of our tags.
struct Admitted {
    from: Interface,
    vlan: u16,
    priority: u16,
    plain: Vec<u8>,
}

impl ModelSwitch {
    /// A switch with these ports that has learned nothing.
    #[must_use]
    pub fn new(ports: Vec<ModelPort>) -> Self {
        Self { negotiation: false, ports, macs: Vec::new() }
    }

    /// A frame comes in by port `port`.
    pub fn handle(&mut self, port: usize, frame: &[u8]) -> Forwarded {
        match self.admit(port, frame) {
            Ok(admitted) => self.forward(&admitted),
            Err("own control") if self.negotiation && frame.len() <= 2048 => {
                Forwarded { punted: Some(frame.to_vec()), ..Forwarded::default() }
            }
            Err("own control") => Forwarded { drops: vec!["rx_control"], ..Forwarded::default() },
            Err(line) => Forwarded { drops: vec![line], ..Forwarded::default() },
        }
    }

    fn admit(&self, port: usize, frame: &[u8]) -> Result<Admitted, Line> {
        let (from, vlans, start) = match &self.ports[port] {
            ModelPort::Niv { veths, .. } | ModelPort::Negotiated { veths, .. } => {
                let vif = source_vif(frame)?;
                let (_, vlans) = veths.iter().find(|(bound, _)| *bound == vif).ok_or("V12")?;
                if frame.word(18) == Some(0x8926) {
                    return Err("V14");
                }
                ((port, Some(vif)), vlans, 18)
            }
            ModelPort::Wire(vlans) => {
                if frame.word(12) == Some(0x8926) {
                    return Err("V2");
                }
                ((port, None), vlans, 12)
            }
        };
        let first = frame.word(start).ok_or("rx_runt")?;
        let tci = if first == 0x8100 { frame.word(start + 2).ok_or("rx_runt")? } else { 0 };
        let end = if first == 0x8100 { start + 4 } else { start };
        let next = frame.word(end).ok_or("rx_runt")?;
        let (vid, priority) = (tci % 0x1000, tci / 0x1000);
        if vid == 0xfff {
            return Err("V18");
        }
        let vlan = if vid == 0 { vlans.untagged } else { vid };
        if !vlans.admits(vlan) {
            return Err("V17");
        }
        let vlan = if let ModelPrivate::Host(own) = vlans.private { own } else { vlan };
        if frame[6] % 2 == 1 || frame[6..12] == [0; 6] {
            return Err("V20");
        }
        if frame[..5] == [1, 0x80, 0xc2, 0, 0] && frame[5] < 16 {
            return Err("V22");
        }
        if frame.len() - end - 2 > 1500 {
            return Err("V23");
        }
        if !vlans.trunk && matches!(next, 0x8100 | 0x88a8 | 0x9100) {
            return Err("V24");
        }
        if matches!(next, 0x8926 | 0x893f) {
            return Err("V25");
        }
        Ok(Admitted { from, vlan, priority, plain: frame.without(12, end - 12) })
    }

    fn forward(&mut self, frame: &Admitted) -> Forwarded {
        let source = frame.plain[6..12].to_vec();
        let domain = primary(frame.vlan);
        self.macs.retain(|(vlan, mac, _)| (*vlan, mac) != (domain, &source));
        self.macs.push((domain, source, frame.from));

        let destination = &frame.plain[..6];
        let known = self.macs.iter().find(|(vlan, mac, _)| *vlan == domain && mac == destination);
        let mut forwarded = Forwarded::default();
        match known {
            Some((_, _, to)) if *to == frame.from => {
                forwarded.drops.push(if to.1.is_some() { "F1" } else { "F2" });
            }
            Some((_, _, to)) if domain_is_private(domain) && !self.vlans(*to).carries(frame.vlan) => {
                forwarded.drops.push("pvlan");
            }
            Some((_, _, to)) if !self.vlans(*to).lets_out(&frame.plain) => forwarded.drops.push("acl_out"),
            Some((_, _, to @ (port, Some(vif)))) => {
                forwarded.frames.push((*port, self.down(frame, *port, 0x8000 + vif)));
                forwarded.reached.push(*to);
            }
            Some((_, _, to @ (port, None))) => {
                forwarded.frames.push((*port, self.plain(frame, *port)));
                forwarded.reached.push(*to);
            }
            None => self.flood(frame, &mut forwarded),
        }
        forwarded
    }

    /// The VLANs of an interface.
    fn vlans(&self, (port, vif): Interface) -> &ModelVlans {
        match &self.ports[port] {
            ModelPort::Wire(vlans) => vlans,
            ModelPort::Niv { veths, .. } | ModelPort::Negotiated { veths, .. } => {
                let known = veths.iter().find(|(bound, _)| Some(*bound) == vif);
                &known.expect("what was learned is there").1
            }
        }
    }

    fn flood(&self, frame: &Admitted, forwarded: &mut Forwarded) {
        for (index, port) in self.ports.iter().enumerate() {
            match port {
                ModelPort::Wire(vlans) => {
                    if !vlans.carries(frame.vlan) || frame.from.0 == index {
                        continue;
                    }
                    if !vlans.lets_out(&frame.plain) {
                        forwarded.drops.push("acl_out");
                    } else {
                        forwarded.frames.push((index, self.plain(frame, index)));
                        forwarded.reached.push((index, None));
                    }
                }
                ModelPort::Niv { veths, lists } => {
                    for class in egress_classes(veths, frame.vlan) {
                        if !class.iter().any(|vif| frame.from != (index, Some(*vif))) {
                            continue;
                        }
                        let same = |list: &[u16]| {
                            let mut list = list.to_vec();
                            list.sort_unstable();
                            list == class
                        };
                        match lists.iter().filter(|(_, list)| same(list)).map(|(id, _)| *id).min() {
                            Some(id) => self.by_list(frame, index, id, &class, forwarded),
                            None => forwarded.drops.push("F8"),
                        }
                    }
                }
                ModelPort::Negotiated { veths, floods } => {
                    // Who else wants it. A list is used that has one of those.
                    let wants = |vif: &u16| frame.from != (index, Some(*vif));
                    let wanting = members(veths, frame.vlan).into_iter().filter(wants).collect::<Vec<_>>();
                    let lists = floods.get(&frame.vlan).cloned().unwrap_or_default();
                    for (id, list) in &lists {
                        if wanting.iter().any(|vif| list.contains(vif)) {
                            let there = |vif: &u16| veths.iter().any(|(located, _)| located == vif);
                            let there: Vec<u16> = list.iter().copied().filter(there).collect();
                            self.by_list(frame, index, *id, &there, forwarded);
                        }
                    }
                    // Whether those who are in none are a drop is a matter of whether another of their class is reached.
                    for mut class in egress_classes(veths, frame.vlan) {
                        class.retain(|vif| wants(vif));
                        let reached = |vif: &u16| lists.values().any(|list| list.contains(vif));
                        if !class.is_empty() && !class.iter().any(reached) {
                            forwarded.drops.push("F8");
                        }
                    }
                }
            }
        }
        if forwarded.frames.is_empty() && forwarded.drops.is_empty() {
            forwarded.drops.push("flood_no_receiver");
        }
    }

    /// One copy for a list, which has these vEths, if all of them may get it; the adapter keeps it from its originator.
    fn by_list(&self, frame: &Admitted, port: usize, id: u16, vifs: &[u16], forwarded: &mut Forwarded) {
        if !vifs.iter().all(|vif| self.vlans((port, Some(*vif))).lets_out(&frame.plain)) {
            forwarded.drops.push("acl_out");
            return;
        }
        forwarded.frames.push((port, self.down(frame, port, 0xc000 + id)));
        let others = vifs.iter().map(|vif| (port, Some(*vif))).filter(|to| *to != frame.from);
        forwarded.reached.extend(others);
    }

    /// Down an NIV link: `first` is the upper half of the word, the real VLAN (the primary of private ones) stands behind it.
    fn down(&self, frame: &Admitted, port: usize, first: u16) -> Vec<u8> {
        let second = if frame.from.0 == port { 0x8000 + frame.from.1.unwrap_or(0) } else { 0 };
        let tci = frame.priority * 0x1000 + primary(frame.vlan);
        let words = [0x8926, first, second, 0x8100, tci];
        frame.plain.with(12, &words.map(u16::to_be_bytes).concat())
    }

    /// Out of an ordinary port: its own VLAN untagged, at least 60 octets. Only a trunk between switches tells secondary VLANs
    /// apart.
    fn plain(&self, frame: &Admitted, port: usize) -> Vec<u8> {
        let ModelPort::Wire(vlans) = &self.ports[port] else { return Vec::new() };
        let id = match vlans.private {
            ModelPrivate::Plain => frame.vlan,
            ModelPrivate::Host(_) | ModelPrivate::Promiscuous(_) => primary(frame.vlan),
        };
        let mut out = if vlans.untagged == id {
            frame.plain.clone()
        } else {
            let tci = frame.priority * 0x1000 + id;
            frame.plain.with(12, &[0x8100, tci].map(u16::to_be_bytes).concat())
        };
        while out.len() < 60 {
            out.push(0);
        }
        out
    }
}

/// Whether a VLAN is a primary one.
fn domain_is_private(vlan: u16) -> bool {
    PRIVATE.iter().any(|pair| pair.primary == vlan)
}

/// The vEths that carry a VLAN, rising.
fn members(veths: &[(u16, ModelVlans)], vlan: u16) -> Vec<u16> {
    let mut members: Vec<u16> =
        veths.iter().filter(|(_, vlans)| vlans.carries(vlan)).map(|(vif, _)| *vif).collect();
    members.sort_unstable();
    members
}

/// The same by the access list towards them, in the order of their first.
fn egress_classes(veths: &[(u16, ModelVlans)], vlan: u16) -> Vec<Vec<u16>> {
    let mut classes: Vec<(Option<u8>, Vec<u16>)> = Vec::new();
    for vif in members(veths, vlan) {
        let only = veths.iter().find(|(bound, _)| *bound == vif).and_then(|(_, vlans)| vlans.only);
        match classes.iter_mut().find(|(of, _)| *of == only) {
            Some((_, class)) => class.push(vif),
            None => classes.push((only, vec![vif])),
        }
    }
    classes.into_iter().map(|(_, class)| class).collect()
}

/// The VIF that a frame from an NIV link carries.
fn source_vif(frame: &[u8]) -> Result<u16, Line> {
    if frame.word(12) != Some(0x8926) {
        return Err(match super::adapter::untagged(frame) {
            "control" => "rx_control",
            "I7" => "V1",
            same => same,
        });
    }
    if frame.len() < 18 {
        return Err("V3");
    }
    if frame.len() < 20 {
        return Err("V4");
    }
    if frame.bits(14, 7, 7) == 1 {
        return Err("V5");
    }
    if frame.bits(14, 6, 6) == 1 {
        return Err("V6");
    }
    if frame.bits(16, 7, 7) == 1 {
        return Err("V7");
    }
    if frame.bits(14, 5, 0) + frame.bits(15, 7, 0) != 0 {
        return Err("V8");
    }
    if frame.bits(16, 6, 6) == 1 {
        return Err("V9");
    }
    if frame.bits(16, 5, 4) != 0 {
        return Err("V10");
    }
    let vif = frame.bits(16, 3, 0) * 256 + frame.bits(17, 7, 0);
    if vif == 0 || vif == 0xfff { Err("V11") } else { Ok(vif) }
}
