//! The lab running: started in order, stopped in order.

use super::agent::Agent;
use super::guest::{Accelerator, BOOT, Guest, Machine};
use super::packages::output;
use super::process::Process;
use super::topology::{self, ADAPTERS, HOST, PREFIX, TAP, VMS, Vm};
use super::{cleanup, packages, paths, say};
use anyhow::{Context, Result, anyhow, bail};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Time for a daemon to open its sockets.
const START: Duration = Duration::from_secs(10);

/// All processes of the lab. Dropping it stops them: guests first, the switch last.
pub(crate) struct Lab {
    agents: Vec<Agent>,
    guests: Vec<Guest>,
    adapters: Vec<Process>,
    switch: Option<Process>,
    _host: Host,
}

/// Builds the programs that the lab runs, and these packages.
pub(crate) fn build(more: &[&str]) -> Result<()> {
    say::line("  building switch and adapter (release)");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args([
            "build",
            "--release",
            "--locked",
            "-p",
            "vis-switch",
            "-p",
            "niv-adapter",
            "-p",
            "niv-node",
            "-p",
            "vntag",
        ])
        .args(more.iter().flat_map(|package| ["-p", package]))
        .current_dir(paths::repository())
        .stdin(Stdio::null())
        .status()
        .context("cannot run cargo")?;
    if !status.success() {
        bail!("the build failed");
    }
    Ok(())
}

/// Fails early, with the remedy, where this user cannot make a network namespace.
pub(crate) fn need_root() -> Result<()> {
    if packages::root() {
        return Ok(());
    }
    bail!(
        "a tap device and a network namespace need root: run it as `sudo -E env PATH=\"$PATH\" cargo lab ...`"
    )
}

impl Lab {
    /// Starts everything and waits until each guest answers.
    pub(crate) fn start(machine: &Machine) -> Result<Self> {
        topology::write()?;
        let host = Host::create()?;
        let step = say::Step::begin("Starting switch and adapters");
        let switch = start_switch()?;
        let adapters = (0..ADAPTERS).map(start_adapter).collect::<Result<Vec<_>>>()?;
        step.done("vis0, adapter0, adapter1");

        let step = say::Step::begin("Booting four guests");
        let started = Instant::now();
        let mut guests = VMS.iter().map(|vm| start_guest(vm, machine)).collect::<Result<Vec<_>>>()?;
        let boots: Vec<Result<(Agent, Duration)>> = std::thread::scope(|scope| {
            let waits: Vec<_> = guests
                .iter_mut()
                .map(|guest| scope.spawn(move || Ok((guest.agent(BOOT)?, started.elapsed()))))
                .collect();
            waits
                .into_iter()
                .map(|wait| wait.join().unwrap_or_else(|_| Err(anyhow!("boot panicked"))))
                .collect()
        });
        let boots = boots.into_iter().collect::<Result<Vec<_>>>()?;
        let times: Vec<_> =
            VMS.iter().zip(&boots).map(|(vm, (_, t))| format!("{} {}", vm.name, say::seconds(*t))).collect();
        step.done(&format!("{}, by {}", times.join(", "), machine.accelerator.name().to_uppercase()));
        let agents = boots.into_iter().map(|(agent, _)| agent).collect();
        Ok(Self { agents, guests, adapters, switch: Some(switch), _host: host })
    }

    /// The agents, in the order of [`VMS`].
    pub(crate) fn agents(&self) -> &[Agent] {
        &self.agents
    }

    /// Lets go of the guests' agents, so that others can connect to them.
    pub(crate) fn release_agents(&mut self) {
        self.agents.clear();
    }

    /// Hands over the switch, for somebody who ends it and starts another one.
    pub(crate) fn take_switch(&mut self) -> Result<Process> {
        self.switch.take().context("no switch is running")
    }

    /// Takes over a switch that was started again.
    pub(crate) fn put_switch(&mut self, switch: Process) {
        self.switch = Some(switch);
    }

    /// Process ids of adapters and guests.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.adapters.iter().map(Process::pid).chain(self.guests.iter().map(|g| g.process.pid())).collect()
    }

    /// Fails if a process of the lab has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.guests
            .iter_mut()
            .map(|guest| &mut guest.process)
            .chain(&mut self.adapters)
            .chain(&mut self.switch)
            .try_for_each(Process::check)
    }

    /// The ends of the daemons' logs, for an error.
    pub(crate) fn tails(&self) -> String {
        let tails: Vec<_> = self.switch.iter().chain(&self.adapters).map(Process::tail).collect();
        tails.join("\n")
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.agents.clear();
        self.guests.clear();
        self.adapters.clear();
        self.switch = None;
    }
}

/// Starts the switch, and returns when its process exists, not when it serves.
pub(crate) fn start_again() -> Result<Process> {
    // The switch lives in the host's namespace: its tap device is made there, and is the host's network card.
    let mut command = Command::new("ip");
    command
        .args(["netns", "exec", &cleanup::namespace()])
        .arg(paths::program("vis-switch"))
        .args(["--config", "vis.toml"]);
    Process::start("vis0", &mut command)
}

fn start_switch() -> Result<Process> {
    let mut switch = start_again()?;
    switch.wait_until("opening its API", START, || answers(&topology::api("vis0")))?;
    Ok(switch)
}

fn start_adapter(nr: usize) -> Result<Process> {
    let name = format!("adapter{nr}");
    let mut command = Command::new(paths::program("niv-adapter"));
    command.args(["--config", &format!("{name}.toml")]);
    let mut adapter = Process::start(&name, &mut command)?;
    let api = topology::api(&name);
    let sockets: Vec<_> = VMS.iter().filter(|vm| vm.adapter == nr).map(topology::vnic_socket).collect();
    adapter
        .wait_until("opening its sockets", START, || answers(&api) && sockets.iter().all(|s| s.exists()))?;
    Ok(adapter)
}

fn answers(socket: &Path) -> bool {
    UnixStream::connect(socket).is_ok()
}

fn start_guest(vm: &Vm, machine: &Machine) -> Result<Guest> {
    let mut nivctl = Command::new(paths::program("nivctl"));
    nivctl
        .arg("--api")
        .arg(topology::api(&format!("adapter{}", vm.adapter)))
        .args(["-j", "vnic", "qemu", vm.name]);
    let mut nic = network_card(&output(&mut nivctl)?)?;
    let here = format!("path={}/", std::env::current_dir()?.display());
    for word in &mut nic {
        // Seen from here, where a Unix socket's path is short enough however deep the clone lies.
        *word = word.replace(&here, "path=");
        if word.starts_with("virtio-net-pci") && machine.accelerator == Accelerator::Tcg {
            // Debian 12's QEMU 7.2 crashes under TCG with vhost-user and MSI-X.
            word.push_str(",vectors=0");
        }
    }
    Guest::start(vm.name, machine, &format!("niv.ip={}/{PREFIX}", vm.ip), &nic)
}

/// Of what `nivctl vnic qemu` says, the arguments for the network card: shared memory the guest has anyway.
fn network_card(json: &str) -> Result<Vec<String>> {
    let said: serde_json::Value = serde_json::from_str(json).with_context(|| format!("vnic qemu: {json}"))?;
    serde_json::from_value(said["vnic"].clone()).with_context(|| format!("vnic qemu names no vnic: {json}"))
}

/// The host behind the switch: a network namespace whose only card is the switch's tap device.
pub(crate) struct Host;

impl Host {
    fn create() -> Result<Self> {
        let name = cleanup::namespace();
        cleanup::remove_namespaces();
        output(Command::new("ip").args(["netns", "add", &name]))?;
        let host = Self;
        // Made here and kept: the switch attaches to it, and finds it again after a restart.
        let address = format!("{HOST}/{PREFIX}");
        for words in [
            &["tuntap", "add", TAP, "mode", "tap"][..],
            &["address", "add", &address, "dev", TAP],
            &["link", "set", TAP, "up"],
            &["link", "set", "lo", "up"],
        ] {
            output(Command::new("ip").args(["-n", &name]).args(words))?;
        }
        // A quiet host: what moves in the lab was asked for.
        output(in_host("sh").args(["-c", "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6"]))?;
        Ok(host)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        cleanup::remove_namespaces();
    }
}

/// A command that runs on the host behind the switch.
pub(crate) fn in_host(program: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &cleanup::namespace(), program]);
    command
}
