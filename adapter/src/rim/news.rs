//! What guests did, and who else wants control to look: the way to the control thread.

use crate::engine::VnicSlot;
use crate::vhost::FrontendEvent;
use parking_lot::Mutex;
use rustix::event::{EventfdFlags, eventfd};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use vntag::ethernet::Mac;

/// What a guest did since control last looked.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(super) struct Did {
    /// Its rings were enabled, or disabled; the last of those counts.
    pub(super) enabled: Option<bool>,
    /// It announced itself under this address.
    pub(super) announce: Option<Mac>,
    /// The port, which has no front end, went up or down.
    pub(super) port: bool,
}

impl Did {
    /// What it did later counts.
    pub(super) fn add(&mut self, later: Self) {
        self.enabled = later.enabled.or(self.enabled);
        self.announce = later.announce.or(self.announce);
        self.port |= later.port;
    }
}

/// Filled by the front door's thread and by ports, which must not wait; emptied by control. However much a guest does, there is one
/// entry for it.
pub(super) struct News {
    did: Mutex<BTreeMap<VnicSlot, Did>>,
    wake: OwnedFd,
}

impl News {
    pub(super) fn new() -> io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { did: Mutex::default(), wake })
    }

    /// Something happened at the front door.
    pub(super) fn tell(&self, slot: VnicSlot, event: FrontendEvent) {
        let mut did = Did::default();
        match event {
            FrontendEvent::Enabled(enabled) => did.enabled = Some(enabled),
            FrontendEvent::Announce(mac) => did.announce = Some(Mac(mac)),
            _ => return,
        }
        self.note(slot, did);
    }

    fn note(&self, slot: VnicSlot, did: Did) {
        self.did.lock().entry(slot).or_default().add(did);
        self.wake();
    }

    /// A port without front end went up or down.
    pub(super) fn tell_port(&self, slot: VnicSlot) {
        self.note(slot, Did { port: true, ..Did::default() });
    }

    /// Has control look at everything, links included.
    pub(super) fn wake(&self) {
        // A full counter (EAGAIN) is readable already; nothing else can fail on our own descriptor.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }

    /// Readable after each of those.
    pub(super) fn event(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// Takes what there is.
    pub(super) fn take(&self) -> BTreeMap<VnicSlot, Did> {
        // Emptied first: what happens later makes it readable again.
        let _ = rustix::io::read(&self.wake, &mut [0u8; 8]);
        core::mem::take(&mut *self.did.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_much_a_guest_does_there_is_one_entry() {
        let news = News::new().expect("eventfd");
        for _ in 0..1000 {
            news.tell(7, FrontendEvent::Enabled(true));
            news.tell(7, FrontendEvent::Memory);
            news.tell(7, FrontendEvent::Enabled(false));
            news.tell(7, FrontendEvent::Announce([2, 0, 0, 0, 0, 1]));
        }
        news.tell(8, FrontendEvent::Log(true));
        let did = Did { enabled: Some(false), announce: Some(Mac([2, 0, 0, 0, 0, 1])), port: false };
        assert_eq!(news.take(), [(7, did)].into());
        assert_eq!(news.take(), BTreeMap::new());
    }
}
