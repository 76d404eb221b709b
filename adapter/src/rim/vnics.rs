//! vNICs come, change and go while the adapter runs.
//!
//! What commands ask for is kept before they are answered; the traffic of other vNICs does not notice.

use super::adapter::{Adapter, Book, Kept};
use super::channels::Channels;
use super::confine;
use super::open::{self, Opened};
use super::path::Then;
use super::records;
use crate::config::VnicConfig;
use crate::config::settings::Settings;
use crate::engine::workers::{self, Orders};
use crate::engine::{Order, VnicSlot};
use crate::inventory::{Identity, Origin, VnicEntry};
use crate::vhost::FrontendEvent;
use firmware_sim::VnicId;
use niv_node::clock;
use niv_node::store::{Op, outcome};
use std::sync::Arc;
use std::time::Duration;

/// How long to wait for the workers to let go of a port.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a command waits until what it asked for is kept.
const KEPT: Duration = Duration::from_secs(10);

/// Why a vNIC is not added, changed or deleted, in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct VnicError(String);

/// Any error as one line.
fn line(error: impl core::fmt::Display) -> VnicError {
    VnicError(format!("{error:#}"))
}

impl Adapter {
    /// Adds a vNIC, with keys and values as a command has them.
    ///
    /// # Errors
    /// The settings make no sense, clash with another vNIC's, or cannot be opened or kept. There is no such vNIC then.
    pub fn add_vnic(&self, name: &str, words: &str) -> Result<(), VnicError> {
        let mut book = self.book.lock();
        if self.vnic(name).is_some() || book.kept.contains_key(name) {
            return Err(line(format_args!("there is a \"{name}\" already; vnic set changes it")));
        }
        let mut settings = Settings::default();
        settings.apply(words).map_err(line)?;
        self.create(&mut book, name, settings)
    }

    /// Changes a vNIC that a command added.
    ///
    /// # Errors
    /// As [`add_vnic`](Self::add_vnic); nothing has changed then.
    pub fn set_vnic(&self, name: &str, words: &str) -> Result<(), VnicError> {
        let mut book = self.book.lock();
        let mut settings = self.changeable(&book, name)?.settings;
        settings.apply(words).map_err(line)?;
        match self.vnic(name) {
            Some(view) => self.change(&mut book, &view.entry, settings),
            None => self.create(&mut book, name, settings),
        }
    }

    /// Deletes a vNIC that a command added. One that the file has keeps running; what a command added under its name is
    /// forgotten.
    ///
    /// # Errors
    /// There is none, only the file has it, or the state folder cannot be written.
    pub fn delete_vnic(&self, name: &str) -> Result<(), VnicError> {
        let mut book = self.book.lock();
        if !book.kept.contains_key(name) {
            self.changeable(&book, name)?;
        }
        let running = self.vnic(name).map(|view| view.entry.origin);
        let mut ops = vec![records::remove_vnic(name)];
        if running != Some(Origin::File) {
            ops.push(records::set_channel(name, None));
        }
        let before = book.kept.get(name).map(|kept| records::put_vnic(name, &kept.settings));
        let before = before.into_iter().chain([keep_channel(&book.channels, name)]).collect();
        self.commit(ops, before)?;
        book.kept.remove(name);
        if running != Some(Origin::File) {
            book.channels.release(name);
        }
        if running == Some(Origin::Command) {
            self.destroy(name);
        }
        Ok(())
    }

    /// A vNIC that commands may change.
    fn changeable(&self, book: &Book, name: &str) -> Result<Kept, VnicError> {
        if self.vnic(name).is_some_and(|view| view.entry.origin == Origin::File) {
            return Err(line(format_args!("\"{name}\" is in the configuration file; change it there")));
        }
        book.kept.get(name).cloned().ok_or_else(|| line(format_args!("there is no \"{name}\"")))
    }

    /// What settings mean beside the other vNICs.
    fn judge(&self, name: &str, settings: &Settings) -> Result<VnicConfig, VnicError> {
        let all: Vec<Arc<VnicEntry>> = self.state.lock().hands.vnics.iter().cloned().collect();
        let others = all.iter().map(|entry| &entry.config).filter(|config| config.name != name);
        settings.judge(name, &self.link_configs, others).map_err(line)
    }

    fn create(&self, book: &mut Book, name: &str, settings: Settings) -> Result<(), VnicError> {
        let config = self.judge(name, &settings)?;
        let channel = assign(&mut book.channels, &config)?;
        let made = self.open(&config).and_then(|opened| {
            let entry = self.place(config, channel, opened, Origin::Command);
            self.admit(entry).inspect_err(|_| self.destroy(name))?;
            let ops = vec![records::put_vnic(name, &settings), keep_channel(&book.channels, name)];
            let back = vec![records::remove_vnic(name), records::set_channel(name, None)];
            self.commit(ops, back).inspect_err(|_| self.destroy(name))
        });
        match made {
            Ok(()) => drop(book.kept.insert(name.to_owned(), Kept { settings, ignored: None })),
            Err(_) => book.channels.release(name),
        }
        made
    }

    /// Opens the port of a new vNIC.
    pub(super) fn open(&self, config: &VnicConfig) -> Result<(VnicSlot, Opened), VnicError> {
        self.sandbox.allows(&confine::vnic(config)).map_err(line)?;
        let slot = self.state.lock().free_slot();
        open::vnic(config, slot, &self.door, &self.news, &self.sandbox)
            .map(|opened| (slot, opened))
            .map_err(line)
    }

    /// Gives a new vNIC to the workers; nobody else knows of it yet but for its name.
    pub(super) fn place(
        &self,
        config: VnicConfig,
        channel: u16,
        (slot, Opened { port, guest }): (VnicSlot, Opened),
        origin: Origin,
    ) -> VnicEntry {
        let stats = self.stats.add_vnic();
        let monitor = Arc::clone(&port.monitor);
        let setups = workers::vnic(port, slot, &stats).into_iter();
        let identity = Identity::of(&config, self.uuid, channel);
        let entry = VnicEntry { slot, config, origin, identity, monitor, guest, stats };
        let mut state = self.state.lock();
        let orders = Orders(setups.map(|setup| Order::AddVnic(slot, setup)).collect());
        state.hands.path.give_each(orders, Then::Nothing);
        state.hands.vnics.insert(Arc::new(entry.clone()));
        entry
    }

    /// Has control work with a vNIC as it is now.
    pub(super) fn admit(&self, entry: VnicEntry) -> Result<(), VnicError> {
        let mut state = self.state.lock();
        let now = clock::monotonic();
        let admitted = state.admit(now, Arc::new(entry));
        state.turn(now);
        drop(state);
        self.news.wake();
        admitted.map_err(line)
    }

    /// Takes a vNIC away from everybody, and waits until its port is closed.
    fn destroy(&self, name: &str) {
        let mut state = self.state.lock();
        let entry = state.dismiss(clock::monotonic(), name);
        let milestone = state.hands.path.milestone();
        drop(state);
        self.news.wake();
        if entry.is_some_and(|entry| entry.guest.is_some()) {
            self.door.remove(name);
        }
        milestone.wait_until_closed(PATIENCE);
    }

    fn change(&self, book: &mut Book, old: &VnicEntry, settings: Settings) -> Result<(), VnicError> {
        let name = &old.config.name;
        let config = self.judge(name, &settings)?;
        let mut channels = book.channels.clone();
        let channel = assign(&mut channels, &config)?;
        let after = vec![records::put_vnic(name, &settings), keep_channel(&channels, name)];
        let before = book.kept.get(name).map(|kept| records::put_vnic(name, &kept.settings));
        let before: Vec<Op> = before.into_iter().chain([keep_channel(&book.channels, name)]).collect();
        self.commit(after.clone(), before.clone())?;
        if let Err(error) = self.exchange(old, config, channel) {
            // Where that fails, too, the next start finds what was asked for.
            return Err(self.commit(before, after).err().unwrap_or(error));
        }
        book.channels = channels;
        book.kept.insert(name.clone(), Kept { settings, ignored: None });
        Ok(())
    }

    /// Puts a vNIC in the place of its former self.
    fn exchange(&self, old: &VnicEntry, config: VnicConfig, channel: u16) -> Result<(), VnicError> {
        let mut entry =
            VnicEntry { identity: Identity::of(&config, self.uuid, channel), config, ..old.clone() };
        let mut reopened = false;
        if old.is_closed() || open::shape(&old.config) != open::shape(&entry.config) {
            let opened = self.reopen(old, &entry.config)?;
            entry.monitor = Arc::clone(&opened.port.monitor);
            entry.guest.clone_from(&opened.guest);
            self.set_queues(&entry, opened);
            reopened = true;
        }
        if let Some((vif, _)) = old.config.fixed() {
            let order = Order::ClearVif { link: old.config.link, vif };
            self.state.lock().hands.path.give(order, Then::Nothing);
        }
        let (slot, name) = (entry.slot, entry.config.name.clone());
        self.admit(entry)?;
        if reopened {
            self.tell_carrier(slot, &name);
        }
        Ok(())
    }

    /// Tells a new front end what the firmware said to the former one.
    fn tell_carrier(&self, slot: VnicSlot, name: &str) {
        let state = self.state.lock();
        if let Some(down) = state.firmware.vnic(VnicId(slot)).and_then(|status| status.down) {
            self.door.set_carrier(name, Some(down.to_string()));
        }
    }

    /// Closes a vNIC's port and opens it as `config` says; where that fails, as it was.
    fn reopen(&self, old: &VnicEntry, config: &VnicConfig) -> Result<Opened, VnicError> {
        self.sandbox.allows(&confine::vnic(config)).map_err(line)?;
        if old.guest.is_some() {
            self.door.remove(&old.config.name);
            // Its guest is gone, and there is no front end to say so.
            self.news.tell(old.slot, FrontendEvent::Enabled(false));
        }
        self.set_queues(old, Opened::failed("being opened again".to_owned()));
        let milestone = self.state.lock().hands.path.milestone();
        milestone.wait_until_closed(PATIENCE);
        let open = |config| open::vnic(config, old.slot, &self.door, &self.news, &self.sandbox);
        let error = match open(config) {
            Ok(opened) => return Ok(opened),
            Err(error) => line(error),
        };
        let opened = open(&old.config).unwrap_or_else(|error| Opened::failed(format!("{error:#}")));
        let monitor = Arc::clone(&opened.port.monitor);
        let entry = VnicEntry { monitor, guest: opened.guest.clone(), ..old.clone() };
        self.set_queues(&entry, opened);
        self.state.lock().hands.vnics.insert(Arc::new(entry));
        self.tell_carrier(old.slot, &old.config.name);
        Err(error)
    }

    /// Waits until a change is kept. `back` is to be kept if it is not sure that it was.
    fn commit(&self, ops: Vec<Op>, back: Vec<Op>) -> Result<(), VnicError> {
        let (done, kept) = outcome();
        self.store.submit(ops, done);
        kept.wait_for(KEPT).map(drop).map_err(|error| {
            self.store.submit(back, Box::new(drop));
            line(error)
        })
    }

    /// Gives a vNIC other queues; VIFs and counters stay.
    fn set_queues(&self, entry: &VnicEntry, Opened { port, .. }: Opened) {
        let setups = workers::vnic(port, entry.slot, &entry.stats).into_iter();
        let orders = Orders(setups.map(|setup| Order::SetQueues(entry.slot, setup)).collect());
        self.state.lock().hands.path.give_each(orders, Then::Nothing);
    }
}

/// Gives a vNIC its channel: what is written down, what it has, or the lowest free one. Where its VIF is static it needs
/// none, and the VIF is shown.
pub(super) fn assign(channels: &mut Channels, config: &VnicConfig) -> Result<u16, VnicError> {
    let name = &config.name;
    if let Some((vif, _)) = config.fixed() {
        channels.release(name);
        return Ok(vif.get());
    }
    let Some(written) = config.channel() else {
        let found = channels.of(name).or_else(|| channels.lowest(name));
        return found.ok_or_else(|| line("no channel is free"));
    };
    if let Some(owner) = channels.owner(written).filter(|owner| owner != name) {
        return Err(line(format_args!("key \"channel\": channel {written} is {owner}'s already")));
    }
    channels.release(name);
    channels.take(written, name);
    Ok(written)
}

/// What is to be kept of the channel of a vNIC.
pub(super) fn keep_channel(channels: &Channels, name: &str) -> Op {
    records::set_channel(name, channels.of(name))
}
