//! The peer: Debian's OVS-DPDK, one bridge with the NORMAL action, two vhost-user ports, one polling thread.

use super::huge::Memory;
use super::measure::wait_for;
use super::{Cores, Side, list_of};
use crate::lab::packages::output;
use crate::lab::paths::{LOG, RUN};
use crate::lab::process::{Process, tail_of};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Its ports to the guests.
const PORTS: [&str; 2] = ["v0", "v1"];

const PATIENCE: Duration = Duration::from_secs(20);

/// The time OVS is given to answer one question, in seconds.
const TIMEOUT: &str = "--timeout=15";

/// Statistics of the polling thread.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Work {
    packets: f64,
    busy: f64,
    idle: f64,
}

impl Work {
    /// Reads `pmd-stats-show`, all polling threads together. The main thread, which comes last, does not count.
    fn of(text: &str) -> Result<Self> {
        let polling = text.split("main thread:").next().unwrap_or_default();
        let value = |name: &str| -> Result<f64> {
            let of =
                |line: &str| line.trim().strip_prefix(name)?.split_whitespace().next()?.parse::<f64>().ok();
            let each: Vec<f64> = polling.lines().filter_map(of).collect();
            if each.is_empty() {
                bail!("OVS gives no {name:?} {text}");
            }
            Ok(each.iter().sum())
        };
        Ok(Self {
            packets: value("packets received:")?,
            busy: value("processing cycles:")?,
            idle: value("idle cycles:")?,
        })
    }
}

/// OVS, with a database of its own.
pub(super) struct Ovs {
    folder: PathBuf,
    switch: Process,
    _database: Process,
    before: Work,
    tso: bool,
}

impl Ovs {
    /// Starts database and switch.
    pub(super) fn start(memory: &Memory) -> Result<Self> {
        Self::start_on(memory, Cores::ONE.switch)
    }

    /// The same with a polling thread on each of these cores.
    pub(super) fn start_on(memory: &Memory, cores: &[usize]) -> Result<Self> {
        Self::start_as(memory, cores, false)
    }

    /// The same with userspace TSO. It has that only where the guests' side listens.
    pub(super) fn start_with_tso(memory: &Memory) -> Result<Self> {
        Self::start_as(memory, Cores::ONE.switch, true)
    }

    fn start_as(memory: &Memory, cores: &[usize], tso: bool) -> Result<Self> {
        let folder = std::env::current_dir()?.join(RUN).join("ovs");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        let at = |name: &str| folder.join(name);
        let schema = "/usr/share/openvswitch/vswitch.ovsschema";
        output(Command::new("ovsdb-tool").arg("create").arg(at("conf.db")).arg(schema))?;

        let mut command = Command::new("ovsdb-server");
        command.env("OVS_RUNDIR", &folder).arg(at("conf.db"));
        command
            .arg(format!("--remote=punix:{}", at("db").display()))
            .arg(format!("--unixctl={}", at("dbctl").display()));
        let mut database = Process::start("bench-ovsdb", &mut command)?;
        database.wait_until("opening its socket", PATIENCE, || at("db").exists())?;

        vsctl(&folder, &["--no-wait", "init"])?;
        vsctl(
            &folder,
            &[
                "--no-wait",
                "set",
                "Open_vSwitch",
                ".",
                "other_config:dpdk-init=true",
                &format!("other_config:dpdk-extra={}", memory.ovs()),
                &format!("other_config:pmd-cpu-mask={}", mask(cores)),
                &format!("other_config:dpdk-lcore-mask={}", mask(&cores[..1])),
                &format!("other_config:userspace-tso-enable={tso}"),
            ],
        )?;
        let mut command = Command::new("taskset");
        command.args(["-c", &list_of(cores), "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"]);
        command.env("OVS_RUNDIR", &folder).env("OVS_LOGDIR", &folder);
        command.arg(format!("unix:{}", at("db").display())).arg(format!("--unixctl={}", at("ctl").display()));
        let switch = Process::start("bench-ovs", &mut command)?;
        let ovs = Self { folder, switch, _database: database, before: Work::default(), tso };
        let done =
            vsctl(&ovs.folder, &["add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev"]);
        done.with_context(|| tail_of(&Path::new(LOG).join("bench-ovs.log")))?;
        for port in PORTS {
            let listens = format!("options:vhost-server-path={}", ovs.folder.join(port).display());
            let kind: &[&str] =
                if tso { &["type=dpdkvhostuserclient", &listens] } else { &["type=dpdkvhostuser"] };
            vsctl(&ovs.folder, &[&["add-port", "br0", port, "--", "set", "Interface", port], kind].concat())?;
        }
        if tso {
            return Ok(ovs);
        }
        wait_for("OVS's vhost-user sockets", PATIENCE, || {
            Ok(ovs.sockets().iter().all(|s| s.exists()).then_some(()))
        })?;
        Ok(ovs)
    }

    fn appctl(&self, words: &[&str]) -> Result<String> {
        output(Command::new("ovs-appctl").arg(TIMEOUT).arg("-t").arg(self.folder.join("ctl")).args(words))
    }

    /// What the polling thread has done since it started.
    fn work(&self) -> Result<Work> {
        Work::of(&self.appctl(&["dpif-netdev/pmd-stats-show"])?)
    }
}

fn vsctl(folder: &Path, words: &[&str]) -> Result<String> {
    let database = format!("--db=unix:{}", folder.join("db").display());
    output(Command::new("ovs-vsctl").arg(TIMEOUT).arg(database).args(words))
}

fn mask(cores: &[usize]) -> String {
    format!("0x{:x}", cores.iter().fold(0_u64, |mask, core| mask | 1 << core))
}

impl Side for Ovs {
    fn sockets(&self) -> [PathBuf; 2] {
        PORTS.map(|port| self.folder.join(port))
    }

    fn guests_listen(&self) -> bool {
        self.tso
    }

    fn pids(&self) -> Vec<u32> {
        vec![self.switch.pid()]
    }

    /// Its main thread learns late of a guest's coming; frames before that make flows that drop.
    fn ready(&mut self) -> Result<()> {
        for port in PORTS {
            wait_for(&format!("OVS's port {port}"), PATIENCE, || {
                let state = vsctl(&self.folder, &["get", "Interface", port, "link_state"])?;
                Ok((state.trim() == "up").then_some(()))
            })?;
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<()> {
        self.before = self.work()?;
        Ok(())
    }

    /// Its thread polls all the time; it tells apart the cycles in which there was something to do.
    fn working_share(&mut self) -> Result<f64> {
        let (now, before) = (self.work()?, self.before);
        let (busy, idle) = (now.busy - before.busy, now.idle - before.idle);
        if busy + idle <= 0.0 {
            bail!("OVS's polling thread did not run");
        }
        Ok(busy / (busy + idle))
    }

    /// What the guests sent is what its polling thread received.
    fn balance(&mut self, from_guests: u64) -> Result<()> {
        let mut received = 0;
        let done = wait_for("OVS's statistics", PATIENCE, || {
            received = self.work()?.packets as u64;
            Ok((received == from_guests).then_some(()))
        });
        if done.is_err() {
            bail!("the guests sent {from_guests} frames, OVS counts {received}");
        }
        Ok(())
    }

    fn tail(&self) -> String {
        self.switch.tail()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_those_of_the_polling_threads() {
        let text = "\
pmd thread numa_id 0 core_id 0:
  packets received: 4096
  packet recirculations: 0
  avg. datapath passes per packet: 1.00
  emc hits: 4000
  idle cycles: 1000 (25.00%)
  processing cycles: 3000 (75.00%)
  avg cycles per packet: 0.98 (4000/4096)
pmd thread numa_id 0 core_id 2:
  packets received: 4
  idle cycles: 10 (25.00%)
  processing cycles: 30 (75.00%)
main thread:
  packets received: 5
  idle cycles: 1 (50.00%)
  processing cycles: 1 (50.00%)
";
        assert_eq!(Work::of(text).unwrap(), Work { packets: 4100.0, busy: 3030.0, idle: 1010.0 });
        assert!(Work::of("main thread:\n  packets received: 5\n").is_err());
    }
}
