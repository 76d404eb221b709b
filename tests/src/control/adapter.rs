//! The adapter's end: the real firmware, and a data path that is nothing but maps.

use super::mac;
use firmware_sim::{Config, Firmware, LinkId, Notice, Order, OrderId, Output, VnicConfig, VnicId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use vntag::ctl::{Counters, Name, Role, VifState, session};
use vntag::uuid::Uuid;
use vntag::{ListId, VifId};

/// What is in effect in the workers.
#[derive(Debug, Default)]
pub struct Path {
    /// Whose a VIF is, and whether frames pass.
    pub vifs: BTreeMap<(LinkId, VifId), (VnicId, VifState)>,
    /// The members of each list.
    pub lists: BTreeMap<(LinkId, ListId), Vec<VifId>>,
    /// VIFs that were taken out at least once; lists lose them without being told (C2).
    pub cleared: BTreeSet<(LinkId, VifId)>,
    /// Lists that were taken out at least once: the firmware had lost the switch, who may not have noticed yet.
    pub forgotten: BTreeSet<(LinkId, ListId)>,
}

impl Path {
    fn apply(&mut self, order: Order) {
        match order {
            Order::SetVif { link, vif, vnic, state, .. } => {
                self.vifs.insert((link, vif), (vnic, state));
                let active = self.vifs.values().filter(|at| **at == (vnic, VifState::Active)).count();
                assert!(active <= 1, "{vnic:?} has {active} active VIFs in the data path");
            }
            Order::ClearVif { link, vif } => {
                self.vifs.remove(&(link, vif));
                self.cleared.insert((link, vif));
                for ((at, list), members) in &self.lists {
                    assert!(
                        *at != link || !members.contains(&vif),
                        "C2: {vif:?} is gone and still in {list:?}"
                    );
                }
            }
            Order::SetList { link, list, members } => {
                self.lists.insert((link, list), members);
            }
            Order::ClearList { link, list } => {
                self.lists.remove(&(link, list));
                self.forgotten.insert((link, list));
            }
        }
    }

    /// A vNIC's VIF on a link, and its state.
    #[must_use]
    pub fn of(&self, vnic: VnicId, link: LinkId) -> Option<(VifId, VifState)> {
        let found = self.vifs.iter().find(|((at, _), (whose, _))| *at == link && *whose == vnic);
        found.map(|((_, vif), (_, state))| (*vif, *state))
    }
}

/// What the workers are given, in this order.
pub(super) struct Batch {
    orders: Vec<(OrderId, Order)>,
    frames: Vec<(LinkId, Vec<u8>)>,
}

/// A vNIC as the host side has it.
#[derive(Clone, Debug)]
pub struct Wish {
    /// How it is configured.
    pub config: VnicConfig,
    /// Its guest's rings are enabled.
    pub rings: bool,
}

/// An adapter without data path.
pub struct AdapterEnd {
    /// The firmware.
    pub firmware: Firmware,
    /// What is in effect in its workers.
    pub path: Path,
    /// The vNICs of its configuration, which outlives the firmware.
    pub wishes: BTreeMap<VnicId, Wish>,
    /// Guests whose carrier is down, and why.
    pub down: BTreeMap<VnicId, String>,
    /// What the firmware had to say since this was last emptied.
    pub notices: Vec<Notice>,
    pub(super) batches: VecDeque<Batch>,
    pub(super) life: u64,
    number: u8,
    links: u16,
}

impl AdapterEnd {
    /// Adapter `number`, with links that are up; `boot_id` is that of this life.
    pub(super) fn new(number: u8, links: u16, boot_id: u64) -> Self {
        Self {
            firmware: firmware(number, links, boot_id),
            path: Path::default(),
            wishes: BTreeMap::new(),
            down: BTreeMap::new(),
            notices: Vec::new(),
            batches: VecDeque::new(),
            life: 0,
            number,
            links,
        }
    }

    /// Dies, and begins anew with the same configuration and guests.
    pub(super) fn restart(&mut self, now: u64, boot_id: u64) {
        self.life += 1;
        self.firmware = firmware(self.number, self.links, boot_id);
        self.path = Path::default();
        self.down.clear();
        self.batches.clear();
        for (id, wish) in &self.wishes {
            self.firmware.set_vnic(now, *id, wish.config.clone()).expect("it was taken before");
            self.firmware.set_rings(now, *id, wish.rings);
        }
    }

    /// A vNIC comes, or changes.
    pub(super) fn set(&mut self, now: u64, id: VnicId, config: VnicConfig, rings: bool) {
        self.firmware.set_vnic(now, id, config.clone()).expect("a vNIC that can be");
        self.firmware.set_rings(now, id, rings);
        self.wishes.insert(id, Wish { config, rings });
    }

    /// A vNIC goes.
    pub(super) fn remove(&mut self, now: u64, id: VnicId) {
        self.firmware.remove_vnic(now, id);
        self.wishes.remove(&id);
    }

    /// A guest enables or disables its rings.
    pub fn set_rings(&mut self, now: u64, id: VnicId, enabled: bool) {
        self.firmware.set_rings(now, id, enabled);
        if let Some(wish) = self.wishes.get_mut(&id) {
            wish.rings = enabled;
        }
    }

    /// Takes what the firmware wants done; true if that is something for the workers.
    pub(super) fn collect(&mut self, now: u64) -> bool {
        let mut batch = Batch { orders: Vec::new(), frames: Vec::new() };
        while let Some(output) = self.firmware.poll_output() {
            match output {
                Output::Order(id, order) => batch.orders.push((id, order)),
                Output::Carrier { vnic, down } => match down {
                    Some(cause) => {
                        let cause = cause.to_string();
                        let before = self.down.insert(vnic, cause.clone());
                        assert_ne!(before, Some(cause), "{vnic:?}: its carrier went down twice");
                    }
                    None => {
                        assert!(self.down.remove(&vnic).is_some(), "{vnic:?}: its carrier was up already");
                    }
                },
                Output::Stats { id, vif, .. } => {
                    self.firmware.stats(now, id, Counters([u64::from(vif.get()); 16]));
                }
                Output::Notice(notice) => self.notices.push(notice),
            }
        }
        for link in (0..self.links).map(LinkId) {
            while let Some(frame) = self.firmware.poll_transmit(now, link) {
                batch.frames.push((link, frame));
            }
        }
        let something = !batch.orders.is_empty() || !batch.frames.is_empty();
        if something {
            self.batches.push_back(batch);
        }
        something
    }

    /// The oldest batch is in effect; its frames are to be sent. Also says whether it changed anything.
    pub(super) fn take_effect(&mut self, now: u64) -> (Vec<(LinkId, Vec<u8>)>, bool) {
        let Some(batch) = self.batches.pop_front() else { return (Vec::new(), false) };
        let changes = !batch.orders.is_empty();
        for (id, order) in batch.orders {
            self.path.apply(order);
            self.firmware.confirm(now, id);
        }
        (batch.frames, changes)
    }
}

fn firmware(number: u8, links: u16, boot_id: u64) -> Firmware {
    Firmware::new(firmware_config(number, links, boot_id))
}

/// What the firmware of adapter `number` is told.
pub(crate) fn firmware_config(number: u8, links: u16, boot_id: u64) -> Config {
    let node = (Uuid([number + 1; 16]), Name::new(&format!("adapter{number}")).expect("a name"));
    let link = |link: u16| {
        let own = mac(0x10 + number, link);
        session::Config::new(Role::Iv, boot_id, own, node.clone(), &format!("link{link}"))
    };
    Config::new((0..links).map(link).collect())
}
