//! The smallest daemon: a list of VLANs, the command table over it, the admin API, a worker that only sleeps.
//!
//! ```text
//! cargo run -p niv-node --example toy -- --config toy.toml
//! nivctl --api niv-run/toy0.sock show vlan
//! ```

use anyhow::Context;
use clap::Parser;
use niv_node::accounting::Accounting;
use niv_node::api::{self, Capture, Daemon, Identity};
use niv_node::command::{CONFIG, Command, CommandError, EXEC, ErrorKind, Language, Mode, Reply, Table};
use niv_node::config::{self, File, Node, NodeSection};
use niv_node::daemon;
use niv_node::mailbox::{Mailbox, mailbox};
use niv_node::metrics::{Kind, Metrics};
use niv_node::output::{Column, Grid, Output};
use niv_node::part;
use niv_node::sandbox::{Policy, Sandbox};
use niv_node::stop::Stop;
use niv_node::supervise::Supervisor;
use niv_node::worker::{self, Options, Turn, Worker};
use parking_lot::Mutex;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// A toy that keeps VLANs.
#[derive(Parser)]
#[command(name = "toy", version)]
struct Cli {
    #[command(flatten)]
    common: daemon::Args,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    node: NodeSection,
}

/// What is configured: the context of the commands. A copy of it is the candidate.
#[derive(Clone, Default)]
struct Vlans {
    names: BTreeMap<u64, String>,
    current: u64,
}

const CONFIG_VLAN: Mode = Mode::new("config-vlan");

fn table() -> Table<Vlans> {
    Table::new(
        vec![
            Command::new(EXEC, "show vlan", "VLANs and their names", |vlans: &mut Vlans, _| {
                let mut grid =
                    Grid::new([Column::left("vlan", "VLAN").width(4), Column::left("name", "Name")]);
                for (vlan, name) in &vlans.names {
                    grid.row([(*vlan).into(), name.as_str().into()]);
                }
                Ok(Output::from(grid).into())
            }),
            Command::new(EXEC, "show vlan id <vlan:1-4094>", "One VLAN", |vlans: &mut Vlans, args| {
                let vlan = args.number("vlan");
                match vlans.names.get(&vlan) {
                    Some(name) => Ok(Output::message(name).into()),
                    None => Err(args.refuse("vlan", format!("VLAN {vlan} does not exist"))),
                }
            }),
            Command::new(CONFIG, "vlan <vlan:1-4094>", "Make a VLAN", |vlans: &mut Vlans, args| {
                vlans.current = args.number("vlan");
                if args.negated() {
                    vlans.names.remove(&vlans.current);
                    return Ok(Reply::Done);
                }
                vlans.names.entry(vlans.current).or_insert_with(|| format!("VLAN{:04}", vlans.current));
                Ok(Reply::Done)
            })
            .enters(CONFIG_VLAN)
            .no("vlan <vlan:1-4094>"),
            Command::new(CONFIG_VLAN, "name <name:word>", "Name it", |vlans: &mut Vlans, args| {
                if vlans.names.values().any(|name| name == args.text("name")) {
                    return Err(args.refuse("name", "the name is taken"));
                }
                vlans.names.insert(vlans.current, args.text("name").to_owned());
                Ok(Reply::Done)
            }),
        ],
        &[("show", "Show running system information")],
    )
}

/// The capture of a port on which a frame of 14 octets comes every millisecond.
struct Ticks {
    left: u64,
    begun: bool,
    _running: Arc<()>,
}

impl Capture for Ticks {
    fn read(&mut self, _patience: Duration) -> Option<Vec<u8>> {
        let block = |kind: u32, body: &[u8]| {
            let len = (12 + body.len() as u32).to_le_bytes();
            [&kind.to_le_bytes()[..], &len, body, &len].concat()
        };
        if !std::mem::replace(&mut self.begun, true) {
            let section =
                [&0x1a2b_3c4du32.to_le_bytes()[..], &[1, 0, 0, 0], &u64::MAX.to_le_bytes()].concat();
            return Some([block(0x0a0d_0d0a, &section), block(1, &[1, 0, 0, 0, 0, 0, 0, 0])].concat());
        }
        self.left = self.left.checked_sub(1)?;
        std::thread::sleep(Duration::from_millis(1));
        Some(block(6, &[&[0; 12][..], &[14, 0, 0, 0], &[14, 0, 0, 0], &[7; 16]].concat()))
    }
}

struct Toy {
    accounting: Accounting,
    captures: Arc<()>,
    node: Node,
    table: Table<Vlans>,
    vlans: Mutex<Vlans>,
}

impl Daemon for Toy {
    fn identity(&self) -> Identity {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Identity { daemon: "toy".to_owned(), name: self.node.name.clone(), version }
    }

    fn exec(&self, line: &str) -> Result<Output, CommandError> {
        self.table.exec(&mut self.vlans.lock(), line)
    }

    fn accounting(&self) -> &Accounting {
        &self.accounting
    }

    fn configure(&self, text: &str) -> Result<Output, CommandError> {
        let mut vlans = self.vlans.lock();
        let mut candidate = vlans.clone();
        let notes = self.table.configure(&mut candidate, text)?;
        *vlans = candidate;
        Ok(notes)
    }

    fn language(&self) -> &dyn Language {
        &self.table
    }

    fn ports(&self) -> Vec<String> {
        vec!["clock".to_owned()]
    }

    fn capture(&self, port: &str, count: Option<u64>) -> Result<Box<dyn Capture>, CommandError> {
        if port != "clock" {
            let message = format!("There is no port {port}; there is clock.");
            return Err(CommandError { kind: ErrorKind::Invalid, ..CommandError::refused(message) });
        }
        let running = Arc::clone(&self.captures);
        Ok(Box::new(Ticks { left: count.unwrap_or(u64::MAX), begun: false, _running: running }))
    }

    fn metrics(&self, metrics: &mut Metrics) {
        let captures = Arc::strong_count(&self.captures) - 1;
        metrics.family("toy_captures", Kind::Gauge, "Captures that run").sample(&[], captures);
        metrics.family("toy_vlans", Kind::Gauge, "VLANs").sample(&[], self.vlans.lock().names.len());
    }
}

/// A worker without frames.
struct Idler {
    mailbox: Mailbox<()>,
}

impl Worker for Idler {
    fn turn(&mut self, _now: u64) -> Turn {
        let moved = self.mailbox.drain(|()| ());
        Turn { moved, idle: true, next: None }
    }

    fn ready(&mut self, _token: u64) {}

    fn events(&self) -> Vec<(BorrowedFd<'_>, u64)> {
        vec![(self.mailbox.event(), 0)]
    }

    fn events_changed(&mut self) -> bool {
        false
    }
}

fn prepare(args: &daemon::Args) -> anyhow::Result<(Node, Policy)> {
    let node = match &args.config {
        Some(path) => {
            let (file, config): (File, Config) = config::load(path)?;
            Node::from_file(&file, &config.node, "toy0")?
        }
        None => Node::without_file("toy0"),
    };
    let policy = Policy::of(&node);
    Ok((node, policy))
}

fn run(node: Node, sandbox: &Sandbox, stop: &Stop) -> anyhow::Result<()> {
    let (control, mailbox) = mailbox(64)?;
    let mut supervisor = Supervisor::from_environment();
    let pulse = Some(supervisor.pulse("worker0")?);
    let options = Options { cpu: node.cpu(0), pulse, ..Options::default() };
    let (mut idler, ending) = (Idler { mailbox }, stop.clone());
    let worker = part::spawn("worker0", stop, move || worker::run(&mut idler, &options, &ending))?;

    let startup = node.startup.clone();
    let toy = Arc::new(Toy {
        accounting: Accounting::default(),
        captures: Arc::default(),
        node,
        table: table(),
        vlans: Mutex::default(),
    });
    if let Some(path) = startup {
        let name = || path.display().to_string();
        let text = std::fs::read_to_string(&path).with_context(name)?;
        toy.configure(&text).with_context(name)?;
    }
    let daemon: Arc<dyn Daemon> = toy.clone();
    let server = api::serve(&toy.node.api, toy.node.access.clone(), daemon)?;
    sandbox.started();
    println!("ready");
    supervisor.watch(stop, String::new);
    drop((server, control));
    worker.join().map_err(|_| anyhow::anyhow!("the worker panicked"))??;
    Ok(())
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    daemon::run("toy", &cli.common, || prepare(&cli.common), run)
}
