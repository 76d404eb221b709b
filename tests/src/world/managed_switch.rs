//! A whole switch without threads: the real engine, control plane and commands, between ports that are given.

use super::{Machine, clock, cpu_time, run_worker};
use link::Port;
use niv_node::api::Daemon;
use niv_node::command::CommandError;
use niv_node::config::File;
use niv_node::counter::Balance;
use niv_node::store::MemoryStore;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use vis_switch::admin::Admin;
use vis_switch::config::chassis::Chassis;
use vis_switch::config::running::{ChassisMode, Ethernet};
use vis_switch::engine::verdict::DropReason;
use vis_switch::engine::worker::Engine;
use vis_switch::switch::start::Beginning;
use vis_switch::switch::{Assembled, Controller, Kept, Parts, Switch, assemble};
use vntag::Vntag;
use vntag::uuid::Uuid;

/// Nanoseconds from 1970 to the beginning of virtual time.
const EPOCH: u64 = 1_700_000_000_000_000_000;
/// Rounds in which nothing moves, after which nothing will: what one brings takes effect in the next.
const QUIET: usize = 3;

/// A switch with its rim.
pub struct ManagedSwitch {
    /// Configuration, control plane, counters.
    pub switch: Arc<Switch>,
    /// Processor time that its control plane took.
    pub control_time: Duration,
    engines: Vec<Engine<Vntag>>,
    controller: Controller,
    admin: Admin,
    due: Option<u64>,
}

impl ManagedSwitch {
    /// A switch that finds what is in the store. The first `niv` of the ports are NIV links that negotiate, the others
    /// trunks.
    ///
    /// # Panics
    /// Where what the store has cannot be read.
    #[must_use]
    pub fn new(ports: Vec<Port>, niv: usize, store: &Arc<MemoryStore>, boot_id: u64) -> Self {
        let mut text = "[node]\nname = \"vis0\"\n".to_owned();
        for port in 1..=ports.len() {
            let mode = if port <= niv { "negotiation = \"off\"" } else { "mode = \"trunk\"" };
            text += &format!("[[port]]\nname = \"ethernet1/{port}\"\ndevice = \"pcap:never\"\n{mode}\n");
        }
        let mut chassis = Chassis::from_file(&File::new("vis.toml", text)).expect("a right chassis");
        for port in chassis.ports.iter_mut().take(niv) {
            port.negotiation = true;
            port.initial = Ethernet::new(ChassisMode::Vntag, true);
        }
        let kept = Kept::load(&**store).expect("readable");
        let beginning = Beginning::of(&chassis, &kept).expect("a right configuration");
        let parts = Parts {
            ports,
            store: (store.clone(), kept),
            uuid: Uuid([0xff; 16]),
            boot_id,
            seed: 1,
            now: clock::now,
            epoch: EPOCH,
            in_effect: Duration::ZERO,
            sandbox: niv_node::sandbox::Sandbox::off().report().clone(),
        };
        // Everything is the same for any number of workers.
        chassis.node.workers = 1 + boot_id as usize % 3;
        let Assembled { switch, controller, engines } =
            assemble(chassis, beginning, parts).expect("descriptors");
        let admin = Admin::new(switch.clone());
        Self { switch, control_time: Duration::ZERO, engines, controller, admin, due: None }
    }

    /// Types configuration lines: all of them, or none.
    ///
    /// # Errors
    /// The first that is refused.
    pub fn configure(&mut self, lines: &str) -> Result<String, CommandError> {
        let began = cpu_time();
        let answer = self.admin.configure(lines).map(|output| output.to_string());
        self.control_time += cpu_time() - began;
        answer
    }

    /// What a `show` line prints.
    ///
    /// # Panics
    /// When there is no such line.
    #[must_use]
    pub fn show(&self, line: &str) -> String {
        self.admin.exec(line).unwrap_or_else(|error| panic!("{line}: {error}")).to_string()
    }

    /// The same for programs.
    ///
    /// # Panics
    /// When there is no such line.
    #[must_use]
    pub fn value(&self, line: &str) -> Value {
        self.admin.exec(line).unwrap_or_else(|error| panic!("{line}: {error}")).to_json()
    }

    /// Both sides of the balance.
    #[must_use]
    pub fn balance(&self) -> Balance {
        self.switch.counters.balance()
    }

    /// The drop reasons that have counted anything, with their counts.
    #[must_use]
    pub fn drops(&self) -> Vec<(DropReason, u64)> {
        self.switch.counters.drops().filter(|(_, count)| *count > 0).collect()
    }
}

impl Machine for ManagedSwitch {
    fn run(&mut self, now: u64) -> usize {
        clock::set(now);
        let (mut all, mut quiet) = (0, 0);
        while quiet < QUIET {
            let began = cpu_time();
            self.due = self.controller.turn();
            self.control_time += cpu_time() - began;
            let mut moved = 0;
            for engine in &mut self.engines {
                engine.wake_all();
                moved += run_worker(engine, now);
            }
            quiet = if moved == 0 { quiet + 1 } else { 0 };
            all += moved;
        }
        all
    }

    fn deadline(&self) -> Option<u64> {
        self.due
    }
}
