//! Our side: one adapter, one memif link, one switch. Guests of one adapter, so every frame goes up the link and
//! comes down again.

use super::measure::{cpu_time, wait_for};
use super::{SWITCH_CORE, Side};
use crate::lab::balance;
use crate::lab::paths::{self, RUN};
use crate::lab::process::Process;
use anyhow::{Result, bail};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// The link between the two.
pub(super) const LINK: &str = "niv-run/bench-link0.sock";

/// What is behind a vNIC.
#[derive(Clone, Debug)]
pub(super) struct Vnic {
    /// Its device.
    pub(super) device: String,
    /// Its VLAN: who is in another one hears nothing.
    pub(super) vlan: u16,
}

impl Vnic {
    /// A vhost-user socket, whose path is that of [`socket`].
    pub(super) fn guest(nr: usize, vlan: u16) -> Self {
        Self { device: format!("vhost-user:{}", socket(nr).display()), vlan }
    }
}

/// The socket of the guest behind vNIC `nr`, counted from 0.
pub(super) fn socket(nr: usize) -> PathBuf {
    Path::new(RUN).join(format!("bench-vnic{nr}.sock"))
}

/// Where both daemons run.
#[derive(Clone, Debug)]
pub(super) struct Where {
    /// Cores, as `taskset -c` reads them.
    pub(super) cores: String,
    /// A network namespace, or this process's.
    pub(super) namespace: Option<String>,
}

impl Where {
    /// On the core of the switch side.
    pub(super) fn one_core() -> Self {
        Self { cores: SWITCH_CORE.to_owned(), namespace: None }
    }

    /// A command that runs there.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(if self.namespace.is_some() { "ip" } else { "taskset" });
        if let Some(name) = &self.namespace {
            command.args(["netns", "exec", name, "taskset"]);
        }
        command.args(["-c", &self.cores]).arg(program);
        command
    }
}

/// Adapter and switch; the switch alone where the adapter is somebody else's.
pub(super) struct Ours {
    adapter: Option<Process>,
    switch: Process,
    sockets: Vec<PathBuf>,
}

fn api(node: &str) -> PathBuf {
    Path::new(RUN).join(format!("bench-{node}.sock"))
}

impl Ours {
    /// Starts both; returns when every vNIC has its socket.
    pub(super) fn start(vnics: &[Vnic], place: &Where) -> Result<Self> {
        let vlans: Vec<u16> = vnics.iter().map(|vnic| vnic.vlan).collect();
        let mut ours = Self::switch(&vlans, None, place)?;
        fs::write("bench-adapter.toml", adapter_toml(vnics))?;
        ours.adapter = Some(start("bench-adapter0", "niv-adapter", "bench-adapter.toml", "adapter0", place)?);
        let path = |vnic: &Vnic| vnic.device.strip_prefix("vhost-user:").map(PathBuf::from);
        ours.sockets = vnics.iter().filter_map(path).collect();
        wait_for("the vNICs' sockets", PATIENCE, || {
            Ok(ours.sockets.iter().all(|s| s.exists()).then_some(()))
        })?;
        wait_for("the link", PATIENCE, || {
            let links = balance::show(&api("adapter0"), "link")?;
            Ok((links[0]["state"] == "up").then_some(()))
        })?;
        Ok(ours)
    }

    /// Starts a switch with a vEth in this VLAN for each VIF from 1 on, which has room for so many addresses, or for as many as by
    /// itself.
    pub(super) fn switch(vlans: &[u16], addresses: Option<u32>, place: &Where) -> Result<Self> {
        let room =
            addresses.map_or_else(String::new, |size| format!("[switch]\nmac_table_size = {size}\n\n"));
        fs::write("bench-vis.toml", format!("{room}{VIS_TOML}"))?;
        fs::write("bench-vis.cfg", vis_cfg(vlans))?;
        let switch = start("bench-vis0", "vis-switch", "bench-vis.toml", "vis0", place)?;
        Ok(Self { adapter: None, switch, sockets: Vec::new() })
    }

    /// CPU time of both so far.
    pub(super) fn cpu(&self) -> Result<Duration> {
        cpu_time(&self.all_pids())
    }

    /// Both processes.
    pub(super) fn all_pids(&self) -> Vec<u32> {
        self.adapter.iter().chain([&self.switch]).map(Process::pid).collect()
    }

    /// Fails unless both account for every frame, now that nobody sends; what the switch received.
    pub(super) fn accounts(&self) -> Result<u64> {
        if self.adapter.is_some() {
            balance::settled("adapter0", &api("adapter0"))?;
        }
        Ok(balance::settled("vis0", &api("vis0"))?.received)
    }

    /// The ends of their logs, for an error.
    pub(super) fn tails(&self) -> String {
        let tails: Vec<_> = self.adapter.iter().chain([&self.switch]).map(Process::tail).collect();
        tails.join("\n")
    }
}

fn start(name: &str, program: &str, config: &str, node: &str, place: &Where) -> Result<Process> {
    let mut command = place.command(&paths::program(program));
    command.args(["--config", config]);
    let mut process = Process::start(name, &mut command)?;
    let api = api(node);
    process.wait_until("opening its API", PATIENCE, || UnixStream::connect(&api).is_ok())?;
    Ok(process)
}

const VIS_TOML: &str = r#"[node]
name = "vis0"
state_dir = "state/bench-vis0"
api = "niv-run/bench-vis0.sock"
startup = "bench-vis.cfg"

[[port]]
name = "ethernet1/1"
mode = "vntag"
device = "memif:niv-run/bench-link0.sock"
negotiation = "off"
"#;

/// The VLANs with their VIFs, counted from 1.
fn members(vlans: &[u16]) -> Vec<Vec<usize>> {
    let mut different = vlans.to_vec();
    different.sort_unstable();
    different.dedup();
    let members = |vlan: u16| (1..).zip(vlans).filter(|(_, v)| **v == vlan).map(|(vif, _)| vif).collect();
    different.into_iter().map(members).collect()
}

fn vis_cfg(vlans: &[u16]) -> String {
    let mut text = String::new();
    for (vif, vlan) in (1..).zip(vlans) {
        let _ = writeln!(
            text,
            "interface vethernet {vif}\n  switchport access vlan {vlan}\n  bind interface ethernet 1/1 channel {vif}"
        );
    }
    text += "interface ethernet 1/1\n";
    for (list, vifs) in (1..).zip(members(vlans)) {
        let _ = writeln!(text, "  vif-list {list} members {}", ranges(&vifs));
    }
    text
}

/// Numbers in ascending order as `1-3,7`.
fn ranges(numbers: &[usize]) -> String {
    let parts = numbers.chunk_by(|a, b| a + 1 == *b).map(|part| match part {
        [one] => one.to_string(),
        part => format!("{}-{}", part[0], part[part.len() - 1]),
    });
    parts.collect::<Vec<_>>().join(",")
}

fn adapter_toml(vnics: &[Vnic]) -> String {
    let mut text = String::from(
        r#"[node]
name = "adapter0"
state_dir = "state/bench-adapter0"
api = "niv-run/bench-adapter0.sock"

[[link]]
name = "link0"
device = "memif:niv-run/bench-link0.sock"
negotiation = "off"
"#,
    );
    for (vif, Vnic { device, vlan }) in (1..).zip(vnics) {
        let _ = write!(
            text,
            "\n[[vnic]]\nname = \"vnic{vif}\"\ndevice = \"{device}\"\nlink = \"link0\"\nvif = {vif}\nvlan = {vlan}\n\
             vlan_mode = \"access\"\n"
        );
    }
    let vlans: Vec<u16> = vnics.iter().map(|vnic| vnic.vlan).collect();
    for (list, vifs) in (1..).zip(members(&vlans)) {
        let _ = write!(text, "\n[[list]]\nlink = \"link0\"\nid = {list}\nmembers = {vifs:?}\n");
    }
    text
}

impl Side for Ours {
    fn sockets(&self) -> [PathBuf; 2] {
        [0, 1].map(socket)
    }

    fn pids(&self) -> Vec<u32> {
        self.all_pids()
    }

    /// Adapter and switch each account for every frame, and the switch got all that the guests sent.
    fn balance(&mut self, from_guests: u64) -> Result<()> {
        let received = self.accounts()?;
        if received != from_guests {
            bail!("the guests sent {from_guests} frames, the switch received {received}");
        }
        Ok(())
    }

    fn tail(&self) -> String {
        self.tails()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_numbers_are_ranges() {
        assert_eq!(ranges(&[1, 2, 3, 7, 9, 10]), "1-3,7,9-10");
        assert_eq!(ranges(&[4]), "4");
    }

    #[test]
    fn each_vlan_has_one_list_and_the_same_one_on_both_sides() {
        let vnics: Vec<_> =
            [10, 10, 11, 11, 11].iter().enumerate().map(|(n, v)| Vnic::guest(n, *v)).collect();
        let cfg = vis_cfg(&[10, 10, 11, 11, 11]);
        assert!(cfg.ends_with("  vif-list 1 members 1-2\n  vif-list 2 members 3-5\n"), "{cfg}");
        let toml = adapter_toml(&vnics);
        assert!(toml.contains("id = 1\nmembers = [1, 2]\n"), "{toml}");
        assert!(toml.ends_with("id = 2\nmembers = [3, 4, 5]\n"), "{toml}");
    }
}
