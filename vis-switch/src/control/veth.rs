//! The vEths and the ways to find one.

use super::record::{Identity, StoreTicket, VethRecord};
use super::view::{DownCause, VethState};
use super::vif::VifKey;
use crate::config::running::{ProfileName, Switchport, SwitchportMode, UplinkFail};
use crate::engine::vlan::Program;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use vntag::ctl::{VifParams, VlanMode};
use vntag::ethernet::Mac;

/// vEths there may be: as many as eight full links ask for, twice.
pub(super) const MOST_VETHS: usize = 65_536;
/// The greatest number of a vEth.
const MAX_NUMBER: u32 = 1_048_575;
/// vEths without a VIF that are kept for the adapters of one link; of more the longest unused go.
const MOST_DETACHED: usize = 4_094;

/// What is in force on a vEth by configuration.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// The profile by name, whether it exists or not.
    pub(super) profile: Option<ProfileName>,
    /// What its profile or its administrator keeps it down for.
    pub(super) down: Option<DownCause>,
    pub(super) switchport: Arc<Switchport>,
    /// Number and program; see [`Programs`].
    pub(super) program: (u32, Arc<Program>),
    pub(super) params: VifParams,
    pub(super) uplink_fail: UplinkFail,
}

/// What an adapter is told about a switchport; `tag_native`: of trunks it takes no tag off.
pub(super) fn params(switchport: &Switchport, tag_native: bool) -> VifParams {
    let (mode, vlan) = match switchport.mode {
        SwitchportMode::Trunk | SwitchportMode::PromiscuousTrunk if tag_native => {
            (VlanMode::NativeTagged, switchport.native)
        }
        SwitchportMode::Trunk | SwitchportMode::PromiscuousTrunk => (VlanMode::Trunk, switchport.native),
        // All frames down the link carry the primary VLAN.
        SwitchportMode::PrivateHost => {
            (VlanMode::Access, switchport.private.host.map_or(switchport.access, |(primary, _)| primary))
        }
        SwitchportMode::Access | SwitchportMode::Promiscuous => {
            (VlanMode::Access, switchport.own_vlan().unwrap_or(switchport.access))
        }
    };
    VifParams {
        mode,
        cos: 0,
        vlan,
        priorities: 0xff,
        mtu: switchport.mtu.max(VifParams::MIN_MTU),
        min_rate: 0,
        max_rate: 0,
    }
}

/// A vEth without a VIF: what became of the last one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unused {
    /// There was none, or its vNIC was deleted.
    NoVnic,
    /// Its adapter has been away for too long, or asks in vain; `None` for a port that this chassis does not have.
    Lost(Option<usize>),
}

/// A vEth.
#[derive(Debug)]
pub(super) struct Veth {
    pub(super) number: u32,
    /// It is under `interface vethernet`.
    pub(super) configured: bool,
    pub(super) record: Option<VethRecord>,
    /// The profile that its adapter asks for.
    pub(super) asked: Option<ProfileName>,
    pub(super) settings: Settings,
    /// Settings are to be looked up again.
    pub(super) stale: bool,
    /// Bound to a channel of a link without negotiation.
    pub(super) fixed: Option<VifKey>,
    pub(super) vifs: Vec<VifKey>,
    /// The active one of them.
    pub(super) holder: Option<VifKey>,
    /// The one that is to be active next.
    pub(super) claimant: Option<VifKey>,
    /// The one that must have heard first that it is not active any more.
    pub(super) awaited: Option<VifKey>,
    pub(super) unused: Unused,
    /// When it began to be unused.
    pub(super) unused_since: u64,
    /// Which came first of two with the same address.
    pub(super) arrival: u64,
    /// The earlier one with the same address in the same VLAN.
    pub(super) duplicate_of: Option<u32>,
    pub(super) state: VethState,
    pub(super) since: u64,
    /// Its last uplink is lost.
    pub(super) uplink_lost: bool,
    /// Steps when what was learned on it becomes void.
    pub(super) flush: u32,
    /// The group of records in which the last change of its own is.
    pub(super) saved_by: StoreTicket,
}

impl Veth {
    /// One that nobody asks for and nobody configured, so far.
    pub(super) fn new(number: u32, now: u64, settings: Settings) -> Self {
        Self {
            number,
            configured: false,
            record: None,
            asked: None,
            settings,
            stale: false,
            fixed: None,
            vifs: Vec::new(),
            holder: None,
            claimant: None,
            awaited: None,
            unused: Unused::NoVnic,
            unused_since: now,
            arrival: 0,
            duplicate_of: None,
            state: VethState::Down(DownCause::NonParticipating),
            since: now,
            uplink_lost: false,
            flush: 0,
            saved_by: StoreTicket(0),
        }
    }

    pub(super) fn identity(&self) -> Option<Identity> {
        self.record.as_ref().map(|record| record.identity)
    }

    /// It exists only because an adapter asked for it.
    pub(super) fn is_dynamic(&self) -> bool {
        !self.configured
    }
}

/// vEths by when they began to be unused.
type ByAge = BTreeSet<(u64, u32)>;

/// All vEths.
#[derive(Debug, Default)]
pub(super) struct Veths {
    by_number: BTreeMap<u32, Veth>,
    by_identity: HashMap<Identity, u32>,
    /// Those with VIFs, by configured address, in the order of their arrival.
    by_mac: HashMap<Mac, BTreeMap<u64, u32>>,
    /// Those that wait for a lost adapter, by the port where they were last seen and whether they are configured, the
    /// longest unused first.
    detached: BTreeMap<(Option<usize>, bool), ByAge>,
    /// How many vEths that an adapter has asked for have each profile.
    users: HashMap<ProfileName, u32>,
    arrivals: u64,
    /// All numbers below are in use.
    lowest: u32,
}

impl Veths {
    pub(super) fn get(&self, number: u32) -> Option<&Veth> {
        self.by_number.get(&number)
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Veth> {
        self.by_number.get_mut(&number)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Veth> {
        self.by_number.values()
    }

    pub(super) fn numbers(&self) -> Vec<u32> {
        self.by_number.keys().copied().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.by_number.len()
    }

    pub(super) fn of_identity(&self, identity: &Identity) -> Option<u32> {
        self.by_identity.get(identity).copied()
    }

    /// vEths with a record that have this profile.
    pub(super) fn users(&self, profile: &ProfileName) -> u32 {
        self.users.get(profile).copied().unwrap_or(0)
    }

    /// The lowest number that no vEth has.
    pub(super) fn free_number(&mut self) -> Option<u32> {
        if self.by_number.len() >= MOST_VETHS {
            return None;
        }
        let mut number = self.lowest.max(1);
        while self.by_number.contains_key(&number) {
            number += 1;
        }
        self.lowest = number;
        (number <= MAX_NUMBER).then_some(number)
    }

    pub(super) fn insert(&mut self, veth: Veth) {
        self.by_number.insert(veth.number, veth);
    }

    /// Takes a vEth out, with all that points to it, and its record.
    pub(super) fn remove(&mut self, number: u32) -> Option<(Veth, Option<VethRecord>)> {
        let record = self.forget_identity(number);
        let veth = self.by_number.remove(&number)?;
        self.lowest = self.lowest.min(number);
        Some((veth, record))
    }

    /// From now on it is this one's.
    pub(super) fn set_record(&mut self, number: u32, record: VethRecord, asked: Option<ProfileName>) {
        if self.get(number).and_then(Veth::identity).is_some_and(|identity| identity != record.identity) {
            self.forget_identity(number);
        }
        let Some(veth) = self.by_number.get_mut(&number) else { return };
        self.by_identity.insert(record.identity, number);
        if veth.record.is_none()
            && let Some(profile) = &veth.settings.profile
        {
            *self.users.entry(profile.clone()).or_default() += 1;
        }
        (veth.record, veth.asked) = (Some(record), asked);
    }

    /// From now on it is nobody's. It has no VIFs.
    pub(super) fn forget_identity(&mut self, number: u32) -> Option<VethRecord> {
        self.attach(number, false);
        self.set_unused(number, 0, Unused::NoVnic);
        let veth = self.by_number.get_mut(&number)?;
        veth.asked = None;
        let record = veth.record.take()?;
        self.by_identity.remove(&record.identity);
        let profile = veth.settings.profile.clone();
        self.count(profile.as_ref(), None);
        Some(record)
    }

    /// Gives a vEth new settings.
    pub(super) fn set_settings(&mut self, number: u32, settings: Settings) {
        let Some(veth) = self.by_number.get_mut(&number) else { return };
        veth.stale = false;
        let before = core::mem::replace(&mut veth.settings, settings);
        if veth.record.is_some() && before.profile != veth.settings.profile {
            let after = veth.settings.profile.clone();
            self.count(before.profile.as_ref(), after.as_ref());
        }
    }

    fn count(&mut self, before: Option<&ProfileName>, after: Option<&ProfileName>) {
        if let Some(profile) = before
            && let Some(users) = self.users.get_mut(profile)
        {
            *users = users.saturating_sub(1);
            if *users == 0 {
                self.users.remove(profile);
            }
        }
        if let Some(profile) = after {
            *self.users.entry(profile.clone()).or_default() += 1;
        }
    }

    /// It has VIFs from now on, or none any more.
    pub(super) fn attach(&mut self, number: u32, attached: bool) {
        let Some(veth) = self.by_number.get_mut(&number) else { return };
        let Some(identity) = veth.identity() else { return };
        if attached == (veth.arrival != 0) {
            return;
        }
        if attached {
            self.arrivals += 1;
            veth.arrival = self.arrivals;
            self.by_mac.entry(identity.mac).or_default().insert(veth.arrival, number);
        } else {
            let arrival = core::mem::take(&mut veth.arrival);
            veth.duplicate_of = None;
            if let Some(group) = self.by_mac.get_mut(&identity.mac) {
                group.remove(&arrival);
                if group.is_empty() {
                    self.by_mac.remove(&identity.mac);
                }
            }
        }
        if attached {
            self.set_unused(number, 0, Unused::NoVnic);
        }
    }

    /// The others with its configured address, in the order of their arrival.
    pub(super) fn same_mac(&self, number: u32) -> impl Iterator<Item = &Veth> {
        let mac = self.get(number).and_then(Veth::identity).map(|identity| identity.mac);
        let group = mac.and_then(|mac| self.by_mac.get(&mac)).into_iter().flat_map(BTreeMap::values);
        group.filter(move |other| **other != number).filter_map(|other| self.get(*other))
    }

    /// What became of its last VIF. One over the limit of those that are kept is returned: it has to go.
    pub(super) fn set_unused(&mut self, number: u32, now: u64, unused: Unused) -> Option<u32> {
        self.book(number, false);
        let veth = self.by_number.get_mut(&number)?;
        (veth.unused, veth.unused_since) = (unused, now);
        self.book(number, true);
        let Unused::Lost(port) = unused else { return None };
        let there = self.detached.get(&(port, false))?;
        (there.len() > MOST_DETACHED).then(|| there.first().map(|(_, first)| *first)).flatten()
    }

    /// Whether it is configured from now on.
    pub(super) fn set_configured(&mut self, number: u32, configured: bool) {
        self.book(number, false);
        if let Some(veth) = self.by_number.get_mut(&number) {
            veth.configured = configured;
        }
        self.book(number, true);
    }

    /// Enters it in the books of those that wait for a lost adapter, or takes it out.
    fn book(&mut self, number: u32, enter: bool) {
        let Some(veth) = self.by_number.get(&number) else { return };
        let Unused::Lost(port) = veth.unused else { return };
        let (key, entry) = ((port, veth.configured), (veth.unused_since, number));
        if enter {
            self.detached.entry(key).or_default().insert(entry);
        } else if let Some(there) = self.detached.get_mut(&key) {
            there.remove(&entry);
            if there.is_empty() {
                self.detached.remove(&key);
            }
        }
    }

    /// Those that wait for the adapters of a port.
    pub(super) fn detached(&self, port: usize) -> Vec<u32> {
        let there = self.detached.range((Some(port), false)..=(Some(port), true));
        there.flat_map(|(_, there)| there).map(|(_, number)| *number).collect()
    }
}

/// Programs that are in use, each once, with a number.
#[derive(Debug, Default)]
pub(super) struct Programs {
    known: HashMap<Program, (u32, Arc<Program>)>,
    next: u32,
}

impl Programs {
    pub(super) fn intern(&mut self, program: Program) -> (u32, Arc<Program>) {
        if let Some((number, shared)) = self.known.get(&program) {
            return (*number, shared.clone());
        }
        self.next = self.next.wrapping_add(1);
        let shared = Arc::new(program.clone());
        self.known.insert(program, (self.next, shared.clone()));
        (self.next, shared)
    }

    /// Forgets those that nobody uses.
    pub(super) fn prune(&mut self) {
        self.known.retain(|_, (_, shared)| Arc::strong_count(shared) > 1);
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}
