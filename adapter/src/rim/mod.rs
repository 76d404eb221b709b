//! The running adapter: opens what the configuration says, starts its threads, and waits.
//!
//! ```text
//!   API threads ────commands───┐
//!   front door ──news──┐       │
//!                      ▼       ▼
//!   control thread ─► Mutex<State> ──► Firmware ──carry_out──► Path ──orders──► workers
//!        ▲                                                └─► front door (carriers), event log
//!        └── punted frames, orders in effect, link state ◄─────────────────────── worker
//! ```
//!
//! The control thread sleeps until one of those has something or the firmware has a deadline. Whoever holds the state may
//! have done what the firmware wants; nobody waits for the worker or the front door while holding it.

mod adapter;
mod api;
mod capture;
mod channels;
mod confine;
mod control;
mod metrics;
mod news;
mod notice;
mod open;
mod path;
mod records;
mod start;
mod state;
#[cfg(test)]
mod tests;
mod vnics;

pub use adapter::{Adapter, VnicView};
pub use confine::policy;
pub use vnics::VnicError;

use crate::config::AdapterConfig;
use anyhow::{Context, bail};
use niv_node::identity::boot_id;
use niv_node::sandbox::Sandbox;
use niv_node::stop::Stop;
use niv_node::supervise::Supervisor;
use niv_node::worker::{self, Options};
use niv_node::{api as server, clock, part};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the workers may take to send the last frames.
const FAREWELL: Duration = Duration::from_millis(500);

/// Runs the adapter until it is asked to stop.
///
/// # Errors
/// Something cannot be opened or started; the error names it.
pub fn run(config: &AdapterConfig, sandbox: &Sandbox, stop: &Stop) -> anyhow::Result<()> {
    config.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    if let Some(startup) = &config.node.startup {
        bail!("startup = \"{}\": the adapter has no configuration commands", startup.display());
    }
    let started = start::start(config, boot_id()?, sandbox)?;
    let adapter = started.adapter;

    let mut supervisor = Supervisor::from_environment();
    // Control ends first, and has the first worker send its good-bye.
    let ending = Stop::new()?;
    let mut workers = Vec::new();
    for (number, mut datapath) in started.datapaths.into_iter().enumerate() {
        let name = format!("worker{number}");
        let pulse = supervisor.pulse(&name).context(name.clone())?;
        let options = Options { cpu: config.node.cpu(number), pulse: Some(pulse), ..Options::default() };
        let farewell = ending.clone();
        let thread = part::spawn(&name, stop, move || worker::run(&mut datapath, &options, &farewell))?;
        workers.push((name, thread));
    }
    let pulse = supervisor.pulse("control").context("control")?;
    let control = control::spawn(Arc::clone(&adapter), started.punted, pulse, ending.clone())?;
    let server = server::serve(
        &config.node.api,
        config.node.access.clone(),
        Arc::new(api::Api::new(Arc::clone(&adapter))),
    )?;
    sandbox.started();
    tracing::info!(
        name = config.node.name,
        links = adapter.links.len(),
        vnics = adapter.vnics().len(),
        api = %config.node.api.display(),
        "ready"
    );
    supervisor.watch(stop, || adapter.status());

    drop(server);
    adapter.say_good_bye();
    ending.request();
    let controlled = control.join();
    let moved: Vec<_> = workers.into_iter().map(|(name, thread)| (name, thread.join())).collect();
    if controlled.is_err() {
        bail!("control ended by a mistake in the program");
    }
    for (name, ended) in moved {
        let Ok(ended) = ended else { bail!("{name} ended by a mistake in the program") };
        ended.context(name)?;
    }
    Ok(())
}

impl Adapter {
    /// Tells the switches, and waits until that is on its way.
    fn say_good_bye(&self) {
        self.state.lock().close(clock::monotonic());
        let until = Instant::now() + FAREWELL;
        loop {
            let milestone = {
                let mut state = self.state.lock();
                state.turn(clock::monotonic());
                state.hands.path.milestone()
            };
            milestone.wait(until.saturating_duration_since(Instant::now()));
            if !milestone.is_waiting() || Instant::now() >= until {
                return;
            }
        }
    }
}
