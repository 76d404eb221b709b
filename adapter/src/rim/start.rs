//! Putting an adapter together.

use super::adapter::{Adapter, Book, Kept};
use super::channels::Channels;
use super::control::PUNTED;
use super::news::News;
use super::open::{self, Opened};
use super::path::Path;
use super::records::{self, Records};
use super::state::{Hands, State, Vnics};
use super::vnics::assign;
use crate::config::{AdapterConfig, VnicConfig};
use crate::engine::capture::Captures;
use crate::engine::{Counted, Datapath, LinkSetup, Order, Punted, Stats};
use crate::identity::derived_mac;
use crate::inventory::Origin;
use crate::vhost::FrontDoor;
use anyhow::Context;
use firmware_sim::Firmware;
use niv_node::accounting::Accounting;
use niv_node::event::{Event, EventLog, Severity};
use niv_node::identity::node_uuid;
use niv_node::mailbox::{Mailbox, lanes, mailbox};
use niv_node::sandbox::Sandbox;
use niv_node::store::{RedbStore, Store};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use vntag::Vntag;
use vntag::ctl::{Name, Role, session};
use vntag::uuid::Uuid;

/// Orders that wait for each worker at the most.
const MAILBOX: usize = 4096;
/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// An adapter without threads.
pub(super) struct Started {
    pub(super) adapter: Arc<Adapter>,
    /// One for each worker.
    pub(super) datapaths: Vec<Datapath<Vntag>>,
    pub(super) punted: Mailbox<Punted>,
}

/// Opens everything.
pub(super) fn start(config: &AdapterConfig, boot_id: u64, sandbox: &Sandbox) -> anyhow::Result<Started> {
    let node = &config.node;
    let uuid = Uuid(node_uuid(&node.state_dir, &node.name).context("state_dir")?);
    let store: Arc<dyn Store> = Arc::new(RedbStore::open(&node.state_dir, &node.name)?);
    let workers = node.workers;
    let stats = Counted::<Stats>::of(workers);
    let (mut orders, mut mailboxes) = (Vec::new(), Vec::new());
    for _ in 0..workers {
        let (to, from) = mailbox(MAILBOX)?;
        orders.push(to);
        mailboxes.push(from);
    }
    let (punt, punted) = lanes(config.links.len(), PUNTED)?;

    let news = Arc::new(News::new()?);
    let mut setups: Vec<Vec<LinkSetup>> = (0..workers).map(|_| Vec::new()).collect();
    let mut links = Vec::new();
    for (index, link) in config.links.iter().enumerate() {
        let mtus = config.vnics.iter().filter(|vnic| vnic.link == index).filter_map(VnicConfig::fixed);
        let mtu = mtus.map(|(_, params)| params.mtu).max();
        let (each, entry) = open::link((index, link), workers, mtu, &punt, &news, sandbox)?;
        setups.iter_mut().zip(each).for_each(|(setups, setup)| setups.push(setup));
        links.push(entry);
    }
    let captures = Captures::default();
    let mut datapaths: Vec<_> = (setups.into_iter().zip(mailboxes).zip(stats.each()))
        .map(|((setups, mailbox), stats)| {
            Datapath::<Vntag>::new(setups, stats, Some(mailbox)).recording_for(&captures)
        })
        .collect();
    for (index, entry) in links.iter_mut().enumerate() {
        entry.stats = datapaths.iter().filter_map(|datapath| datapath.link_stats().nth(index)).collect();
    }
    for (link, written) in config.links.iter().enumerate() {
        for (list, members) in &written.lists {
            for datapath in &mut datapaths {
                let members = Some(members.clone().into_boxed_slice());
                datapath.apply(Order::SetList { link, list: *list, members });
            }
        }
    }

    let log = Arc::new(EventLog::new(&node.name));
    let door = Arc::new(FrontDoor::start().context("the vhost-user front door")?);
    let hands = Hands {
        path: Path::new(&orders, stats.clone()),
        door: Arc::clone(&door),
        vnics: Vnics::default(),
        links: config.links.iter().map(|link| link.name.clone()).collect(),
        log: Arc::clone(&log),
        refused: HashMap::new(),
    };
    let adapter = Adapter {
        name: node.name.clone(),
        state_dir: node.state_dir.clone(),
        uuid,
        links,
        stats,
        log,
        accounting: Accounting::default(),
        sandbox: sandbox.clone(),
        link_configs: config.links.clone(),
        captures,
        node: node.clone(),
        orders,
        door,
        news,
        state: Mutex::new(State::new(firmware(config, uuid, boot_id), hands)),
        book: Mutex::new(Book { channels: Channels::default(), kept: BTreeMap::new() }),
        store,
    };
    adapter.begin(config)?;
    Ok(Started { adapter: Arc::new(adapter), datapaths, punted })
}

/// The firmware, with a session for each link. Those of links without negotiation never begin.
fn firmware(config: &AdapterConfig, uuid: Uuid, boot_id: u64) -> Firmware {
    let name: String = config.node.name.chars().take(Name::MAX).collect();
    let links = config.links.iter().filter_map(|link| {
        // A node's name has nothing that the name in a PDU may not have.
        let node = (uuid, Name::new(&name)?);
        let mac = derived_mac(uuid, &format!("link {}", link.name));
        let mut session = session::Config::new(Role::Iv, boot_id, mac, node, &link.name);
        session.port_description = format!("NIV link to a switch, {}", link.options.device);
        session.window = session::MAX_WINDOW;
        session.max_frame = open::max_frame(&link.options.device);
        Some(session)
    });
    let mut firmware = Firmware::new(firmware_sim::Config {
        carrier_delay: u64::from(config.firmware.carrier_delay) * SECOND,
        hold: u64::from(config.firmware.hold) * SECOND,
        ..firmware_sim::Config::new(links.collect())
    });
    firmware.set_faults(config.firmware.faults.clone());
    firmware
}

impl Adapter {
    /// Takes in the vNICs of the file, then those that are kept.
    fn begin(&self, config: &AdapterConfig) -> anyhow::Result<()> {
        let mut book = self.book.lock();
        let kept = Records::load(&*self.store)?;
        for what in &kept.unreadable {
            self.complain(&format!("not used: {what}"));
        }
        // What is written down comes first, then what vNICs had, then what is left.
        let mut others = Vec::new();
        for (name, settings) in kept.vnics {
            let ignored = match self.judge_kept(&name, &settings, config, &others) {
                Ok(config) => {
                    others.push(config);
                    None
                }
                Err(why) => {
                    self.complain(&format!("vNIC {name}, which a command added, is not used: {why}"));
                    Some(why)
                }
            };
            book.kept.insert(name, Kept { settings, ignored });
        }
        let all = || config.vnics.iter().chain(&others);
        let mut stale = kept.channels.clone();
        let mut ops = Vec::new();
        for vnic in all().filter(|vnic| vnic.channel().is_some()) {
            assign(&mut book.channels, vnic)?;
        }
        for vnic in all().filter(|vnic| vnic.channel().is_none()) {
            if let Some(before) = kept.channels.get(&vnic.name) {
                book.channels.take(*before, &vnic.name);
            }
        }
        // What is not used now is the vNIC's all the same.
        let Book { kept: known, channels, .. } = &mut *book;
        for (name, _) in known.iter().filter(|(_, kept)| kept.ignored.is_some()) {
            if let Some(before) = stale.remove(name) {
                channels.take(before, name);
            }
        }
        for vnic in all() {
            assign(&mut book.channels, vnic)?;
            let channel = book.channels.of(&vnic.name);
            if stale.remove(&vnic.name) != channel {
                ops.push(records::set_channel(&vnic.name, channel));
            }
        }
        ops.extend(stale.keys().map(|name| records::set_channel(name, None)));
        if !ops.is_empty() {
            self.store.commit(ops)?;
        }
        let channels = book.channels.clone();
        drop(book);
        let channel = |vnic: &VnicConfig| {
            vnic.fixed().map_or_else(|| channels.of(&vnic.name).unwrap_or_default(), |(vif, _)| vif.get())
        };
        let mut entries = Vec::new();
        for vnic in &config.vnics {
            let opened = self.open(vnic).with_context(|| format!("vNIC {}", vnic.name))?;
            entries.push(self.place(vnic.clone(), channel(vnic), opened, Origin::File));
        }
        for vnic in others {
            let channel = channel(&vnic);
            // A port that is missing now is no reason to leave the others without theirs.
            let opened = self.open(&vnic).unwrap_or_else(|error| {
                self.complain(&format!("vNIC {}: {error}", vnic.name));
                (self.state.lock().free_slot(), Opened::failed(error.to_string()))
            });
            entries.push(self.place(vnic, channel, opened, Origin::Command));
        }
        // Now, and not while ports are being opened, begins the time in which guests wait for their switch.
        entries.into_iter().try_for_each(|entry| self.admit(entry))?;
        Ok(())
    }

    /// What a kept vNIC means now; why it is not used, otherwise.
    fn judge_kept(
        &self,
        name: &str,
        settings: &crate::config::settings::Settings,
        config: &AdapterConfig,
        others: &[VnicConfig],
    ) -> Result<VnicConfig, String> {
        if config.vnics.iter().any(|vnic| vnic.name == name) {
            return Err("the configuration file has a vNIC of this name, which wins".to_owned());
        }
        let all = config.vnics.iter().chain(others);
        settings.judge(name, &self.link_configs, all).map_err(|error| error.to_string())
    }

    fn complain(&self, text: &str) {
        self.log.record(&Event::new("VNIC", Severity::Warning, "NOT_USED", text));
    }
}
