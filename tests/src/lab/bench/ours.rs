//! Our side: one adapter, one memif link, one switch, all on one core. Two guests of one adapter, so every frame
//! goes up the link and comes down again.

use super::{SWITCH_CORE, Side, wait_for};
use crate::lab::packages::output;
use crate::lab::paths::{self, RUN};
use crate::lab::process::Process;
use anyhow::{Context, Result, bail};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

const VIS_TOML: &str = r#"[node]
name = "vis0"
state_dir = "state/bench-vis0"
api = "run/bench-vis0.api"
startup = "bench-vis.cfg"

[[port]]
name = "ethernet1/1"
mode = "vntag"
device = "memif:run/bench-link0.sock"
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
api = "run/bench-adapter0.api"

[[link]]
name = "link0"
device = "memif:run/bench-link0.sock"
negotiation = "off"

[[vnic]]
name = "vnic0"
device = "vhost-user:run/bench-vnic0.sock"
link = "link0"
mac = "52:54:00:0b:00:01"
vif = 1
vlan = 10
vlan_mode = "access"

[[vnic]]
name = "vnic1"
device = "vhost-user:run/bench-vnic1.sock"
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
    Path::new(RUN).join(format!("bench-{node}.api"))
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

    fn counters(node: &str) -> Result<serde_json::Value> {
        let nivctl = paths::program("nivctl");
        let text = output(Command::new(nivctl).arg("--api").arg(api(node)).args(["-j", "show", "counters"]))?;
        serde_json::from_str(&text).with_context(|| format!("{node}'s counters: {text}"))
    }
}

impl Side for Ours {
    fn sockets(&self) -> [PathBuf; 2] {
        ["run/bench-vnic0.sock", "run/bench-vnic1.sock"].map(PathBuf::from)
    }

    fn pids(&self) -> Vec<u32> {
        vec![self.adapter.pid(), self.switch.pid()]
    }

    /// Adapter and switch each: received + replicated = sent + dropped, once nothing moves any more.
    fn balance(&mut self, from_guests: u64) -> Result<()> {
        let number = |value: &serde_json::Value, name: &str| {
            value[name].as_u64().with_context(|| format!("no counter {name} in {value}"))
        };
        let said = std::cell::RefCell::new(String::new());
        let done = wait_for("the balance", PATIENCE, || {
            let mut exact = true;
            let mut said = said.borrow_mut();
            said.clear();
            for (node, at) in [("vis0", "/switch"), ("adapter0", "")] {
                let counters = Self::counters(node)?;
                let counters = counters.pointer(at).with_context(|| format!("{node} counts no {at}"))?;
                let [received, replicated, sent, dropped] = [
                    number(counters, "received")?,
                    number(counters, "replicated")?,
                    number(counters, "sent")?,
                    number(counters, "dropped")?,
                ];
                exact &= received + replicated == sent + dropped;
                let _ = write!(
                    said,
                    "{node}: received {received} + replicated {replicated}, sent {sent} + dropped {dropped}; "
                );
                if node == "vis0" {
                    // Nothing is lost upward: what the guests sent is what the switch got.
                    exact &= received == from_guests;
                }
            }
            Ok(exact.then_some(()))
        });
        if done.is_err() {
            bail!("frames are not accounted for: the guests sent {from_guests}; {}", said.borrow());
        }
        Ok(())
    }

    fn tail(&self) -> String {
        format!("{}\n{}", self.adapter.tail(), self.switch.tail())
    }
}
