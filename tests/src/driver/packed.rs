//! The driver's side of a packed ring.

use super::memory::GuestMemory;
use super::ring::{Buffer, INDIRECT, NEXT, WRITE};
use std::collections::VecDeque;
use std::sync::Arc;

const AVAIL: u16 = 1 << 7;
const USED: u16 = 1 << 15;
const WRAP: u16 = 1 << 15;

/// A packed ring as its driver has it. A place is a slot with the wrap counter in bit 15.
pub struct PackedRing {
    memory: Arc<GuestMemory>,
    size: u16,
    /// Guest physical addresses of the ring, the driver's and the device's event suppression.
    desc: u64,
    driver: u64,
    device: u64,
    event_idx: bool,
    /// Ids that no chain has.
    ids: Vec<u16>,
    /// Chains that the device has, in the order in which they were offered: id, slots.
    offered: VecDeque<(u16, u16)>,
    free: u16,
    /// One table per id for indirect chains.
    tables: Option<(u64, u16)>,
    next: u16,
    published: u16,
    used: u16,
    /// Flags of first descriptors, not written yet: where and what.
    hidden: Vec<(u64, u16)>,
}

impl PackedRing {
    /// See [`DriverRing::new`](super::DriverRing::new).
    pub fn new(memory: Arc<GuestMemory>, size: u16, event_idx: bool, indirect: u16) -> Self {
        let n = usize::from(size);
        let desc = memory.alloc(16 * n, 16);
        let driver = memory.alloc(4, 4);
        let device = memory.alloc(4, 4);
        let tables = (indirect > 0).then(|| (memory.alloc(16 * n * usize::from(indirect), 16), indirect));
        Self {
            memory,
            size,
            desc,
            driver,
            device,
            event_idx,
            ids: (0..size).rev().collect(),
            offered: VecDeque::new(),
            free: size,
            tables,
            next: WRAP,
            published: WRAP,
            used: WRAP,
            hidden: Vec::new(),
        }
    }

    pub(super) fn size(&self) -> u16 {
        self.size
    }

    pub(super) fn parts(&self) -> (u64, u64, u64) {
        (self.desc, self.driver, self.device)
    }

    pub(super) fn reset(&mut self) {
        self.memory.write(self.desc, &vec![0; 16 * usize::from(self.size)]);
        self.memory.write(self.driver, &[0; 4]);
        self.memory.write(self.device, &[0; 4]);
        self.ids = (0..self.size).rev().collect();
        self.offered.clear();
        self.hidden.clear();
        (self.free, self.next, self.published, self.used) = (self.size, WRAP, WRAP, WRAP);
    }

    /// The guest physical address of a slot.
    pub fn slot(&self, pos: u16) -> u64 {
        self.desc + 16 * u64::from(pos & !WRAP)
    }

    /// The place so many slots further.
    pub fn after(&self, pos: u16, slots: u16) -> u16 {
        let slot = (pos & !WRAP) + slots;
        if slot < self.size { slot | pos & WRAP } else { (slot - self.size) | (pos ^ WRAP) & WRAP }
    }

    /// Writes a descriptor, as available at the place of this slot in the round of `pos`: flags last.
    pub fn write_at(&self, pos: u16, addr: u64, len: u32, id: u16, flags: u16) {
        let at = self.slot(pos);
        self.write_hidden(at, addr, len, id);
        self.memory.store16(at + 14, flags | available(pos));
    }

    /// Writes all of a descriptor but its flags.
    fn write_hidden(&self, at: u64, addr: u64, len: u32, id: u16) {
        let flags = self.memory.load16(at + 14);
        self.memory.store64(at, addr);
        self.memory.store64(at + 8, u64::from(len) | u64::from(id) << 32 | u64::from(flags) << 48);
    }

    /// Takes so many slots of the next place without any check, for those who lie; where that was.
    pub fn skip(&mut self, slots: u16) -> u16 {
        let pos = self.next;
        self.next = self.after(pos, slots);
        self.published = self.next;
        pos
    }

    /// What the driver knows of chains that it wrote by hand: so that they are taken back.
    pub fn remember(&mut self, id: u16, slots: u16) {
        self.offered.push_back((id, slots));
        self.free -= slots;
    }

    pub(super) fn add(&mut self, buffers: &[Buffer]) -> Option<u16> {
        let flags = |b: &Buffer| if b.write { WRITE } else { 0 };
        let table =
            self.tables.filter(|(_, entries)| buffers.len() > 1 && buffers.len() <= usize::from(*entries));
        let slots = if table.is_some() { 1 } else { buffers.len() as u16 };
        if buffers.is_empty() || self.free < slots {
            return None;
        }
        let id = self.ids.pop()?;
        let first = self.next;
        if let Some((tables, entries)) = table {
            let table = tables + 16 * u64::from(entries) * u64::from(id);
            for (i, buffer) in buffers.iter().enumerate() {
                let at = table + 16 * i as u64;
                self.memory.store64(at, buffer.addr);
                self.memory.store64(at + 8, u64::from(buffer.len) | u64::from(flags(buffer)) << 48);
            }
            self.write_hidden(self.slot(first), table, 16 * buffers.len() as u32, id);
            self.hidden.push((self.slot(first) + 14, INDIRECT | available(first)));
        } else {
            let mut pos = first;
            for (i, buffer) in buffers.iter().enumerate() {
                let next = if i + 1 < buffers.len() { NEXT } else { 0 };
                if i == 0 {
                    self.write_hidden(self.slot(pos), buffer.addr, buffer.len, id);
                    self.hidden.push((self.slot(pos) + 14, flags(buffer) | next | available(pos)));
                } else {
                    self.write_at(pos, buffer.addr, buffer.len, id, flags(buffer) | next);
                }
                pos = self.after(pos, 1);
            }
        }
        self.next = self.after(first, slots);
        self.free -= slots;
        self.offered.push_back((id, slots));
        Some(id)
    }

    pub(super) fn publish(&mut self) -> bool {
        // The first one last, so that all appear at once.
        for (at, flags) in self.hidden.drain(..).rev() {
            self.memory.store16(at, flags);
        }
        let old = std::mem::replace(&mut self.published, self.next);
        self.memory.fence();
        match self.memory.load16(self.device + 2) {
            0 => true,
            1 => false,
            _ => {
                let event = self.memory.load16(self.device);
                self.distance(old, event) < self.distance(old, self.next)
            }
        }
    }

    fn distance(&self, from: u16, to: u16) -> u32 {
        let size = u32::from(self.size);
        let line = |pos: u16| u32::from(pos & !WRAP) + if pos & WRAP == 0 { size } else { 0 };
        (line(to) + 2 * size - line(from)) % (2 * size)
    }

    fn is_used(&self) -> bool {
        let flags = self.memory.load16(self.slot(self.used) + 14) & (AVAIL | USED);
        flags == if self.used & WRAP == 0 { 0 } else { AVAIL | USED }
    }

    /// # Panics
    /// When the device returns another buffer than the next one that was offered.
    pub(super) fn take_used(&mut self) -> Option<(u16, u32)> {
        if !self.is_used() {
            return None;
        }
        let mut octets = [0; 6];
        self.memory.read(self.slot(self.used) + 8, &mut octets);
        let [a, b, c, d, e, f] = octets;
        let (len, id) = (u32::from_le_bytes([a, b, c, d]), u16::from_le_bytes([e, f]));
        let (expected, slots) = self.offered.pop_front().expect("the device returned what it does not have");
        assert_eq!(id, expected, "the device returned buffers out of order");
        self.used = self.after(self.used, slots);
        self.free += slots;
        if id < self.size {
            self.ids.push(id);
        }
        Some((id, len))
    }

    /// What the device has used and nobody has taken back: ids and octets written.
    pub fn unseen(&self) -> Vec<(u16, u32)> {
        let mut pos = self.used;
        let mut list = Vec::new();
        for (id, slots) in &self.offered {
            let (at, round) = (self.slot(pos), if pos & WRAP == 0 { 0 } else { AVAIL | USED });
            if self.memory.load16(at + 14) & (AVAIL | USED) != round {
                break;
            }
            list.push((*id, self.memory.load32(at + 8)));
            pos = self.after(pos, *slots);
        }
        list
    }

    pub(super) fn want_call(&self) -> bool {
        if self.event_idx {
            self.memory.store16(self.driver, self.used);
            self.memory.store16(self.driver + 2, 2);
        } else {
            self.memory.store16(self.driver + 2, 0);
        }
        self.memory.fence();
        !self.is_used()
    }

    pub(super) fn refuse_call(&self) {
        self.memory.store16(self.driver + 2, 1);
    }

    pub(super) fn free(&self) -> usize {
        self.free.into()
    }

    /// Up to where the device has used it, as its driver can see, and where the driver offers the next one.
    pub(super) fn indices(&self) -> (u16, u16) {
        let seen = self.unseen().len();
        let used = self.offered.iter().take(seen).fold(self.used, |pos, (_, slots)| self.after(pos, *slots));
        (used, self.next)
    }
}

/// `AVAIL` and `USED` of what is available at this place.
fn available(pos: u16) -> u16 {
    if pos & WRAP == 0 { USED } else { AVAIL }
}
