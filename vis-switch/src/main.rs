//! `vis-switch`: opens the ports, starts the worker and the admin API, waits for the end.

use anyhow::{Context, bail};
use clap::Parser;
use core::hash::{BuildHasher, Hasher};
use link::device::Role;
use link::open::{Defaults, open_with};
use niv_node::config::{ConfigError, File};
use niv_node::stop::Stop;
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
    let (switch, mut engine) = assemble(&chassis, config, ports, seed, clock::monotonic)?;
    let api = api::serve(&chassis.node.api, Arc::new(Admin::new(Arc::new(switch))))?;

    let options = worker::Options { cpu: chassis.node.cpu(0), ..worker::Options::default() };
    let ending = stop.clone();
    let thread = std::thread::Builder::new().name("worker0".to_owned()).spawn(move || {
        let ended = worker::run(&mut engine, &options, &ending);
        // Without its worker there is no switch.
        ending.request();
        ended
    })?;
    tracing::info!(
        name = chassis.node.name,
        ports = chassis.ports.len(),
        api = %chassis.node.api.display(),
        "switching"
    );
    stop.wait();
    drop(api);
    match thread.join() {
        Ok(ended) => ended.context("worker0"),
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
