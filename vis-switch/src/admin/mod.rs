//! The admin face of a switch: its command table and what the API needs.

mod access_lists;
mod brief;
mod capture;
mod counters;
mod doctor;
mod ethernet;
mod inherited;
mod metrics;
mod names;
mod neighbors;
mod page;
mod port_security;
mod private_vlan;
mod profile;
mod saved;
mod system;
mod vethernet;
mod virt;

use crate::config::commands::{Candidate, Selected, commands};
use crate::config::running::{EthernetId, ProfileName, RunningConfig};
use crate::config::slots::Owner;
use crate::config::text;
use crate::switch::Switch;
use niv_node::accounting::{self, Accounting};
use niv_node::api::{Capture, Daemon, Identity};
use niv_node::command::{Args, Command, CommandError, EXEC, Language, Refusal, Reply, Table};
use niv_node::event;
use niv_node::metrics::Metrics;
use niv_node::output::Output;
use std::sync::Arc;

/// What commands run against: the switch, and a candidate where they configure.
pub struct Session {
    switch: Arc<Switch>,
    candidate: RunningConfig,
    selected: Option<Selected>,
    /// Interfaces on which `shutdown` or `no shutdown` was typed.
    bounced: Vec<Owner>,
}

impl Candidate for Session {
    fn config(&mut self) -> &mut RunningConfig {
        &mut self.candidate
    }

    fn selected(&mut self) -> &mut Option<Selected> {
        &mut self.selected
    }

    fn asked(&self, number: u32) -> Option<ProfileName> {
        let state = self.switch.state();
        let veth = state.control.veth(number)?;
        veth.record?.profile.as_deref().and_then(ProfileName::new)
    }

    fn bounced(&mut self, owner: Owner) {
        self.bounced.push(owner);
    }

    fn asking(&self, profile: &ProfileName) -> Vec<u32> {
        self.switch.state().control.asking(profile.as_str()).collect()
    }
}

type Answer = Result<Reply, Refusal>;

const WORDS: &[(&str, &str)] = &[
    ("address", "One address"),
    ("access-group", "Access list for IPv4 packets"),
    ("access-list", "Rules about IPv4 packets"),
    ("access-lists", "Rules about IPv4 packets, and how many each has decided about"),
    ("aging", "When what was seen makes room for others"),
    ("any", "All addresses"),
    ("bind", "What belongs to the interface"),
    ("checkpoint", "Configurations that were kept under a name"),
    ("control", "The control plane"),
    ("deny", "Drop packets"),
    ("ethernet", "Physical port"),
    ("diff", "What differs between configurations"),
    ("eq", "This port"),
    ("errdisable", "Interfaces that a violation has taken down"),
    ("gt", "Ports above this one"),
    ("host", "One address"),
    ("interface", "Interfaces"),
    ("ip", "IPv4"),
    ("lt", "Ports below this one"),
    ("mac-address", "Addresses that may be sources"),
    ("neq", "All ports but this one"),
    ("permit", "Let packets pass"),
    ("port-profile", "Settings for many interfaces"),
    ("port-security", "Only so many addresses may be sources"),
    ("running-config", "The configuration in force"),
    ("range", "From one port to another"),
    ("private-vlan", "VLANs whose members are kept apart"),
    ("mapping", "Whom a promiscuous interface serves"),
    ("recovery", "They come up again by themselves"),
    ("remark", "A text for people"),
    ("rollback-patch", "Lines that turn one configuration into another"),
    ("show", "Show running system information"),
    ("status", "Which interfaces are connected"),
    ("sticky", "What is seen becomes a line of the configuration"),
    ("switchport", "VLANs of the interface"),
    ("trunk", "Many VLANs, told apart by tags"),
    ("vethernet", "Virtual Ethernet interfaces"),
    ("virtual", "Virtual interfaces"),
    ("vlan", "VLANs"),
];

/// The command table of a switch.
#[must_use]
pub fn table() -> Table<Session> {
    let show = [
        Command::new(EXEC, "show interface", "All interfaces in detail", interfaces),
        Command::new(EXEC, "show interface virtual", "Virtual interfaces", virt::all),
        Command::new(EXEC, "show interface virtual status", "Where each VIF stands", virt::status),
        Command::new(
            EXEC,
            "show interface virtual summary",
            "Whose virtual interfaces they are",
            virt::summary,
        ),
        Command::new(
            EXEC,
            "show interface virtual pending",
            "vNICs that are refused, and why",
            virt::pending,
        ),
        Command::new(
            EXEC,
            "show interface vethernet [<number:1-1048575>]",
            "Virtual interfaces in detail",
            vethernet::detail,
        ),
        Command::new(
            EXEC,
            "show vethernet <number:1-1048575> export",
            "All that is known of a virtual interface, as JSON",
            vethernet::export,
        ),
        Command::new(EXEC, "show interface ethernet [<port:port>]", "Physical ports", ethernet::detail),
        Command::new(EXEC, "show neighbors", "Who speaks LLDP on the NIV links", neighbors::neighbors),
        Command::new(
            EXEC,
            "show control statistics [all]",
            "Counters of control sessions",
            neighbors::statistics,
        ),
        Command::new(EXEC, "show vif-list", "VIF lists of the NIV links", neighbors::lists),
        Command::new(
            EXEC,
            "show port-profile [name <name:word>]",
            "Port profiles and their users",
            profile::profiles,
        ),
        Command::new(
            EXEC,
            "show mac address-table [dynamic] [{address <mac:mac>|vlan <vlan:1-4094>\
             |interface {ethernet <port:port>|vethernet <number:1-1048575>}}]",
            "Learned addresses",
            counters::addresses,
        ),
        Command::new(
            EXEC,
            "clear counters [interface {ethernet <port:port>|vethernet <number:1-1048575>}]",
            "Let the counters of show interface begin at zero",
            counters::clear,
        ),
        Command::new(EXEC, "show counters", "What went in, what came out", counters::counters),
        Command::new(EXEC, "show drops [all]", "Dropped frames by reason", counters::drops),
        Command::new(EXEC, event::SYNTAX, event::HELP, logging),
        Command::new(EXEC, accounting::SYNTAX, accounting::HELP, accounts),
        Command::new(EXEC, niv_node::doctor::SYNTAX, niv_node::doctor::HELP, doctor::show),
        Command::new(
            EXEC,
            "show [ip] access-lists [<list:word>]",
            "Access lists, and how many packets each line has decided about",
            access_lists::show,
        ),
        Command::new(EXEC, "show running-config", "The configuration in force", running_config),
        Command::new(
            EXEC,
            "show running-config interface",
            "What was typed on interfaces",
            running_interfaces,
        ),
        Command::new(
            EXEC,
            "show running-config port-profile [<name:word>]",
            "What was typed on port profiles",
            running_profiles,
        ),
        Command::new(
            EXEC,
            "show running-config vlan [<vlan:1-4094>]",
            "What was typed on VLANs",
            running_vlans,
        ),
        Command::new(
            EXEC,
            "show running-config interface vethernet <number:1-1048575> [expand-port-profile]",
            "What was typed on a virtual interface, or all that counts and where it comes from",
            inherited::of_vethernet,
        ),
        Command::new(
            EXEC,
            "show running-config interface ethernet <port:port> [expand-port-profile]",
            "What was typed on a physical port, or all that counts and where it comes from",
            inherited::of_ethernet,
        ),
        Command::new(EXEC, "show port-profile brief", "Port profiles, one a line", inherited::brief),
        Command::new(
            EXEC,
            "show port-profile usage [name <name:word>]",
            "Which interfaces have them",
            inherited::usage,
        ),
        Command::new(
            EXEC,
            "show port-profile expand-interface [name <name:word>]",
            "All that counts on the interfaces that have them",
            inherited::expand_interface,
        ),
        Command::new(
            EXEC,
            "show interface [{ethernet <port:port>|vethernet <number:1-1048575>}] brief",
            "Interfaces, one a line",
            brief::brief,
        ),
        Command::new(
            EXEC,
            "show interface [{ethernet <port:port>|vethernet <number:1-1048575>}] status",
            "Which interfaces are connected",
            brief::status,
        ),
        Command::new(
            EXEC,
            "show interface [{ethernet <port:port>|vethernet <number:1-1048575>}] description",
            "What interfaces are for",
            brief::description,
        ),
        Command::new(
            EXEC,
            "show interface [{ethernet <port:port>|vethernet <number:1-1048575>}] switchport",
            "VLANs of interfaces",
            brief::switchport,
        ),
        Command::new(
            EXEC,
            "show vlan [{brief|id <vlan:1-4094>}]",
            "VLANs, and who carries them",
            brief::vlan,
        ),
        Command::new(
            EXEC,
            "show vlan dot1q tag native",
            "Whether the native VLAN has a tag on trunks",
            brief::tag_native,
        ),
        Command::new(EXEC, "show port-security", "Interfaces with port security", port_security::all),
        Command::new(
            EXEC,
            "show port-security interface {ethernet <port:port>|vethernet <number:1-1048575>}",
            "Port security of one interface",
            port_security::interface,
        ),
        Command::new(
            EXEC,
            "show port-security address [interface {ethernet <port:port>|vethernet <number:1-1048575>}]",
            "Addresses that are secured",
            port_security::addresses,
        ),
        Command::new(
            EXEC,
            "show interface status err-disabled",
            "Interfaces that a violation has taken down",
            port_security::err_disabled,
        ),
        Command::new(
            EXEC,
            "show errdisable recovery",
            "What comes up again by itself, and when",
            port_security::recovery,
        ),
        Command::new(
            EXEC,
            "show vlan private-vlan",
            "Primary VLANs, the secondary ones that belong to them, and who is in those",
            private_vlan::show,
        ),
        Command::new(EXEC, "show lldp neighbors", "Who speaks LLDP on NIV links, in short", neighbors::lldp),
        Command::new(EXEC, "show feature", "What is on", system::feature),
        Command::new(EXEC, "show module", "What the chassis is made of", system::module),
        Command::new(EXEC, "show system workers", "The threads that move frames", system::workers),
        Command::new(EXEC, "show version", "Which software this is", system::version),
    ];
    Table::new(show.into_iter().chain(saved::commands()).chain(commands()).collect(), WORDS)
}

fn interfaces(session: &mut Session, _: &Args) -> Answer {
    let mut pages = ethernet::pages(&session.switch, &session.switch.state());
    pages.extend(vethernet::pages(session));
    Ok(page::Page::outputs(pages).into())
}

/// The interface in the line, if there is one; it exists.
fn named(session: &Session, args: &Args) -> Result<Option<Owner>, Refusal> {
    if let Some(text) = args.get_text("port") {
        let found = EthernetId::parse(text).filter(|id| session.switch.port(*id).is_some());
        let refused = || args.refuse("port", format!("There is no port ethernet {text}."));
        return found.map(|id| Some(Owner::Ethernet(id))).ok_or_else(refused);
    }
    let Some(number) = args.get_number("number") else { return Ok(None) };
    let found =
        u32::try_from(number).ok().filter(|number| session.switch.state().control.veth(*number).is_some());
    let refused = || args.refuse("number", format!("There is no interface vethernet {number}."));
    found.map(|number| Some(Owner::Vethernet(number))).ok_or_else(refused)
}

fn running_config(session: &mut Session, _: &Args) -> Answer {
    Ok(running(session, |_| true))
}

/// Those parts of the running configuration whose first line is wanted.
fn running(session: &Session, wanted: impl Fn(&str) -> bool) -> Reply {
    let config = Arc::clone(&session.switch.state().config);
    let text = text::running_config(&config);
    let parts = text.split_inclusive("!\n").filter(|part| part.lines().next().is_some_and(&wanted));
    let text: String = parts.collect();
    let value = serde_json::Value::from(text.clone());
    Output::prose(text, value).into()
}

fn running_interfaces(session: &mut Session, _: &Args) -> Answer {
    Ok(running(session, |first| first.starts_with("interface ")))
}

fn running_profiles(session: &mut Session, args: &Args) -> Answer {
    let Some(name) = args.get_text("name") else {
        return Ok(running(session, |first| first.starts_with("port-profile ")));
    };
    let config = Arc::clone(&session.switch.state().config);
    if ProfileName::new(name).is_none_or(|name| !config.port_profiles().contains_key(&name)) {
        return Err(args.refuse("name", format!("There is no port-profile {name}.")));
    }
    Ok(running(session, |first| {
        first.strip_prefix("port-profile ").is_some_and(|rest| rest.split(' ').next_back() == Some(name))
    }))
}

fn running_vlans(session: &mut Session, args: &Args) -> Answer {
    let wanted = args.get_number("vlan").map(|vlan| format!("vlan {vlan}"));
    Ok(running(session, |first| wanted.as_ref().map_or(first.starts_with("vlan "), |line| first == line)))
}

fn logging(session: &mut Session, args: &Args) -> Answer {
    Ok(event::show(&session.switch.events, args).into())
}

fn accounts(session: &mut Session, args: &Args) -> Answer {
    Ok(accounting::show(&session.switch.accounting, args).into())
}

/// A switch behind the admin API.
pub struct Admin {
    switch: Arc<Switch>,
    table: Table<Session>,
}

impl Admin {
    /// The face of this switch.
    #[must_use]
    pub fn new(switch: Arc<Switch>) -> Self {
        Self { switch, table: table() }
    }

    fn session(&self, candidate: RunningConfig) -> Session {
        Session { switch: self.switch.clone(), candidate, selected: None, bounced: Vec::new() }
    }
}

impl Daemon for Admin {
    fn identity(&self) -> Identity {
        Identity {
            daemon: env!("CARGO_PKG_NAME").to_owned(),
            name: self.switch.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    fn exec(&self, line: &str) -> Result<Output, CommandError> {
        self.table.exec(&mut self.session(RunningConfig::default()), line)
    }

    fn configure(&self, lines: &str) -> Result<Output, CommandError> {
        let (notes, bounced) = self.switch.change(|config| {
            let mut session = self.session(config);
            let notes = self.table.configure(&mut session, lines)?;
            Ok((session.candidate, (notes, session.bounced)))
        })?;
        if !bounced.is_empty() {
            self.switch.recover(bounced);
        }
        Ok(notes)
    }

    fn language(&self) -> &dyn Language {
        &self.table
    }

    fn ports(&self) -> Vec<String> {
        capture::ports(&self.switch)
    }

    fn accounting(&self) -> &Accounting {
        &self.switch.accounting
    }

    fn capture(&self, port: &str, count: Option<u64>) -> Result<Box<dyn Capture>, CommandError> {
        capture::begin(&self.switch, port, count)
    }

    fn metrics(&self, metrics: &mut Metrics) {
        metrics::write(&self.switch, metrics);
    }

    fn health(&self) -> Result<(), String> {
        self.switch.health()
    }
}
