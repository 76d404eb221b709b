//! A virtual guest without sockets: its rings directly behind queues, for worlds under a virtual clock.

use super::memory::GuestMemory;
use super::nic::{Features, NetDriver};
use super::ring::DriverRing;
use link::{RxQueue, TxQueue};
use niv_adapter::vhost::memory::{MemoryError, MemoryMap, Region};
use niv_adapter::vhost::ring::{
    Direction, Offloads, RingAddress, RingFeatures, RingLog, RingSetup, RingSlot, VringRx, VringTx,
};
use std::io;
use std::sync::Arc;

/// A virtual guest's driver, and the two queues that an adapter would have for it.
pub type Ends = (NetDriver, Box<dyn RxQueue>, Box<dyn TxQueue>);

/// Both sides of one queue pair.
pub struct VirtualNic {
    /// The guest's side.
    pub driver: NetDriver,
    /// The slot of the guest's transmit ring.
    pub from_guest: Arc<RingSlot>,
    /// The slot of the guest's receive ring.
    pub to_guest: Arc<RingSlot>,
    /// Where rings that are started log: {guest's transmit ring, guest's receive ring}.
    pub logs: [Option<RingLog>; 2],
    map: Arc<MemoryMap>,
}

impl VirtualNic {
    /// A guest with running rings; its driver, and the queues that an adapter would have.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn ends(features: Features) -> io::Result<Ends> {
        let nic = Self::stopped(features)?;
        nic.start(nic.origins());
        let (rx, tx) = nic.queues();
        Ok((nic.driver, Box::new(rx), Box::new(tx)))
    }

    /// A guest whose rings do not run yet.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn stopped(features: Features) -> io::Result<Self> {
        Self::in_memory(GuestMemory::new(features.memory())?, features)
    }

    /// A guest in this memory, whose rings do not run yet.
    ///
    /// # Errors
    /// When the memory cannot be mapped.
    pub fn in_memory(memory: GuestMemory, features: Features) -> io::Result<Self> {
        let memory = Arc::new(memory);
        let map = Arc::new(map(&memory).map_err(io::Error::other)?);
        Ok(Self {
            driver: NetDriver::new(memory, features),
            from_guest: Arc::new(RingSlot::without_event(Direction::FromGuest)),
            to_guest: Arc::new(RingSlot::without_event(Direction::ToGuest)),
            logs: [None, None],
            map,
        })
    }

    /// The bases of rings that nobody has used.
    pub fn origins(&self) -> (u16, u16) {
        (self.driver.tx.origin(), self.driver.rx.origin())
    }

    /// Starts both rings at these bases: {guest's transmit ring, guest's receive ring}.
    ///
    /// # Panics
    /// When the rings are refused.
    pub fn start(&self, bases: (u16, u16)) {
        let [from_log, to_log] = &self.logs;
        for (slot, ring, base, log) in [
            (&self.from_guest, &self.driver.tx, bases.0, from_log),
            (&self.to_guest, &self.driver.rx, bases.1, to_log),
        ] {
            let started = slot.start(&self.setup(ring, base, log));
            assert_eq!(started, Ok(()), "the ring of a virtual guest was refused");
        }
    }

    /// Starts the guest's transmit ring at this base.
    ///
    /// # Errors
    /// Why it was refused.
    pub fn start_from_guest(&self, base: u16) -> Result<(), &'static str> {
        self.from_guest.start(&self.setup(&self.driver.tx, base, &self.logs[0]))
    }

    fn setup(&self, ring: &DriverRing, base: u16, log: &Option<RingLog>) -> RingSetup {
        let features = self.driver.features();
        let (desc, avail, used) = ring.parts();
        let user = |at| self.driver.memory().user(at);
        RingSetup {
            memory: Arc::clone(&self.map),
            at: RingAddress { desc: user(desc), avail: user(avail), used: user(used) },
            size: ring.size(),
            base,
            features: RingFeatures {
                packed: features.packed,
                indirect: features.indirect,
                event_idx: features.event_idx,
                mergeable: features.mergeable,
                offloads: offloads(features.offloads, features.uso),
                takes: offloads(features.takes, features.uso),
            },
            kick: None,
            call: None,
            err: None,
            log: log.clone(),
            inflight: None,
        }
    }

    /// Moves both rings to a new map of the same memory, as when a front end changes it.
    ///
    /// # Errors
    /// When the memory cannot be mapped.
    pub fn remap(&mut self) -> io::Result<()> {
        let bases = (self.from_guest.stop().unwrap_or(0), self.to_guest.stop().unwrap_or(0));
        self.map = Arc::new(map(self.driver.memory()).map_err(io::Error::other)?);
        self.start(bases);
        Ok(())
    }

    /// The queues of an adapter for these rings. Once per slot.
    pub fn queues(&self) -> (VringRx, VringTx) {
        (VringRx::new(Arc::clone(&self.from_guest)), VringTx::new(Arc::clone(&self.to_guest)))
    }
}

/// All that may be left undone, if anything.
fn offloads(any: bool, uso: bool) -> Offloads {
    if any {
        Offloads { checksum: true, tso4: true, tso6: true, ecn: true, uso }
    } else {
        Offloads::default()
    }
}

fn map(memory: &GuestMemory) -> Result<MemoryMap, MemoryError> {
    let regions = memory.regions().iter().map(|info| Region::map(*info, memory.fd()).map(Arc::new));
    MemoryMap::new(regions.collect::<Result<_, _>>()?)
}
