//! Our side: one adapter, one memif link, one switch, all on one core. Two guests of one adapter, so every frame
//! goes up the link and comes down again.

use super::{SWITCH_CORE, Side, wait_for};
use crate::lab::balance;
use crate::lab::paths::{self, RUN};
use crate::lab::process::Process;
use anyhow::{Result, bail};
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

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

const VIS_CFG: &str = "\
interface vethernet 1
  switchport access vlan 10
  bind interface ethernet 1/1 channel 1
interface vethernet 2
  switchport access vlan 10
  bind interface ethernet 1/1 channel 2
interface ethernet 1/1
  vif-list 1 members 1-2
";

const ADAPTER_TOML: &str = r#"[node]
name = "adapter0"
state_dir = "state/bench-adapter0"
api = "niv-run/bench-adapter0.sock"

[[link]]
name = "link0"
device = "memif:niv-run/bench-link0.sock"
negotiation = "off"

[[vnic]]
name = "vnic0"
device = "vhost-user:niv-run/bench-vnic0.sock"
link = "link0"
mac = "52:54:00:0b:00:01"
vif = 1
vlan = 10
vlan_mode = "access"

[[vnic]]
name = "vnic1"
device = "vhost-user:niv-run/bench-vnic1.sock"
link = "link0"
mac = "52:54:00:0b:00:02"
vif = 2
vlan = 10
vlan_mode = "access"

[[list]]
link = "link0"
id = 1
members = [1, 2]
"#;

/// Adapter and switch.
pub(super) struct Ours {
    adapter: Process,
    switch: Process,
}

fn api(node: &str) -> PathBuf {
    Path::new(RUN).join(format!("bench-{node}.sock"))
}

impl Ours {
    /// Starts both.
    pub(super) fn start() -> Result<Self> {
        fs::write("bench-vis.toml", VIS_TOML)?;
        fs::write("bench-vis.cfg", VIS_CFG)?;
        fs::write("bench-adapter.toml", ADAPTER_TOML)?;
        let start = |name: &str, program: &str, config: &str, node: &str| -> Result<Process> {
            let mut command = Command::new("taskset");
            command.args(["-c", SWITCH_CORE]).arg(paths::program(program)).args(["--config", config]);
            let mut process = Process::start(name, &mut command)?;
            let api = api(node);
            process.wait_until("opening its API", PATIENCE, || UnixStream::connect(&api).is_ok())?;
            Ok(process)
        };
        let switch = start("bench-vis0", "vis-switch", "bench-vis.toml", "vis0")?;
        let adapter = start("bench-adapter0", "niv-adapter", "bench-adapter.toml", "adapter0")?;
        let ours = Self { adapter, switch };
        wait_for("the vNICs' sockets", PATIENCE, || {
            Ok(ours.sockets().iter().all(|s| s.exists()).then_some(()))
        })?;
        Ok(ours)
    }
}

impl Side for Ours {
    fn sockets(&self) -> [PathBuf; 2] {
        ["niv-run/bench-vnic0.sock", "niv-run/bench-vnic1.sock"].map(PathBuf::from)
    }

    fn pids(&self) -> Vec<u32> {
        vec![self.adapter.pid(), self.switch.pid()]
    }

    /// Adapter and switch each account for every frame, and the switch got all that the guests sent.
    fn balance(&mut self, from_guests: u64) -> Result<()> {
        balance::settled("adapter0", &api("adapter0"))?;
        let switch = balance::settled("vis0", &api("vis0"))?;
        if switch.received != from_guests {
            bail!("the guests sent {from_guests} frames, the switch received {}", switch.received);
        }
        Ok(())
    }

    fn tail(&self) -> String {
        format!("{}\n{}", self.adapter.tail(), self.switch.tail())
    }
}
