//! The running adapter as everybody but its workers sees it.

use super::channels::Channels;
use super::news::News;
use super::state::State;
use crate::config::LinkConfig;
use crate::config::settings::Settings;
use crate::engine::capture::Captures;
use crate::engine::{Counted, Order, Stats};
use crate::inventory::{LinkEntry, VnicEntry};
use crate::vhost::FrontDoor;
use firmware_sim::{Firmware, VnicId, VnicStatus};
use link::PortState;
use niv_node::accounting::Accounting;
use niv_node::clock;
use niv_node::config::Node;
use niv_node::event::EventLog;
use niv_node::mailbox::Sender;
use niv_node::sandbox::Sandbox;
use niv_node::store::Store;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use vntag::uuid::Uuid;

/// An adapter: what it has, what it does, and how to change that. Every function may be called from any thread but a
/// worker.
pub struct Adapter {
    /// Its name.
    pub name: String,
    /// Its UUID.
    pub uuid: Uuid,
    /// Where it keeps its state.
    pub state_dir: PathBuf,
    /// Its links, in the order of the configuration.
    pub links: Vec<LinkEntry>,
    /// The sums of all counters.
    pub stats: Counted<Stats>,
    /// What happened.
    pub log: Arc<EventLog>,
    /// Who changed what.
    pub accounting: Accounting,
    /// What it has given up.
    pub sandbox: Sandbox,
    /// The `[node]` section of its file.
    pub node: Node,
    pub(super) link_configs: Vec<LinkConfig>,
    pub(super) captures: Captures,
    /// One for each worker.
    pub(super) orders: Vec<Sender<Order>>,
    pub(super) door: Arc<FrontDoor>,
    pub(super) news: Arc<News>,
    pub(super) state: Mutex<State>,
    /// Held by whoever changes what there is; taken before `state`.
    pub(super) book: Mutex<Book>,
    /// Beside the book, so that its health can be told while somebody waits for it.
    pub(super) store: Arc<dyn Store>,
}

/// What vNICs there should be, and what of that is kept.
pub(super) struct Book {
    pub(super) channels: Channels,
    pub(super) kept: BTreeMap<String, Kept>,
}

/// A vNIC that a command added.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) settings: Settings,
    /// Why it is not used.
    pub(super) ignored: Option<String>,
}

/// A vNIC at one moment.
#[derive(Clone)]
pub struct VnicView {
    /// What it is.
    pub entry: Arc<VnicEntry>,
    /// What the firmware knows of it; `None` where its VIF is static.
    pub status: Option<VnicStatus>,
}

impl Adapter {
    /// Its vNICs, in their order: those of the file first, then in the order in which they were added.
    #[must_use]
    pub fn vnics(&self) -> Vec<VnicView> {
        let state = self.state.lock();
        state.hands.vnics.iter().map(|entry| view(&state.firmware, entry)).collect()
    }

    /// The vNIC of this name.
    #[must_use]
    pub fn vnic(&self, name: &str) -> Option<VnicView> {
        let state = self.state.lock();
        state.hands.vnics.named(name).map(|entry| view(&state.firmware, entry))
    }

    /// vNICs that commands added and that are not used, with the reason.
    #[must_use]
    pub fn ignored(&self) -> Vec<(String, String)> {
        let book = self.book.lock();
        let ignored = book.kept.iter().filter_map(|(name, kept)| Some((name.clone(), kept.ignored.clone()?)));
        ignored.collect()
    }

    /// Whether state can be kept.
    ///
    /// # Errors
    /// Why not.
    pub fn health(&self) -> Result<(), String> {
        self.store.health().map_err(|error| error.to_string())
    }

    /// One line for the service manager.
    #[must_use]
    pub fn status(&self) -> String {
        let (vnics, links) = (self.vnics(), &self.links);
        let up = vnics.iter().filter(|view| view.entry.monitor.state() == PortState::Up).count();
        let links_up = links.iter().filter(|link| link.monitor.state() == PortState::Up).count();
        format!("{up} of {} vNICs up, {links_up} of {} links up", vnics.len(), links.len())
    }

    /// The name of a link.
    #[must_use]
    pub fn link_name(&self, index: usize) -> &str {
        self.links.get(index).map_or("-", |link| link.name.as_str())
    }

    /// Looks at the firmware; the number is the time now.
    pub fn look<R>(&self, look: impl FnOnce(&Firmware, u64) -> R) -> R {
        let state = self.state.lock();
        look(&state.firmware, clock::monotonic())
    }

    /// Tells the firmware something, and has done what it then wants.
    pub fn tell<R>(&self, tell: impl FnOnce(&mut Firmware, u64) -> R) -> R {
        let mut state = self.state.lock();
        let now = clock::monotonic();
        let result = tell(&mut state.firmware, now);
        state.turn(now);
        drop(state);
        // There may be an earlier deadline now.
        self.news.wake();
        result
    }
}

fn view(firmware: &Firmware, entry: &Arc<VnicEntry>) -> VnicView {
    VnicView { entry: Arc::clone(entry), status: firmware.vnic(VnicId(entry.slot)) }
}
