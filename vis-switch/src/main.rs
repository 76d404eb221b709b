//! `vis-switch`: opens the ports, starts the workers, the control thread and the admin API, waits for the end.

use anyhow::{Context, bail};
use clap::Parser;
use core::hash::{BuildHasher, Hasher};
use link::device::Role;
use link::{Defaults, Undone, Uses};
use niv_node::config::{File, Node};
use niv_node::part;
use niv_node::sandbox::{Needs, Policy, Sandbox};
use niv_node::stop::Stop;
use niv_node::store::{RedbStore, Store};
use niv_node::supervise::Supervisor;
use niv_node::{api, clock, daemon, identity, worker};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use vis_switch::admin::Admin;
use vis_switch::cli::Cli;
use vis_switch::config::chassis::{Chassis, ChassisPort};
use vis_switch::config::running::{PortMode, RunningConfig};
use vis_switch::switch::start::Beginning;
use vis_switch::switch::{Assembled, IN_EFFECT, Kept, Parts, assemble};
use vntag::offload::recognise;
use vntag::uuid::Uuid;

/// What a VNTag and the 802.1Q tag behind it add to a frame.
const TAGS: usize = 10;

fn main() -> ExitCode {
    let cli = Cli::parse();
    daemon::run("vis-switch", &cli.common, || prepare(cli.common.config.as_deref()), serve)
}

fn prepare(file: Option<&Path>) -> anyhow::Result<(Chassis, Policy)> {
    let chassis = match file {
        Some(path) => Chassis::from_file(&File::read(path)?)?,
        None => {
            daemon::private_folder(Path::new("niv-run"))?;
            Chassis::without_file()?
        }
    };
    daemon::api_folder(&chassis.node.api)?;
    let mut policy = Policy::of(&chassis.node);
    for port in &chassis.ports {
        let Uses { listens, writes, abstract_names, connects, tap, packet, xdp } =
            port.options.uses(Role::Server);
        let listens = listens.into_iter().collect();
        policy.add(&Needs { listens, writes, abstract_names, connects, tap, packet, xdp, group: false });
    }
    Ok((chassis, policy))
}

fn serve(chassis: Chassis, sandbox: &Sandbox, stop: &Stop) -> anyhow::Result<()> {
    let (store, kept) = state(&chassis.node)?;
    let beginning = Beginning::of(&chassis, &kept)?;
    let mut ports = Vec::new();
    for port in &chassis.ports {
        let defaults = defaults(port, &beginning.config, chassis.node.workers);
        let needs_start = port.options.uses(defaults.role).needs_start();
        let opened = link::open_by(&port.options, &defaults, |opening| {
            sandbox.at_start(needs_start, move || opening.open())
        });
        ports.push(opened.with_context(|| format!("[[port]] ethernet{}", port.id))?);
    }
    let uuid = Uuid(identity::node_uuid(&chassis.node.state_dir, &chassis.node.name).context("state_dir")?);
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let parts = Parts {
        ports,
        store: (store, kept),
        uuid,
        boot_id: identity::boot_id()?,
        seed: std::hash::RandomState::new().build_hasher().finish(),
        now: clock::monotonic,
        epoch: u64::try_from(since_1970).unwrap_or(u64::MAX).saturating_sub(clock::monotonic()),
        in_effect: IN_EFFECT,
        sandbox: sandbox.report().clone(),
    };
    sandbox.started();
    let node = chassis.node.clone();
    let Assembled { switch, mut controller, engines } = assemble(chassis, beginning, parts)?;
    // How the ports are is known before anybody asks.
    controller.turn();
    let api = api::serve(&node.api, node.access.clone(), Arc::new(Admin::new(Arc::clone(&switch))))?;

    let mut supervisor = Supervisor::from_environment();
    // The workers go last: one of them sends the good-byes of control.
    let worker_stop = Stop::new()?;
    let mut workers = Vec::new();
    for (number, mut engine) in engines.into_iter().enumerate() {
        let name = format!("worker{number}");
        let pulse = Some(supervisor.pulse(&name).context(name.clone())?);
        let options = worker::Options { cpu: node.cpu(number), pulse, ..worker::Options::default() };
        let ending = worker_stop.clone();
        let thread = part::spawn(&name, stop, move || worker::run(&mut engine, &options, &ending))?;
        workers.push((name, thread));
    }
    let pulse = supervisor.pulse("control").context("control")?;
    let control = part::spawn("control", stop, {
        let stop = stop.clone();
        move || controller.run(&stop, Some(&pulse))
    })?;
    tracing::info!(
        name = switch.name,
        uuid = %switch.uuid,
        ports = switch.ports.len(),
        workers = workers.len(),
        api = %node.api.display(),
        "switching"
    );
    supervisor.watch(stop, || switch.status());
    drop(api);
    let controlled = control.join();
    worker_stop.request();
    let moved: Vec<_> = workers.into_iter().map(|(name, thread)| (name, thread.join())).collect();
    switch.keep_counters().context("counters")?;
    for (name, ended) in [("control".to_owned(), controlled)].into_iter().chain(moved) {
        let Ok(ended) = ended else { bail!("{name} ended by a mistake in the program") };
        ended.context(name)?;
    }
    Ok(())
}

/// Where state is kept, and what is there.
fn state(node: &Node) -> anyhow::Result<(Arc<dyn Store>, Kept)> {
    let store = RedbStore::open(&node.state_dir, &node.name)?;
    let file = node.state_dir.join(format!("{}.redb", node.name));
    let kept = Kept::load(&store).with_context(|| file.display().to_string())?;
    Ok((Arc::new(store), kept))
}

fn defaults(port: &ChassisPort, config: &RunningConfig, workers: usize) -> Defaults {
    let configured = config.ethernets().get(&port.id).unwrap_or(&port.initial);
    let hosts = configured.mode() != PortMode::Vntag;
    let tags = if hosts { 0 } else { TAGS };
    Defaults {
        name: format!("ethernet{}", port.id),
        role: Role::Server,
        // There are at most 64 workers.
        queues: u16::try_from(workers).unwrap_or(1),
        mtu: usize::from(config.effective_ethernet(port.id).switchport.mtu) + tags,
        hosts,
        recognise: Some(|frame| Undone::from_bytes(recognise(frame)?.to_bytes())),
    }
}
