//! The driver's side of a split ring, with access to every word for those who want to break it.

use super::memory::GuestMemory;
use super::ring::{Buffer, INDIRECT, NEXT, WRITE};
use std::sync::Arc;

/// A split ring as its driver has it.
pub struct SplitRing {
    memory: Arc<GuestMemory>,
    size: u16,
    /// Guest physical addresses of the three parts.
    desc: u64,
    avail: u64,
    used: u64,
    event_idx: bool,
    free: Vec<u16>,
    /// Descriptors of the chain that begins here.
    chain: Vec<Vec<u16>>,
    /// One table per head for indirect chains.
    tables: Option<(u64, u16)>,
    next_avail: u16,
    published: u16,
    last_used: u16,
}

impl SplitRing {
    /// A ring of `size` slots in `memory`. `indirect`: entries of the tables to build chains in; 0 for none.
    pub(super) fn new(memory: Arc<GuestMemory>, size: u16, event_idx: bool, indirect: u16) -> Self {
        let n = usize::from(size);
        let desc = memory.alloc(16 * n, 16);
        let avail = memory.alloc(6 + 2 * n, 2);
        let used = memory.alloc(6 + 8 * n, 4);
        let tables = (indirect > 0).then(|| (memory.alloc(16 * n * usize::from(indirect), 16), indirect));
        Self {
            memory,
            size,
            desc,
            avail,
            used,
            event_idx,
            free: (0..size).rev().collect(),
            chain: vec![Vec::new(); n],
            tables,
            next_avail: 0,
            published: 0,
            last_used: 0,
        }
    }

    /// Slots.
    pub(super) fn size(&self) -> u16 {
        self.size
    }

    /// Guest physical addresses of descriptor table, available ring, used ring.
    pub(super) fn parts(&self) -> (u64, u64, u64) {
        (self.desc, self.avail, self.used)
    }

    /// Forgets everything, as a driver does at a reset: all free, all indices 0.
    pub(super) fn reset(&mut self) {
        for at in [self.avail, self.avail + 2, self.used, self.used + 2] {
            self.memory.store16(at, 0);
        }
        self.free = (0..self.size).rev().collect();
        self.chain.iter_mut().for_each(Vec::clear);
        (self.next_avail, self.published, self.last_used) = (0, 0, 0);
    }

    /// Writes a descriptor.
    pub(super) fn write_desc(&self, index: u16, addr: u64, len: u32, flags: u16, next: u16) {
        write_desc(&self.memory, self.desc + 16 * u64::from(index), addr, len, flags, next);
    }

    /// Offers `head` in the next slot without any check; not visible before [`publish`](Self::publish).
    pub(super) fn offer(&mut self, head: u16) {
        let slot = u64::from(self.next_avail & (self.size - 1));
        self.memory.store16(self.avail + 4 + 2 * slot, head);
        self.next_avail = self.next_avail.wrapping_add(1);
    }

    /// The head of the chain that the device completes next.
    pub(super) fn waiting_head(&self) -> u16 {
        let used = self.memory.load16(self.used + 2);
        self.memory.load16(self.avail + 4 + 2 * u64::from(used & (self.size - 1)))
    }

    /// Writes any available index, for those who lie.
    pub(super) fn set_avail_idx(&self, idx: u16) {
        self.memory.store16(self.avail + 2, idx);
    }

    /// Offers a chain of these buffers; its head, or `None` when there are too few free descriptors.
    pub(super) fn add(&mut self, buffers: &[Buffer]) -> Option<u16> {
        let flags = |b: &Buffer| if b.write { WRITE } else { 0 };
        if let Some((tables, entries)) = self.tables
            && buffers.len() > 1
            && buffers.len() <= usize::from(entries)
        {
            let head = self.free.pop()?;
            let table = tables + 16 * u64::from(entries) * u64::from(head);
            for (i, buffer) in buffers.iter().enumerate() {
                let next = if i + 1 < buffers.len() { NEXT } else { 0 };
                let at = table + 16 * i as u64;
                write_desc(&self.memory, at, buffer.addr, buffer.len, flags(buffer) | next, i as u16 + 1);
            }
            self.write_desc(head, table, 16 * buffers.len() as u32, INDIRECT, 0);
            self.chain[usize::from(head)] = vec![head];
            self.offer(head);
            return Some(head);
        }
        if buffers.is_empty() || self.free.len() < buffers.len() {
            return None;
        }
        let rest = self.free.split_off(self.free.len() - buffers.len());
        for (i, buffer) in buffers.iter().enumerate() {
            let next = rest.get(i + 1).copied();
            let flag = if next.is_some() { NEXT } else { 0 };
            self.write_desc(rest[i], buffer.addr, buffer.len, flags(buffer) | flag, next.unwrap_or(0));
        }
        let head = rest[0];
        self.chain[usize::from(head)] = rest;
        self.offer(head);
        Some(head)
    }

    /// Makes visible what was offered; says whether the device wants to be told.
    pub(super) fn publish(&mut self) -> bool {
        let old = std::mem::replace(&mut self.published, self.next_avail);
        self.set_avail_idx(self.next_avail);
        self.memory.fence();
        if self.event_idx {
            let event = self.memory.load16(self.used + 4 + 8 * u64::from(self.size));
            self.next_avail.wrapping_sub(event).wrapping_sub(1) < self.next_avail.wrapping_sub(old)
        } else {
            self.memory.load16(self.used) & 1 == 0
        }
    }

    /// The next used element {head, octets written}; its descriptors are free again.
    ///
    /// # Panics
    /// When the device returns what was never offered, or twice.
    pub(super) fn take_used(&mut self) -> Option<(u16, u32)> {
        if self.memory.load16(self.used + 2) == self.last_used {
            return None;
        }
        let slot = self.used + 4 + 8 * u64::from(self.last_used & (self.size - 1));
        let head = u16::try_from(self.memory.load32(slot)).expect("the device returned no head");
        let len = self.memory.load32(slot + 4);
        self.last_used = self.last_used.wrapping_add(1);
        let chain = std::mem::take(&mut self.chain[usize::from(head)]);
        assert!(!chain.is_empty(), "the device returned head {head}, which it does not have");
        self.free.extend(chain.into_iter().rev());
        Some((head, len))
    }

    /// Asks to be told of the next used buffer; `false`: there is one already.
    pub(super) fn want_call(&self) -> bool {
        if self.event_idx {
            self.memory.store16(self.avail + 4 + 2 * u64::from(self.size), self.last_used);
        } else {
            self.memory.store16(self.avail, 0);
        }
        self.memory.fence();
        self.memory.load16(self.used + 2) == self.last_used
    }

    /// Asks not to be told.
    pub(super) fn refuse_call(&self) {
        if self.event_idx {
            self.memory.store16(self.avail + 4 + 2 * u64::from(self.size), self.last_used.wrapping_sub(1));
        } else {
            self.memory.store16(self.avail, 1);
        }
    }

    /// Free descriptors.
    pub(super) fn free(&self) -> usize {
        self.free.len()
    }

    /// The used index in memory and the next available index of ours.
    pub(super) fn indices(&self) -> (u16, u16) {
        (self.memory.load16(self.used + 2), self.next_avail)
    }
}

fn write_desc(memory: &GuestMemory, at: u64, addr: u64, len: u32, flags: u16, next: u16) {
    memory.store64(at, addr);
    memory.store64(at + 8, u64::from(len) | u64::from(flags) << 32 | u64::from(next) << 48);
}
