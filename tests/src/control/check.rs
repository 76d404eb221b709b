//! What must hold at all times, and what must hold in the end.

use super::{Ends, Snapshot, identity};
use crate::weather::MS;
use firmware_sim::{Notice, VnicId};
use std::collections::BTreeMap;
use vis_switch::control::Identity;
use vis_switch::control::forwarding::PortForwarding;
use vis_switch::control::life::Standing;
use vis_switch::control::lists::{ClassState, ListState, Lists};
use vntag::VifId;
use vntag::ctl::VifState;

impl Ends {
    /// Who a vNIC of an adapter is.
    fn who(&self, adapter: usize, vnic: VnicId) -> Option<Identity> {
        self.adapters[adapter].wishes.get(&vnic).map(|wish| identity(&wish.config))
    }

    /// At the switch nobody is active twice, and no VIF id is given out twice.
    pub(super) fn check_claims(&self) {
        let mut active = BTreeMap::new();
        for port in 0..self.switch.links() {
            let mut holders: BTreeMap<VifId, u32> = BTreeMap::new();
            for vif in self.switch.control.vifs(port) {
                if let Some(veth) = vif.veth {
                    let before = holders.insert(vif.vif, veth);
                    assert_eq!(before, None, "{:?} of port {port} is given out twice", vif.vif);
                }
                if vif.state == Standing::Active {
                    let before = active.insert(*vif.identity, (port, vif.vif));
                    assert_eq!(before, None, "{} is active at port {port}, too", vif.identity);
                }
            }
        }
    }

    /// What workers of both ends do with the same VIF or list is the same.
    pub(super) fn check_tables(&self) {
        for snapshot in &self.switch.in_use {
            self.check_vifs(snapshot);
            self.check_lists(snapshot);
        }
    }

    /// Frames of a VIF that is active in the adapter's workers are taken for those of its owner, if for anybody's.
    fn check_vifs(&self, snapshot: &Snapshot) {
        let mut located = BTreeMap::new();
        for (number, veth) in &snapshot.forwarding.veths {
            if let Some(at) = veth.at {
                let before = located.insert(at, *number);
                assert_eq!(before, None, "{at:?} is Veth{number} as well");
            }
        }
        let mut active = BTreeMap::new();
        for (adapter, end) in self.adapters.iter().enumerate() {
            for ((link, vif), (vnic, state)) in &end.path.vifs {
                if let (VifState::Active, Some(who), true) =
                    (state, self.who(adapter, *vnic), self.undisturbed)
                    && let Some((other, its)) = active.insert(who, (adapter, *vnic))
                {
                    let both = [self.describe(other, its), self.describe(adapter, *vnic)];
                    panic!("{} ms: {who} is active twice\n{}", self.now / MS, both.join("\n"));
                }
                let at = (self.port(adapter, *link), *vif);
                let taken_for = located.get(&at).and_then(|number| snapshot.identities.get(number));
                // One that was removed is on its way out.
                if let (Some(taken_for), Some(is), VifState::Active) =
                    (taken_for, self.who(adapter, *vnic), state)
                {
                    assert_eq!(*taken_for, is, "frames of {at:?} are taken for somebody else's");
                }
            }
        }
    }

    /// A list that workers use is not being changed, and has at the adapter the members that were acknowledged (C18); nobody
    /// is in two lists of a VLAN.
    fn check_lists(&self, snapshot: &Snapshot) {
        for (port, forwarding) in snapshot.forwarding.ports.iter().enumerate() {
            let PortForwarding::Niv { floods } = forwarding else { continue };
            let Some(lists) =
                self.switch.control.lists(port).filter(|_| self.knows_each_other(snapshot, port))
            else {
                continue;
            };
            let (adapter, link) = self.link(port);
            let path = &self.adapters[adapter].path;
            for id in floods.0.iter().map(|flood| flood.list) {
                let Some(known) = lists.lists().find(|list| list.id == id) else {
                    panic!("port {port}: {id:?} is used, and the switch does not know it");
                };
                let kept = matches!(known.state, ListState::Serving | ListState::Leaving);
                assert!(kept, "port {port}: {id:?} is used, and {:?}", known.state);
                // Nothing is known of the lists of an adapter that was lost and came back.
                let Some(acknowledged) = known.members else { continue };
                let Some(members) = path.lists.get(&(link, id)) else {
                    let had = path.forgotten.contains(&(link, id));
                    assert!(had, "port {port}: {id:?} is used, and the adapter never had it");
                    continue;
                };
                let extra = members.iter().find(|vif| !acknowledged.contains(vif));
                assert_eq!(extra, None, "port {port}: one too many in {id:?}");
                let gone = |vif: &VifId| path.cleared.contains(&(link, *vif));
                let missing = acknowledged.iter().find(|vif| !members.contains(vif) && !gone(vif));
                assert_eq!(missing, None, "port {port}: one is missing in {id:?}");
            }
            for (nth, one) in floods.0.iter().enumerate() {
                for other in floods.0.iter().skip(nth + 1).filter(|other| other.vlans.intersects(&one.vlans))
                {
                    let members = |list| path.lists.get(&(link, list)).into_iter().flatten();
                    let twice = members(one.list).find(|vif| members(other.list).any(|also| also == *vif));
                    assert_eq!(
                        twice, None,
                        "port {port}: gets two copies, by {:?} and {:?}",
                        one.list, other.list
                    );
                }
            }
        }
    }

    /// Both ends are, and know each other to be, those that they were when the tables were made.
    fn knows_each_other(&self, snapshot: &Snapshot, port: usize) -> bool {
        let (adapter, link) = self.link(port);
        let (Some(here), Some(there)) =
            (self.switch.control.session(port), self.adapters[adapter].firmware.session(link))
        else {
            return false;
        };
        let theirs = there.config().boot_id;
        let seen = there.peer().map(|peer| peer.hello.boot_id);
        snapshot.peers.get(port) == Some(&Some(theirs)) && seen == Some(here.config().boot_id)
    }

    /// A number that was acknowledged stays, as long as the vNIC does.
    pub(super) fn heed_notices(&mut self, adapter: usize) {
        let notices = core::mem::take(&mut self.adapters[adapter].notices);
        for notice in &notices {
            if let Notice::VifCreated { vnic, veth, .. } = notice
                && let Some(who) = self.who(adapter, *vnic)
            {
                let before = *self.numbers.entry(who).or_insert(Some(*veth));
                assert_eq!(before.unwrap_or(*veth), *veth, "{who} has another number than before");
            }
        }
    }

    /// What keeps vNICs from being as they should be, once nothing disturbs them any more; `None` if nothing does.
    ///
    /// Each identity whose guest is there on some adapter is active once, in all tables of both ends, with its carrier up.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let mut wanted: BTreeMap<Identity, Vec<(usize, VnicId)>> = BTreeMap::new();
        for (adapter, end) in self.adapters.iter().enumerate() {
            for (vnic, wish) in end.wishes.iter().filter(|(_, wish)| wish.rings) {
                wanted.entry(identity(&wish.config)).or_default().push((adapter, *vnic));
            }
        }
        wanted.iter().find_map(|(who, claimants)| {
            let trouble = self.trouble_of(who, claimants)?;
            let told = claimants.iter().map(|(adapter, vnic)| self.describe(*adapter, *vnic));
            Some(format!("{who}: {trouble}\n{}", told.collect::<Vec<_>>().join("\n")))
        })
    }

    fn trouble_of(&self, who: &Identity, claimants: &[(usize, VnicId)]) -> Option<String> {
        let active = self.switch.active(who);
        let [(port, vif)] = active[..] else { return Some(format!("active at {active:?}")) };
        let (adapter, link) = self.link(port);
        let Some((_, vnic)) = claimants.iter().find(|(at, _)| *at == adapter) else {
            return Some(format!("active at port {port}, where nobody wants it"));
        };
        let end = &self.adapters[adapter];
        if end.path.of(*vnic, link) != Some((vif, VifState::Active)) {
            return Some(format!("{:?} in the data path of adapter {adapter}", end.path.of(*vnic, link)));
        }
        if let Some(cause) = end.down.get(vnic) {
            return Some(format!("its carrier is down ({cause})"));
        }
        let Some(snapshot) = self.switch.in_use.front().filter(|_| self.switch.in_use.len() == 1) else {
            return Some("tables are not in effect yet".to_owned());
        };
        if let PortForwarding::Niv { floods } = &snapshot.forwarding.ports[port]
            && let Some(flood) = floods.0.iter().find(|flood| {
                let members = end.path.lists.get(&(link, flood.list));
                !members.is_some_and(|members| members.iter().eq(flood.members.iter()))
            })
        {
            return Some(format!("{flood:?} is used, and something else at adapter {adapter}"));
        }
        let mut classes = self.switch.control.lists(port).into_iter().flat_map(Lists::classes);
        if let Some(class) = classes.find(|class| class.state != ClassState::Served || class.lists.is_empty())
        {
            return Some(format!("port {port}: {class:?} gets no floods"));
        }
        let at = |(number, _): &(&u32, &Identity)| snapshot.forwarding.veths.get(*number)?.at;
        let located = snapshot.identities.iter().find(|(_, is)| *is == who).as_ref().and_then(at);
        (located != Some((port, vif))).then(|| format!("located at {located:?}, active at {port}, {vif:?}"))
    }

    /// A vNIC, as both ends have it.
    fn describe(&self, adapter: usize, vnic: VnicId) -> String {
        let Some(told) = self.adapters[adapter].firmware.vnic(vnic) else { return String::new() };
        let who = identity(&told.config);
        let mut text = format!("adapter {adapter}, {vnic:?}: carrier down {:?}", told.down);
        for vif in &told.vifs {
            let path = self.adapters[adapter].path.of(vnic, vif.link);
            text += &format!(
                "\n  link {}: {:?} {:?} since {} ms, {:?}, in the data path {path:?}",
                vif.link.0,
                vif.phase,
                vif.vif,
                vif.since / MS,
                vif.cause
            );
        }
        for vif in (0..self.switch.links()).flat_map(|port| self.switch.control.vifs(port)) {
            if *vif.identity == who {
                let since = vif.since / MS;
                text +=
                    &format!("\n  switch: port {} {:?} {:?} since {since} ms", vif.port, vif.vif, vif.state);
            }
        }
        for veth in
            self.switch.control.veths().filter(|veth| veth.record.is_some_and(|is| is.identity == who))
        {
            text += &format!("\n  Veth{} {}, profile {:?}", veth.number, veth.state, veth.profile);
        }
        for row in self.switch.control.pending().filter(|row| row.identity == Some(&who)) {
            text += &format!("\n  pending at port {}: {}", row.port, row.cause);
        }
        text
    }
}
