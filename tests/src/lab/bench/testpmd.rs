//! The guests: two virtio-user ports of one testpmd, which sends what one port gets out of the other again,
//! to the first port's address. So frames circulate through the switch for ever, both ways round.

use super::huge::Memory;
use super::list_of;
use super::measure::wait_for;
use crate::lab::paths::LOG;
use crate::lab::process::Process;
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const MACS: [&str; 2] = ["52:54:00:0b:00:01", "52:54:00:0b:00:02"];

/// Entries of each ring.
const RING: u32 = 1024;

/// Bursts of 32 frames that are set into circulation from each port: half of what a ring holds, so that no ring
/// overflows and the number of frames under way stays the same.
const BURSTS: u32 = 16;

const PATIENCE: Duration = Duration::from_secs(20);

/// What testpmd counted at one port.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Counts {
    pub(super) received: u64,
    pub(super) sent: u64,
}

/// A running testpmd, with a thread at its prompt and one that forwards.
pub(super) struct Testpmd {
    process: Process,
    log: PathBuf,
}

impl Testpmd {
    /// Starts it on these cores, with a thread that forwards on each, with these devices, `arguments` of EAL and, behind `--`, `words`; returns when it is
    /// at its prompt.
    pub(super) fn start(
        name: &str,
        cores: &[usize],
        devices: &[String],
        arguments: &[&str],
        words: &[String],
    ) -> Result<Self> {
        let log = Path::new(LOG).join(format!("{name}.log"));
        let file = File::create(&log)?;
        let mut command = Command::new("taskset");
        // Line by line, though it writes to a file.
        command.args(["-c", &list_of(cores), "stdbuf", "-oL", "dpdk-testpmd"]).args(arguments);
        command.args(["--no-pci", "--no-telemetry", "--file-prefix"]);
        command.arg(format!("nivlab{}-{name}", std::process::id()));
        // One thread sleeps at the prompt, the others forward.
        let prompt = cores.first().map(|core| format!("0@{core}"));
        let forwarding = (1..).zip(cores).map(|(nr, core)| format!("{nr}@{core}"));
        let threads: Vec<_> = prompt.into_iter().chain(forwarding).collect();
        command.args(["--lcores", &threads.join(","), "--main-lcore", "0"]);
        for device in devices {
            command.args(["--vdev", device]);
        }
        command
            .args(["--", "-i", &format!("--nb-cores={}", cores.len()), "--total-num-mbufs=16384"])
            .args(words);
        command.stdin(Stdio::piped()).stdout(file.try_clone()?).stderr(file);
        let process = Process::start_as(name, &mut command, log.clone())?;
        let mut testpmd = Self { process, log };
        wait_for("testpmd's prompt", PATIENCE, || {
            testpmd.process.check()?;
            Ok(testpmd.text().contains("testpmd> ").then_some(()))
        })
        .with_context(|| testpmd.process.tail())?;
        Ok(testpmd)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Gives a command and waits until its answer satisfies `complete`.
    pub(super) fn ask(&mut self, words: &str, complete: impl Fn(&str) -> bool) -> Result<String> {
        let before = self.text().len();
        let stdin = self.process.child().stdin.as_mut().context("testpmd hears nothing")?;
        stdin.write_all(format!("{words}\n").as_bytes())?;
        wait_for(&format!("testpmd's answer to {words:?}"), PATIENCE, || {
            self.process.check()?;
            let text = self.text();
            let answer = text.get(before..).unwrap_or_default();
            Ok(complete(answer).then(|| answer.to_owned()))
        })
    }

    /// What its ports have counted.
    pub(super) fn counts(&mut self, ports: usize) -> Result<Vec<Counts>> {
        let done = |answer: &str| answer.matches("Tx-pps").count() >= ports;
        Ok(port_stats(&self.ask("show port stats all", done)?))
    }

    /// For an error.
    pub(super) fn tail(&self) -> String {
        self.process.tail()
    }
}

/// Two guests.
pub(super) struct Pair(Testpmd);

impl Pair {
    /// Starts testpmd; its ports connect to `sockets`, its frames have so many octets, frame check sequence not
    /// counted.
    pub(super) fn start(
        sockets: &[PathBuf; 2],
        octets: u16,
        memory: &Memory,
        cores: &[usize],
    ) -> Result<Self> {
        let devices = sockets.iter().zip(MACS).enumerate().map(|(nr, (socket, mac))| {
            let (path, extra) = (socket.display(), memory.port());
            format!("net_virtio_user{nr},path={path},mac={mac},queue_size={RING}{extra}")
        });
        let mut words = vec!["--forward-mode=mac".to_owned(), format!("--txpkts={octets}")];
        words.extend([format!("--txd={RING}"), format!("--rxd={RING}")]);
        // What leaves port n is for the other one.
        words.extend((0..2).map(|nr| format!("--eth-peer={nr},{}", MACS[1 - nr])));
        let devices: Vec<_> = devices.collect();
        Ok(Self(Testpmd::start("bench-testpmd", cores, &devices, memory.guest(), &words)?))
    }

    fn counts(&mut self) -> Result<Vec<Counts>> {
        self.0.counts(2)
    }

    /// Sets the frames into circulation and makes sure that they do, both ways round.
    pub(super) fn circulate(&mut self) -> Result<()> {
        // A first burst for the switch to learn from; what of it is left is flushed by the next start.
        self.start_with(1)?;
        self.silence()?;
        let before = self.counts()?;
        self.start_with(BURSTS)?;
        // More than once round: they come back again.
        let enough = u64::from(BURSTS) * 32 * 4;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let counts = self.counts()?;
            if counts.iter().zip(&before).all(|(now, before)| now.received > before.received + enough) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                bail!("frames do not circulate: {counts:?}\n{}", self.tail());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn start_with(&mut self, bursts: u32) -> Result<()> {
        self.0
            .ask(&format!("start tx_first {bursts}"), |answer| answer.contains("port 1: RX queue number"))
            .map(|_| ())
    }

    /// Frames that both ports have received.
    pub(super) fn received(&mut self) -> Result<u64> {
        Ok(self.counts()?.iter().map(|port| port.received).sum())
    }

    /// Ends the circulation; how many frames were sent in all.
    pub(super) fn silence(&mut self) -> Result<u64> {
        self.0.ask("stop", |answer| answer.contains("Done."))?;
        Ok(self.counts()?.iter().map(|port| port.sent).sum())
    }

    /// For an error.
    pub(super) fn tail(&self) -> String {
        self.0.tail()
    }
}

/// Of an answer to `show port stats all`, what each port counted.
fn port_stats(answer: &str) -> Vec<Counts> {
    let mut counts = Vec::new();
    for line in answer.lines() {
        if line.contains("NIC statistics for port") {
            counts.push(Counts::default());
        }
        let Some(port) = counts.last_mut() else { continue };
        let value =
            |name: &str| line.trim().strip_prefix(name)?.split_whitespace().next()?.parse::<u64>().ok();
        if let Some(received) = value("RX-packets:") {
            port.received = received;
        }
        if let Some(sent) = value("TX-packets:") {
            port.sent = sent;
        }
    }
    counts
}

/// Of an answer to `stop`, where cycles are recorded: cycles that were spent on a frame, empty polls not counted.
pub(super) fn cycles_a_frame(answer: &str) -> Option<f64> {
    answer.split_once("CPU cycles/packet=")?.1.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_read_by_port() {
        let answer = "\
  ######################## NIC statistics for port 0  ########################
  RX-packets: 1024       RX-missed: 7          RX-bytes:  65536
  RX-errors: 3
  TX-packets: 2048       TX-errors: 0          TX-bytes:  131072

  Throughput (since last show)
  Rx-pps:            5          Rx-bps:            2560
  Tx-pps:            6          Tx-bps:            3072
  ############################################################################

  ######################## NIC statistics for port 1  ########################
  RX-packets: 11         RX-missed: 0          RX-bytes:  704
  RX-errors: 0
  TX-packets: 12         TX-errors: 0          TX-bytes:  768
";
        let counts = port_stats(answer);
        let counts: Vec<_> = counts.iter().map(|c| (c.received, c.sent)).collect();
        assert_eq!(counts, [(1024, 2048), (11, 12)]);
    }

    #[test]
    fn cycles_are_those_of_frames() {
        let answer =
            "  CPU cycles/packet=85.25 (total cycles=8525 / total RX packets=100) at 2600 MHz Clock\nDone.";
        assert_eq!(cycles_a_frame(answer), Some(85.25));
        assert_eq!(cycles_a_frame("Done."), None);
    }
}
