//! Guests that are there and say nothing, as many as a process has descriptors for.

use super::memory::{BASE, GuestMemory};
use super::wire::{Request, Wire};
use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Guests whose rings are enabled and that never say a word: all in one memory, with empty rings, without
/// interrupts, as a process has only so many descriptors. They leave when this is dropped.
pub struct Silent {
    memory: GuestMemory,
    guests: Vec<(Wire, OwnedFd)>,
}

impl Silent {
    /// Nobody yet.
    pub fn new() -> io::Result<Self> {
        Ok(Self { memory: GuestMemory::new(1 << 21)?, guests: Vec::new() })
    }

    /// One more, at this vhost-user socket.
    pub fn connect(&mut self, path: &Path) -> io::Result<()> {
        let kick = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let wire = Wire::connect(path)?;
        wire.get(Request::GET_FEATURES)?;
        wire.set(Request::SET_OWNER, &[], &[])?;
        // VIRTIO_F_VERSION_1.
        wire.set_number(Request::SET_FEATURES, 1 << 32)?;
        let region = self.memory.regions()[0];
        let mut table = 1u64.to_ne_bytes().to_vec();
        for word in [region.guest, region.size, region.user, region.offset] {
            table.extend(word.to_ne_bytes());
        }
        wire.set(Request::SET_MEM_TABLE, &table, &[self.memory.fd()])?;
        for ring in 0..2 {
            wire.set_ring(Request::SET_VRING_NUM, ring, 64)?;
            wire.set_ring(Request::SET_VRING_BASE, ring, 0)?;
            let mut addr = Vec::from(u64::from(ring).to_ne_bytes());
            // Descriptors, used, available: pages that stay empty.
            for page in [0, 2, 1] {
                addr.extend(self.memory.user(BASE + page * 4096).to_ne_bytes());
            }
            addr.extend(0u64.to_ne_bytes());
            wire.set(Request::SET_VRING_ADDR, &addr, &[])?;
            const NO_DESCRIPTOR: u64 = 1 << 8;
            wire.set_number(Request::SET_VRING_CALL, u64::from(ring) | NO_DESCRIPTOR)?;
            wire.set_fd(Request::SET_VRING_KICK, ring, &kick)?;
        }
        self.guests.push((wire, kick));
        Ok(())
    }
}
