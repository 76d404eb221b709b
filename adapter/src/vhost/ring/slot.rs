//! The place of a ring, which lives as long as the vNIC.

use super::event::{self, Event};
use super::format::{Chain, Format};
use super::packed::Packed;
use super::split::Split;
use super::{AnyRing, Direction, Fault, Ring, RingCounters, RingIndices, RingLog, RingSetup, each};
use crate::vhost::memory::Window;
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use link::BURST;
use parking_lot::Mutex;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// The place of one ring of a vNIC, for the vNIC's life.
#[derive(Debug)]
pub struct RingSlot {
    direction: Direction,
    pub(super) ring: Arc<Mutex<Option<AnyRing>>>,
    pub(super) counters: RingCounters,
    running: AtomicBool,
    /// There was a ring here before, which was stopped in peace.
    known: AtomicBool,
    /// What may be left undone in frames for the ring, as [`Offloads::bits`](super::Offloads).
    pub(super) takes: AtomicU8,
    /// 0, or the fault that stopped the ring plus one.
    broken: AtomicU8,
    pub(super) event: Option<Event>,
}

impl RingSlot {
    /// A slot without a ring, with a descriptor that becomes readable on notifications of the guest.
    ///
    /// # Errors
    /// When the kernel gives no descriptor.
    pub fn new(direction: Direction) -> io::Result<Self> {
        let event = match direction {
            Direction::FromGuest => Some(Event::new()?),
            Direction::ToGuest => None,
        };
        Ok(Self { event, ..Self::without_event(direction) })
    }

    /// A slot for a world in which nobody sleeps.
    #[must_use]
    pub fn without_event(direction: Direction) -> Self {
        Self {
            direction,
            ring: Arc::default(),
            counters: RingCounters::default(),
            running: AtomicBool::new(false),
            known: AtomicBool::new(false),
            takes: AtomicU8::new(0),
            broken: AtomicU8::new(0),
            event: None,
        }
    }

    /// Starts a ring, in place of the one that may run. Says whether the setup made sense: all three parts in
    /// shared memory and aligned, a size that the format can have, a place to begin from.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn start(&self, setup: &RingSetup) -> Result<(), &'static str> {
        self.stop();
        if setup.features.packed {
            self.start_as::<Packed>(setup, AnyRing::Packed)
        } else {
            self.start_as::<Split>(setup, AnyRing::Split)
        }
    }

    fn start_as<F: Format>(
        &self,
        setup: &RingSetup,
        any: impl FnOnce(Ring<F>) -> AnyRing,
    ) -> Result<(), &'static str> {
        let mut format = F::new(&setup.memory, setup.at, setup.size)
            .ok_or("its addresses are not in shared memory or not aligned")?;
        let next = format.resume(setup.base).ok_or(
            "where the guest's packed ring stands is not known (another device had it): reset the guest's driver",
        )?;
        if let (Some(event), Some(kick)) = (&self.event, &setup.kick)
            && event.watch(kick).is_err()
        {
            return Err("its kick descriptor cannot be watched");
        }
        let mut ring = Ring {
            next,
            features: setup.features,
            window: Window::EMPTY,
            called: None,
            broken: false,
            logging: None,
            inflight: setup.inflight.clone().filter(|_| !F::PACKED),
            taken: 0,
            losses: 0,
            kick: setup.kick.clone(),
            call: setup.call.clone(),
            err: setup.err.clone(),
            memory: Arc::clone(&setup.memory),
            format,
        };
        ring.set_log(setup.log.clone());
        ring.refuse_notify();
        if ring.features.event_idx && !F::PACKED {
            // As far from being passed as possible.
            ring.wrote(ring.format.ask(next.wrapping_sub(1), true));
        }
        self.takes.store(setup.features.takes.bits(), Ordering::Relaxed);
        self.taken_over(&mut ring, setup.base);
        *self.ring.lock() = Some(any(ring));
        self.broken.store(0, Ordering::Relaxed);
        self.running.store(true, Ordering::Release);
        // Whoever sleeps looks once: the guest may have kicked before the ring ran.
        self.fire();
        // And the guest looks once: the device before us may have used buffers without telling.
        if let Some(ring) = self.ring.lock().as_mut() {
            each!(ring, ring => ring.call(&self.counters));
        }
        Ok(())
    }

    /// Counts what is not certain of a ring that was set up.
    fn taken_over<F: Format>(&self, ring: &mut Ring<F>, base: u16) {
        if base != ring.next {
            self.counters.resumed.add(1);
        }
        let known = self.known.swap(true, Ordering::Relaxed);
        let from_guest = self.direction == Direction::FromGuest;
        if let Some(inflight) = ring.inflight.clone() {
            let left = inflight.take_over(ring.format.size(), ring.next);
            if from_guest && comes_next(ring, &left) {
                self.counters.uncertain.add(left.len() as u64);
            } else {
                // Of a device that completes in another order: these are behind us, so their buffers go back empty.
                self.counters.returned.add(left.len() as u64);
                left.iter().for_each(|head| ring.complete(Chain { id: *head, slots: 1 }, 0));
                ring.publish();
                inflight.done(&[], ring.next);
            }
        } else if from_guest && !known {
            // What waits may have waited for us, or was moved here in peace, or was left behind by a process that was killed
            // between sending a burst and saying so: perhaps its first one, so a ring that nobody used tells nothing.
            let waiting = ring.waiting(BURST as u16).unwrap_or(0);
            self.counters.uncertain.add(u64::from(waiting).min(BURST as u64));
        }
    }

    /// Stops the ring; says from where to go on, as [`RingSetup::base`]. No frame of it is borrowed afterwards.
    pub fn stop(&self) -> Option<u16> {
        let ring = self.ring.lock().take()?;
        self.running.store(false, Ordering::Release);
        // Whoever broke it has it no more.
        self.broken.store(0, Ordering::Relaxed);
        let (kick, next) = each!(&ring, ring => (&ring.kick, ring.next));
        if let (Some(event), Some(kick)) = (&self.event, kick) {
            event.unwatch(kick);
        }
        self.fire();
        Some(next)
    }

    /// From now on the guest is told by writing to `call`, and is told once.
    pub fn set_call(&self, call: Option<Arc<OwnedFd>>) {
        if let Some(ring) = self.ring.lock().as_mut() {
            each!(ring, ring => {
                ring.call = call;
                ring.signal(&self.counters);
            });
        }
    }

    /// From now on the ring's writes are logged here, or not at all. What it wrote before is in the former log.
    pub fn set_log(&self, log: Option<RingLog>) {
        if let Some(ring) = self.ring.lock().as_mut() {
            each!(ring, ring => ring.set_log(log));
        }
    }

    /// A ring runs and is not broken.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire)
    }

    /// The fault that stopped the ring.
    #[must_use]
    pub fn broken(&self) -> Option<Fault> {
        let code = self.broken.load(Ordering::Relaxed);
        Fault::ALL.get(usize::from(code.checked_sub(1)?)).copied()
    }

    /// What was counted since the slot was made.
    #[must_use]
    pub fn counters(&self) -> &RingCounters {
        &self.counters
    }

    /// Which ring of the queue pair.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// Where the ring is.
    #[must_use]
    pub fn indices(&self) -> Option<RingIndices> {
        let ring = self.ring.lock();
        Some(each!(ring.as_ref()?, ring => RingIndices {
            size: ring.format.size(),
            avail: ring.format.avail(ring.next),
            next_avail: ring.next,
            used: ring.next,
        }))
    }

    /// No more trust in this ring until it is set up again.
    #[cold]
    pub(super) fn brk<F>(&self, ring: &mut Ring<F>, fault: Fault) {
        ring.broken = true;
        self.counters.fault(fault);
        self.broken.store(fault as u8 + 1, Ordering::Relaxed);
        self.running.store(false, Ordering::Release);
        if let Some(err) = &ring.err {
            event::notify(err);
        }
        tracing::warn!(
            ring = ?self.direction,
            next_avail = ring.next,
            "a guest broke its ring ({}); it stops until it is set up again",
            fault.name(self.direction)
        );
    }

    fn fire(&self) {
        if let Some(event) = &self.event {
            event.fire();
        }
    }
}

/// These heads are the next ones in the available ring.
fn comes_next<F: Format>(ring: &Ring<F>, heads: &[u16]) -> bool {
    let head = |ahead| ring.format.chain(ring.format.after(ring.next, ahead)).ok().map(|chain| chain.id);
    let next = (0..ring.format.size()).map(head);
    heads.iter().copied().map(Some).eq(next.take(heads.len()))
}
