mod access_list;
mod chassis;
mod difference;
mod docs;
mod effective;
mod help;
mod inherit;
mod lines;
mod nexus;
mod private_vlan;
mod random_lines;
mod refusals;
mod round_trip;
mod slots;

use super::chassis::Chassis;
use super::commands::{Candidate, Selected, commands};
use super::running::{ChassisMode, Ethernet, EthernetId, Owner, PortMode, ProfileName, RunningConfig};
use crate::config::running::SwitchportMode;
use niv_node::command::{CommandError, Table};
use niv_node::config::File;
use niv_node::output::Output;
use std::collections::BTreeMap;
use std::sync::OnceLock;

const CHASSIS: &str = include_str!("chassis.toml");

/// A candidate, and what the adapters ask for.
struct Session {
    config: RunningConfig,
    selected: Option<Selected>,
    asked: BTreeMap<u32, ProfileName>,
}

impl Candidate for Session {
    fn config(&mut self) -> &mut RunningConfig {
        &mut self.config
    }
    fn selected(&mut self) -> &mut Option<Selected> {
        &mut self.selected
    }
    fn asked(&self, number: u32) -> Option<ProfileName> {
        self.asked.get(&number).cloned()
    }
    fn bounced(&mut self, _: Owner) {}
    fn asking(&self, profile: &ProfileName) -> Vec<u32> {
        self.asked.iter().filter(|(_, asked)| *asked == profile).map(|(number, _)| *number).collect()
    }
}

fn read_chassis() -> Chassis {
    Chassis::from_file(&File::new("vis.toml", CHASSIS)).unwrap()
}

fn ethernet(mode: PortMode, trunk: bool, negotiation: bool) -> Ethernet {
    let mode_of_vlans = if trunk { SwitchportMode::Trunk } else { SwitchportMode::Access };
    let mode = match mode {
        PortMode::Vntag => ChassisMode::Vntag,
        PortMode::Plain => ChassisMode::Plain(mode_of_vlans),
    };
    Ethernet::new(mode, negotiation)
}

/// 1/1 to 1/3 as in [`CHASSIS`], and 1/4, an NIV link that negotiates.
fn initial() -> RunningConfig {
    let id = |port| EthernetId { slot: 1, port };
    RunningConfig::new([
        (id(1), ethernet(PortMode::Vntag, false, false)),
        (id(2), ethernet(PortMode::Plain, true, true)),
        (id(3), ethernet(PortMode::Plain, false, false)),
        (id(4), ethernet(PortMode::Vntag, false, true)),
    ])
}

fn name(text: &str) -> ProfileName {
    ProfileName::new(text).unwrap()
}

/// The commands, which take their time to be put together.
fn table() -> &'static Table<Session> {
    static TABLE: OnceLock<Table<Session>> = OnceLock::new();
    TABLE.get_or_init(|| Table::new(commands(), &[]))
}

fn run(session: &mut Session, text: &str) -> Result<Output, CommandError> {
    table().configure(session, text)
}

fn configure(config: &RunningConfig, text: &str) -> Result<RunningConfig, CommandError> {
    let mut session = Session { config: config.clone(), selected: None, asked: BTreeMap::new() };
    run(&mut session, text)?;
    Ok(session.config)
}

/// A bit of everything.
const LINES: &str = "\
feature-set virtualization
no vethernet auto-create
vethernet hold 120
carrier-delay 0
port-profile type vethernet webservers
  description web servers of the lab
  switchport access vlan 10
  uplink-fail-action link-down
  max-ports 100
  state enabled
port-profile backup
  switchport mode trunk
  switchport trunk allowed vlan 20-29
interface vethernet 1
  switchport access vlan 10
  bind interface ethernet 1/1 channel 5
interface vethernet 2
  switchport mode trunk
  switchport trunk native vlan 10
  switchport trunk allowed vlan 10,20-29
  bind interface ethernet 1/1 channel 6
  mtu 9000
interface vethernet 7
  description the first of its kind
  inherit port-profile webservers
  bind mac 52:54:00:00:00:01
  uplink-fail-action warning
  shutdown
interface vethernet 8
  bind interface ethernet 1/4 channel 65535
interface ethernet 1/1
  vif-list 1 members 5-6
  vif-list 2 members 6
interface ethernet 1/2
  description to the rack
  switchport trunk allowed vlan except 30
";
