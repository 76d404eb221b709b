//! A front door with one vNIC.

use super::echo::Echo;
use link::{Monitor, PortState};
use niv_adapter::vhost::{FrontDoor, FrontendEvent, Vnic, VnicConfig, VnicMonitor};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// How long an event may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(10);

/// The vNIC `vnic0`, and what its front end is told and tells. Whatever fails here ends the test.
pub struct Door {
    /// The front door, which may have other vNICs.
    pub door: FrontDoor,
    /// The vNIC's monitor.
    pub monitor: Arc<VnicMonitor>,
    /// Its socket, in a folder of its own.
    pub socket: PathBuf,
    /// What happened and was not looked at yet.
    pub events: mpsc::Receiver<FrontendEvent>,
    vnic: Option<Vnic>,
    _folder: tempfile::TempDir,
}

impl Door {
    /// Opens it, with a vNIC that is different from others by what `change` does.
    #[expect(clippy::missing_panics_doc, reason = "see the type")]
    pub fn open(change: impl FnOnce(&mut VnicConfig)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let door = FrontDoor::start().expect("a front door");
        let (send, events) = mpsc::channel();
        let mut config = VnicConfig::new("vnic0", folder.path().join("vnic0.sock"));
        change(&mut config);
        let vnic = door.add(&config, Box::new(move |event| _ = send.send(event))).expect("a vNIC");
        let (monitor, socket) = (Arc::clone(&vnic.monitor), config.socket);
        Self { door, monitor, socket, events, vnic: Some(vnic), _folder: folder }
    }

    /// The vNIC's queues, once.
    #[expect(clippy::missing_panics_doc, reason = "see the type")]
    pub fn vnic(&mut self) -> Vnic {
        self.vnic.take().expect("nobody has taken them")
    }

    /// Has the vNIC send every frame back.
    #[expect(clippy::missing_panics_doc, reason = "see the type")]
    pub fn echo(&mut self, swap: bool) -> Echo {
        Echo::start(self.vnic(), swap).expect("a thread")
    }

    /// Why no frames pass, or `up`.
    pub fn state(&self) -> String {
        match self.monitor.state() {
            PortState::Up => "up".to_owned(),
            PortState::Down { cause } => cause,
        }
    }

    /// A counter of the vNIC.
    #[expect(clippy::missing_panics_doc, reason = "see the type")]
    pub fn counter(&self, name: &str) -> u64 {
        let counters = self.monitor.counters();
        counters.iter().find(|counter| counter.name == name).unwrap_or_else(|| panic!("no {name}")).value
    }

    /// Waits until this happens; what happened before it is forgotten.
    #[expect(clippy::missing_panics_doc, reason = "see the type")]
    pub fn await_event(&self, wanted: FrontendEvent) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = self.events.recv_timeout(left);
            if event.unwrap_or_else(|_| panic!("no {wanted:?} in {PATIENCE:?}")) == wanted {
                return;
            }
        }
    }
}
