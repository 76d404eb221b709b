//! The switch is killed at random moments of a long run of configuration commands: afterwards its configuration is, to the last
//! line, that of the last command which it acknowledged, or that and the one that was under way.

use super::files::{negotiated_port, node, port};
use super::place::Place;
use niv_lab::random::Random;
use niv_node::client::{Client, ClientError};
use niv_node::command::Place as Prompt;
use rustix::process::{Pid, Signal, kill_process};
use std::time::{Duration, Instant};
use vis_switch::config::draft;
use vis_switch::config::running::{ChassisMode, Ethernet, EthernetId, RunningConfig, SwitchportMode};
use vis_switch::config::text::running_config;

const KILLS: u64 = 200;
/// Commands between two kills, at most, before the one that the kill may meet.
const COMMANDS: u64 = 8;

#[test]
fn two_hundred_kills_leave_the_last_command_or_that_and_the_next() {
    let chassis = node("vis0").replace("startup = \"vis0.cfg\"\n", "")
        + &negotiated_port(1, "memif:link0.sock")
        + &port(2, "trunk", "memif:up0.sock");
    let mut place = Place::new(&[("vis0.toml", chassis)]);
    place.start("vis0");
    let (mut dice, mut known, mut run) = (Random::new(6), initial(), Run::default());
    assert_eq!(shown(&place), running_config(&known));
    let begun = Instant::now();
    for kill in 0..KILLS {
        // In the middle of anything, or right behind an acknowledgement.
        let (mut left, within) = (dice.below(COMMANDS), Duration::from_micros(dice.below(6000)));
        let behind = dice.chance(1, 4);
        let pid = Pid::from_raw(place.pid("vis0").try_into().unwrap()).unwrap();
        let end = move || {
            // It may be dead already.
            let _ = kill_process(pid, Signal::KILL);
        };
        let mut killer = None;
        let client = place.client("vis0");
        let flight = loop {
            if left == 0 && !behind {
                killer.get_or_insert_with(|| {
                    std::thread::spawn(move || {
                        std::thread::sleep(within);
                        end();
                    })
                });
            }
            let flight = run.command(&client, &mut known, &mut dice);
            if flight.is_some() {
                break flight;
            }
            if behind && left == 0 {
                end();
                break None;
            }
            left = left.saturating_sub(1);
        };
        killer.into_iter().for_each(|killer| killer.join().unwrap());
        place.kill("vis0");

        place.start("vis0");
        let now = shown(&place);
        if now != running_config(&known) {
            let flight = flight.filter(|flight| now == running_config(flight));
            known = flight
                .unwrap_or_else(|| panic!("kill {kill}: {now}\nacknowledged:\n{}", running_config(&known)));
            run.kept += 1;
        }
    }
    println!("{KILLS} kills in {:?}; {run:?}", begun.elapsed());
    assert!(run.acknowledged >= KILLS && run.refused > 0 && run.flights >= KILLS / 4, "{run:?}");
    place.stop("vis0");
}

/// What happened.
#[derive(Debug, Default)]
struct Run {
    /// Commands, or lines that were typed one by one.
    acknowledged: u64,
    refused: u64,
    /// Kills while one was under way, and how many of those are in the configuration.
    flights: u64,
    kept: u64,
}

impl Run {
    /// Gives a random command. Where the switch dies over it, says what the configuration would be with it.
    fn command(
        &mut self,
        client: &Client,
        known: &mut RunningConfig,
        dice: &mut Random,
    ) -> Option<RunningConfig> {
        let text = command(dice, self.acknowledged);
        if dice.chance(1, 2) {
            let next = draft::configure(known.clone(), &text).ok();
            return self.acknowledge(client.configure(&text).map(drop), known, next, &text);
        }
        // Typed: each line is a command.
        let mut prompt = client.line(&Prompt::default(), "configure terminal").ok()?.place;
        let mut section = String::new();
        let before = known.clone();
        for line in text.lines() {
            section.push_str(line);
            section.push('\n');
            let next = draft::configure(before.clone(), &section).ok();
            let done = client.line(&prompt, line).map(|step| prompt = step.place);
            let refused = next.is_none();
            let flight = self.acknowledge(done, known, next, &section);
            if refused || flight.is_some() {
                return flight;
            }
        }
        None
    }

    /// `next` is what comes of it, or nothing where it is to be refused.
    fn acknowledge(
        &mut self,
        done: Result<(), ClientError>,
        known: &mut RunningConfig,
        next: Option<RunningConfig>,
        text: &str,
    ) -> Option<RunningConfig> {
        match (done, next) {
            (Ok(()), Some(next)) => {
                *known = next;
                self.acknowledged += 1;
                None
            }
            (Err(ClientError::Command(_)), None) => {
                self.refused += 1;
                None
            }
            (Ok(()), None) => panic!("accepted: {text}"),
            (Err(ClientError::Command(error)), Some(_)) => panic!("{error}: {text}"),
            (Err(_), next) => {
                self.flights += 1;
                Some(next.unwrap_or_else(|| known.clone()))
            }
        }
    }
}

/// Few names, so that commands meet: some are refused, because what they name is missing or in use.
fn command(dice: &mut Random, step: u64) -> String {
    let (name, other, veth, vlan) = (dice.below(4), dice.below(4), 1 + dice.below(6), 2 + dice.below(20));
    match dice.below(18) {
        0 => format!(
            "port-profile p{name}\n  switchport access vlan {vlan}\n  description step {step}\n  state enabled\n"
        ),
        1 => format!("port-profile p{name}\n  inherit port-profile p{other}\n"),
        2 => format!("no port-profile p{name}\n"),
        3 => format!("interface vethernet {veth}-{}\n  inherit port-profile p{name}\n", veth + other),
        4 => format!("no interface vethernet {veth}\n"),
        5 => format!("vlan {vlan}\n  name step{step}\n"),
        6 => format!(
            "vlan {vlan}\n  private-vlan isolated\nvlan 100\n  private-vlan primary\n  private-vlan association {vlan}\n"
        ),
        7 => format!("ip access-list l{name}\n  {} permit tcp any any eq {vlan}\n", 1 + step % 50),
        8 => format!("no ip access-list l{name}\n"),
        9 => format!(
            "interface vethernet {veth}\n  ip access-group l{name} out\n  ip access-group l{other} in\n"
        ),
        10 => format!(
            "interface ethernet 1/2\n  switchport trunk allowed vlan 1-{vlan}\n  description step {step}\n"
        ),
        11 => format!(
            "port-profile type ethernet u{name}\n  system vlan {vlan}\n  switchport trunk allowed vlan 1-{vlan}\n  inherit port-profile u{other}\n"
        ),
        12 => format!(
            "interface ethernet 1/2\n  inherit port-profile u{name}\n  no switchport trunk allowed vlan\n"
        ),
        13 => format!("interface ethernet 1/2\n  no inherit port-profile u{name}\n  shutdown\n"),
        14 => format!("no port-profile type ethernet u{name}\n"),
        15 => format!(
            "interface vethernet {veth}\n  switchport port-security\n  switchport port-security maximum {vlan}\n  \
             switchport port-security mac-address 5254.0000.00{vlan:02}\n"
        ),
        16 => format!(
            "errdisable recovery interval {}\nerrdisable recovery cause psecure-violation\n",
            30 + vlan
        ),
        // Much to write.
        _ => format!("interface vethernet 1000-1200\n  description step {step}\n"),
    }
}

/// The configuration of the chassis.
fn initial() -> RunningConfig {
    let port = |port, mode| (EthernetId { slot: 1, port }, Ethernet::new(mode, true));
    RunningConfig::new([port(1, ChassisMode::Vntag), port(2, ChassisMode::Plain(SwitchportMode::Trunk))])
}

fn shown(place: &Place) -> String {
    place.client("vis0").exec("show running-config").unwrap().as_str().unwrap().to_owned()
}
