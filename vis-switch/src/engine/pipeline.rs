//! The stages in their order, burst by burst.
//!
//! ```text
//!  recv --> load head --> parse --> admit --> learn --> forward --+--> egress --> outbox --> send
//!                           |         |                    |      |
//!                           +---------+-- drop, counted ---+      +--> flood: a copy of the head for each port or list
//! ```
//!
//! The first half (up to `admit`) runs over the whole burst before the second half begins, so that the tables of
//! each half stay in the cache. Frames are learned and forwarded one after the other: a frame may answer one
//! that came in the same burst.

use super::acl::SharedAcl;
use super::admit::{self, Admitted, Refused};
use super::capture::{Capture, Captures, Fate};
use super::control::{self, Punted};
use super::counters::WorkerCounters;
use super::desk::Desk;
use super::egress;
use super::flood::{CopyForm, FloodCopy, LinkCopy};
use super::forward::{self, Recent};
use super::lif::{Lif, LifId};
use super::mac::{Key, MacTable, Second};
use super::outbox::{Leaving, Outbox, Receiver, Waiting};
use super::tables::{PortRole, Tables};
use super::unfinished::Sizes;
use super::verdict::{DropReason, Verdict};
use super::vlan::Program;
use super::worker::{EnginePort, Options};
use core::marker::PhantomData;
use link::{BURST, Frame, Gather, Nanos, RxQueue, Seg};
use niv_node::mailbox::Sender;
use std::sync::Arc;
use vntag::offload::Size;
use vntag::{NivTag, Target};

/// The stages and what they work on.
pub(super) struct Pipeline<T> {
    counters: Arc<WorkerCounters>,
    mac: Arc<MacTable>,
    desk: Desk,
    /// As many as a burst has.
    admitted: Box<[Admitted; BURST]>,
    sizes: Sizes,
    outbox: Outbox,
    capture: Capture,
    /// Where control frames of each port go.
    punts: Vec<Option<Sender<Punted>>>,
    options: Options,
    tag: PhantomData<T>,
}

impl<T: NivTag> Pipeline<T> {
    /// The receive queues of the ports are left to the caller, each with the index of its port.
    pub(super) fn new(
        ports: Vec<EnginePort>,
        mac: Arc<MacTable>,
        options: Options,
        mut receives: impl FnMut(u16, Box<dyn RxQueue>),
    ) -> Self {
        let (mut tx, mut punts) = (Vec::new(), Vec::new());
        for (index, port) in (0u16..).zip(ports) {
            port.rx.into_iter().for_each(|queue| receives(index, queue));
            tx.push((port.tx, if port.punt.is_some() { control::SLOTS } else { 0 }));
            punts.push(port.punt);
        }
        Self {
            counters: Arc::new(WorkerCounters::new(tx.len())),
            mac,
            desk: Desk::new(),
            admitted: Box::new([Admitted::EMPTY; BURST]),
            sizes: Sizes::new(),
            outbox: Outbox::new(tx),
            capture: Capture::new(&Captures::default()),
            punts,
            options,
            tag: PhantomData,
        }
    }

    pub(super) fn counters(&self) -> Arc<WorkerCounters> {
        self.counters.clone()
    }

    pub(super) fn captures(&self) -> Captures {
        self.capture.captures()
    }

    /// From now on it records for these captures.
    pub(super) fn record_for(&mut self, captures: &Captures) {
        self.capture = Capture::new(captures);
    }

    pub(super) fn mac(&self) -> &MacTable {
        &self.mac
    }

    /// At the end of a turn.
    pub(super) fn kick(&mut self) {
        self.outbox.kick();
    }

    /// Sends what control gave; says how many frames that were.
    pub(super) fn originate(&mut self, now: Nanos) -> usize {
        self.outbox.originate(now, &self.counters, &mut self.capture)
    }

    /// Takes over frames of control for a port.
    pub(super) fn queue(&mut self, port: usize, frames: Vec<Vec<u8>>) {
        self.outbox.queue(port, frames);
    }

    /// Announces a guest: this frame goes to everybody in its VLAN, as if it had come in by this port.
    #[cold]
    pub(super) fn announce(&mut self, tables: &Tables, port: u16, frame: &[u8], now: Nanos) {
        if let Some(counters) = self.counters.ports.get(usize::from(port)) {
            counters.originated.add(1);
        }
        self.desk.clear();
        self.capture.begin();
        let frame = Frame::complete(Gather::one(Seg::from_slice(frame)));
        self.sizes.begin(&[frame]);
        let turn = Burst { tables, burst: &[frame], now, second: Second::of(now) };
        if let Err(reason) = self.spread(&turn, port, &frame) {
            self.counters.drops[reason].add(1);
        }
        self.flush(&turn);
        if self.capture.is_on() {
            self.capture.finish();
        }
    }

    /// The way of the only frame of a burst that control made. No interface has received it.
    fn spread(&mut self, turn: &Burst<'_>, port: u16, frame: &Frame<'_>) -> Result<(), DropReason> {
        let role = turn.tables.roles.get(usize::from(port)).unwrap_or(&PortRole::Unused);
        let mut admitted = Admitted::EMPTY;
        let head = self.desk.load(0, frame);
        admit::admit::<T>(turn.tables, self.options.worker, role, head, frame.len(), &mut admitted)
            .map_err(|refused| refused.reason)?;
        let source = turn.tables.lif(admitted.lif).ok_or(DropReason::RxSrcUnknown)?;
        let mut recent = Recent::default();
        // Nobody is told twice: where another worker is at the same place of the table, its few instructions are waited for.
        while !recent.has_learned() {
            forward::learn(
                turn.tables,
                &self.mac,
                &admitted,
                source,
                turn.second,
                &self.counters,
                &mut recent,
            )?;
        }
        self.flood(turn, &admitted, source)
    }

    /// Brings a burst from one port through all stages.
    pub(super) fn run<'a>(&mut self, tables: &'a Tables, port: u16, burst: &'a [Frame<'a>], now: Nanos) {
        self.capture.begin();
        self.desk.begin(!self.capture.is_on());
        self.sizes.begin(burst);
        let count = self.admit(tables, port, burst);
        if self.capture.is_on() {
            let admitted = self.admitted.get(..count).unwrap_or_default();
            self.capture.came(port, burst, admitted, &self.desk);
        }
        if self.mac.is_large() {
            self.expect(count);
        }
        let turn = Burst { tables, burst, now, second: Second::of(now) };
        let mut recent = Recent::default();
        for place in 0..count {
            // A copy: the stages that follow use the rest of the pipeline.
            let Some(frame) = self.admitted.get(place).copied() else { break };
            self.dispatch(&turn, &frame, &mut recent);
        }
        self.flush(&turn);
        if self.capture.is_on() {
            self.capture.finish();
        }
    }

    /// The first half: heads are copied and judged. Says how many frames may come in.
    fn admit(&mut self, tables: &Tables, port: u16, burst: &[Frame<'_>]) -> usize {
        const UNUSED: PortRole = PortRole::Unused;
        let role = tables.roles.get(usize::from(port)).unwrap_or(&UNUSED);
        let overhead = if matches!(role, PortRole::Niv { .. }) { T::LEN } else { 0 };
        // Frames on a wire; those of the burst, and more where some stand for several.
        let (mut frames, mut refused) = (burst.len() as u64, 0);
        let mut octets = 0;
        let mut admitted = 0;
        let mut untagged = 0;
        let mut punted = 0;
        let worker = self.options.worker;
        let mut run = Run::of(worker);
        for (index, frame) in (0u8..).zip(burst) {
            let Some(to) = self.admitted.get_mut(admitted) else { break };
            let head = self.desk.load(usize::from(index), frame);
            let mut size = Size::complete(frame.len());
            let mut judged = true;
            if let Some(undone) = &frame.undone {
                let whole = self.sizes.judge(index, undone, frame, head);
                judged = whole.is_some();
                size = whole.unwrap_or(size);
                frames += size.frames as u64 - 1;
            }
            octets += size.octets as u64;
            let count = size.frames as u64;
            let inner = size.octets.saturating_sub(size.frames * overhead) as u64;
            let outcome = if judged {
                admit::admit::<T>(tables, worker, role, head, size.longest, to)
            } else {
                Err(Refused { lif: None, reason: DropReason::RxOffload })
            };
            match outcome {
                Ok(()) => {
                    to.index = index;
                    untagged += if to.inner.tagged { 0 } else { count };
                    run.add(tables, to.lif, count, inner);
                    admitted += 1;
                }
                Err(Refused { reason: DropReason::RxControl, .. }) => {
                    let fate = match self.punt(usize::from(port), index, frame) {
                        Ok(()) => {
                            punted += 1;
                            Fate::Punted
                        }
                        Err(reason) => {
                            refused += count;
                            self.counters.drops[reason].add(count);
                            Fate::Dropped { from: None, reason }
                        }
                    };
                    self.capture.decide(index, fate);
                }
                Err(Refused { lif, reason }) => {
                    refused += count;
                    self.counters.drops[reason].add(count);
                    self.capture.decide(index, Fate::Dropped { from: lif, reason });
                    if let Some(id) = lif {
                        run.add(tables, id, count, inner);
                        if let Some(lif) = tables.lif(id) {
                            lif.counters.of(worker).rx_dropped.add(count);
                        }
                    }
                }
            }
        }
        run.finish(tables);
        self.counters.received.add(frames);
        if overhead != 0 {
            self.counters.rx_no_inner_q.add(untagged);
        }
        if let Some(port) = self.counters.ports.get(usize::from(port)) {
            port.rx.add(frames, octets);
            port.rx_dropped.add(refused);
            port.punted.add(punted);
        }
        admitted
    }

    /// Asks for what the second half looks up, all at once, so that the misses overlap.
    #[cold]
    fn expect(&self, count: usize) {
        let mut source = Key::NONE;
        for frame in self.admitted.iter().take(count) {
            self.mac.expect(frame.destination);
            if frame.source != source {
                source = frame.source;
                self.mac.expect(source);
            }
        }
    }

    /// Hands a control frame of the burst to control.
    #[cold]
    fn punt(&mut self, port: usize, index: u8, frame: &Frame<'_>) -> Result<(), DropReason> {
        let to = self.punts.get(port).and_then(Option::as_ref);
        control::punt(to, port, &self.desk.whole(usize::from(index), frame))
    }

    /// The second half, for one frame.
    #[inline]
    fn dispatch(&mut self, turn: &Burst<'_>, frame: &Admitted, recent: &mut Recent) {
        let Some(source) = turn.tables.lif(frame.lif) else { return };
        let learned =
            forward::learn(turn.tables, &self.mac, frame, source, turn.second, &self.counters, recent);
        let refused = learned.and_then(|()| {
            match forward::forward(turn.tables, &self.mac, frame, turn.second, recent) {
                Verdict::Unicast(id) => self.unicast(turn, frame, source, id),
                Verdict::Flood => self.flood(turn, frame, source),
                Verdict::Drop(reason) => Err(reason),
            }
        });
        if let Err(reason) = refused {
            let count = self.sizes.frames(frame.index);
            self.counters.drops[reason].add(count);
            source.counters.of(self.options.worker).rx_dropped.add(count);
            self.capture.decide(frame.index, Fate::Dropped { from: Some(frame.lif), reason });
        }
    }

    #[inline]
    fn unicast(
        &mut self,
        turn: &Burst<'_>,
        frame: &Admitted,
        source: &Lif,
        to: LifId,
    ) -> Result<(), DropReason> {
        let worker = self.options.worker;
        let lif = turn.tables.lif(to).ok_or(DropReason::UcDvifXlateMiss)?;
        if frame.private && !lif.program.carries().contains(frame.vlan) {
            return Err(DropReason::Pvlan);
        }
        let head = self.desk.head(usize::from(frame.index)).ok_or(DropReason::RxRunt)?;
        match turn.tables.roles.get(usize::from(lif.port)) {
            Some(PortRole::Niv { filtered, .. }) => {
                if lif.vif == 0 {
                    return Err(DropReason::UcDvifXlateMiss);
                }
                if *filtered && !may_leave(worker, lif.program.acl_out.as_slice(), frame, head.bytes()) {
                    return Err(DropReason::AclOut);
                }
                let looped = egress::looped(source, lif.port).map_err(|_| DropReason::SvifXlateMiss)?;
                let looped = looped.filter(|_| self.options.hairpin_looped);
                egress::to_link::<T>(head, frame, Target::Channel(u32::from(lif.vif)), looped);
            }
            _ => {
                if !may_leave(worker, lif.program.acl_out.as_slice(), frame, head.bytes()) {
                    return Err(DropReason::AclOut);
                }
                egress::to_wire(head, frame, &lif.program, turn.len(frame.index));
            }
        }
        let waiting = Waiting { head: u16::from(frame.index), frame: frame.index, to: Receiver::Lif(to) };
        self.post(turn, lif.port, waiting);
        Ok(())
    }

    /// Lets a frame wait for its port.
    #[inline(always)]
    fn post(&mut self, turn: &Burst<'_>, port: u16, waiting: Waiting) {
        if self.outbox.is_full(port) {
            self.flush(turn);
        }
        self.outbox.push(port, waiting);
    }

    /// One copy for each ordinary port of the VLAN, and for each of its lists with members other than the originator (F4-F6,
    /// F8-F10).
    fn flood(&mut self, turn: &Burst<'_>, frame: &Admitted, source: &Lif) -> Result<(), DropReason> {
        let number = turn.tables.floods.of_vlan(frame.vlan);
        let flood = turn.tables.floods.get(number).ok_or(DropReason::FloodNoReceiver)?;
        let (mut copies, count) = (0, self.sizes.frames(frame.index));
        for (nth, copy) in (0u16..).zip(&flood.copies) {
            let Some(form) = form(copy, frame, source) else { continue };
            copies += 1;
            match form.and_then(|form| self.replicate(turn, frame, form)) {
                Ok(head) => {
                    let back = copy.port == source.port;
                    let member = !frame.private || source.program.carries().contains(frame.vlan);
                    let pruned = |link: &LinkCopy| back && link.prunes(frame.lif, member);
                    let looped =
                        matches!(&copy.form, CopyForm::Link(link) if pruned(link)).then_some(frame.lif);
                    let to = Receiver::Copy { flood: number, copy: nth, looped };
                    self.post(turn, copy.port, Waiting { head, frame: frame.index, to });
                }
                Err(reason) => {
                    self.counters.drops[reason].add(count);
                    let (from, vlan) = (frame.lif, frame.vlan);
                    self.capture.decide(frame.index, Fate::Flooded { from, vlan, missed: Some(reason) });
                }
            }
        }
        if copies == 0 {
            return Err(DropReason::FloodNoReceiver);
        }
        self.counters.replicated.add((copies - 1) * count);
        Ok(())
    }

    /// Makes the head of one copy; says where it is on the desk.
    fn replicate(&mut self, turn: &Burst<'_>, frame: &Admitted, form: Form<'_>) -> Result<u16, DropReason> {
        let filters = form.filters();
        if !filters.is_empty() {
            let head = self.desk.head(usize::from(frame.index)).map_or(&[][..], |head| head.bytes());
            if !may_leave(self.options.worker, filters, frame, head) {
                return Err(DropReason::AclOut);
            }
        }
        if self.desk.is_used_up() {
            self.flush(turn);
            self.desk.clear();
        }
        let (number, head) = self.desk.copy(usize::from(frame.index)).ok_or(DropReason::TxRingFull)?;
        match form {
            Form::Wire(program) => egress::to_wire(head, frame, program, turn.len(frame.index)),
            Form::Link(link, looped) => {
                egress::to_link::<T>(head, frame, Target::List(u32::from(link.list.get())), looped);
            }
        }
        Ok(number)
    }

    #[inline(never)]
    fn flush(&mut self, turn: &Burst<'_>) {
        let leaving = Leaving {
            worker: self.options.worker,
            tag_len: T::LEN,
            now: turn.now,
            desk: &self.desk,
            burst: turn.burst,
            tables: turn.tables,
            sizes: &self.sizes,
            counters: &self.counters,
        };
        self.outbox.flush(&leaving, &mut self.capture);
    }
}

/// Whether a frame may leave towards interfaces with these access lists, by this `worker`; its head is as it came.
#[inline]
fn may_leave(worker: usize, filters: &[SharedAcl], frame: &Admitted, head: &[u8]) -> bool {
    let payload = || head.get(frame.inner.payload()..).unwrap_or_default();
    filters.iter().all(|acl| acl.passes(worker, frame.inner.next, payload()))
}

/// How a copy of a flooded frame leaves.
#[derive(Clone, Copy)]
enum Form<'a> {
    Wire(&'a Program),
    Link(&'a LinkCopy, Option<u32>),
}

impl<'a> Form<'a> {
    /// The access lists towards those who get the copy.
    #[inline]
    fn filters(self) -> &'a [SharedAcl] {
        match self {
            Self::Wire(program) => program.acl_out.as_slice(),
            Self::Link(link, _) => &link.filters,
        }
    }
}

/// The form of one copy of a frame from `source`; `None` where it is for nobody else behind that port (F5), or where it
/// is the port the frame came from.
fn form<'a>(copy: &'a FloodCopy, frame: &Admitted, source: &Lif) -> Option<Result<Form<'a>, DropReason>> {
    let back = copy.port == source.port;
    match &copy.form {
        CopyForm::Wire(program) => (!back).then_some(Ok(Form::Wire(program))),
        CopyForm::Link(link) if link.sole == Some(frame.lif) => None,
        CopyForm::Link(link) => Some(match egress::looped(source, copy.port) {
            Ok(looped) => Ok(Form::Link(link, looped)),
            Err(egress::NoSource) => Err(DropReason::SvifXlateMiss),
        }),
        CopyForm::Missing(missing) => missing.counts(frame.lif).then_some(Err(DropReason::McDvifXlateMiss)),
    }
}

/// The burst in hand.
struct Burst<'a> {
    tables: &'a Tables,
    burst: &'a [Frame<'a>],
    now: Nanos,
    second: Second,
}

impl Burst<'_> {
    fn len(&self, index: u8) -> usize {
        self.burst.get(usize::from(index)).map_or(0, Frame::len)
    }
}

/// Frames in a row from the same interface, counted at once.
struct Run {
    worker: usize,
    from: Option<LifId>,
    frames: u64,
    octets: u64,
}

impl Run {
    fn of(worker: usize) -> Self {
        Self { worker, from: None, frames: 0, octets: 0 }
    }

    #[inline]
    fn add(&mut self, tables: &Tables, from: LifId, frames: u64, octets: u64) {
        if self.from != Some(from) {
            self.finish(tables);
            *self = Self { from: Some(from), ..Self::of(self.worker) };
        }
        self.frames += frames;
        self.octets += octets;
    }

    fn finish(&self, tables: &Tables) {
        if let Some(lif) = self.from.and_then(|id| tables.lif(id)) {
            lif.counters.of(self.worker).rx.add(self.frames, self.octets);
        }
    }
}
