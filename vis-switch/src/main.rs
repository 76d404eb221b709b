//! `vis-switch`: opens the ports, starts the worker and the admin API, waits for the end.

use anyhow::{Context, bail};
use clap::Parser;
use core::hash::{BuildHasher, Hasher};
use link::device::Role;
use link::open::{Defaults, open_with};
use niv_node::config::{ConfigError, File};
use niv_node::stop::Stop;
use niv_node::supervise::Supervisor;
use niv_node::{api, clock, daemon, worker};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use vis_switch::admin::{Admin, configure};
use vis_switch::config::chassis::{Chassis, ChassisPort};
use vis_switch::config::running::{PortMode, RunningConfig};
use vis_switch::switch::assemble;

/// The virtual interface switch: switches between the virtual interfaces of its adapters and physical ports
#[derive(Parser)]
#[command(name = "vis-switch", version)]
struct Cli {
    #[command(flatten)]
    common: daemon::Args,
}

/// What a VNTag and the 802.1Q tag behind it add to a frame.
const TAGS: usize = 10;

fn main() -> ExitCode {
    let cli = Cli::parse();
    daemon::run("vis-switch", &cli.common, |stop| serve(cli.common.config.as_deref(), stop))
}

fn serve(file: Option<&Path>, stop: &Stop) -> anyhow::Result<()> {
    let chassis = match file {
        Some(path) => Chassis::from_file(&File::read(path)?)?,
        None => {
            daemon::private_folder(Path::new("niv-run"))?;
            Chassis::without_file()?
        }
    };
    let config = startup(&chassis)?;
    let mut ports = Vec::new();
    for port in &chassis.ports {
        let opened = open_with(&port.options, &defaults(port, &config));
        ports.push(opened.with_context(|| format!("[[port]] ethernet{}", port.id))?);
    }
    let seed = std::hash::RandomState::new().build_hasher().finish();
    let (switch, engine) = assemble(&chassis, config, ports, seed, clock::monotonic)?;
    let switch = Arc::new(switch);
    let api = api::serve(&chassis.node.api, Arc::new(Admin::new(Arc::clone(&switch))))?;

    let mut supervisor = Supervisor::from_environment();
    let pulse = supervisor.pulse("worker0").context("worker0")?;
    let options =
        worker::Options { cpu: chassis.node.cpu(0), pulse: Some(pulse), ..worker::Options::default() };
    let thread = worker::spawn("worker0", engine, options, stop.clone())?;
    tracing::info!(
        name = chassis.node.name,
        ports = chassis.ports.len(),
        api = %chassis.node.api.display(),
        "switching"
    );
    supervisor.watch(stop, || switch.status());
    drop(api);
    match thread.join() {
        Ok(ended) => ended.map(drop).context("worker0"),
        Err(_) => bail!("worker0 ended by a mistake in the program"),
    }
}

/// The running configuration to begin with: the chassis, then what it has built in, then the startup file.
fn startup(chassis: &Chassis) -> anyhow::Result<RunningConfig> {
    let config = configure(chassis.initial(), chassis.built_in)?;
    let Some(path) = &chassis.node.startup else { return Ok(config) };
    let file = path.display().to_string();
    let refused = |message| ConfigError { file: file.clone(), line: None, place: String::new(), message };
    let text = std::fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
    Ok(configure(config, &text).map_err(|error| refused(error.to_string()))?)
}

fn defaults(port: &ChassisPort, config: &RunningConfig) -> Defaults {
    let configured = config.ethernets().get(&port.id).unwrap_or(&port.initial);
    let tags = if configured.mode == PortMode::Vntag { TAGS } else { 0 };
    Defaults {
        name: format!("ethernet{}", port.id),
        role: Role::Server,
        queues: 1,
        mtu: usize::from(configured.switchport.mtu) + tags,
    }
}
