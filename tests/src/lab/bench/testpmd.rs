//! The guests: two virtio-user ports of one testpmd, which sends what one port gets out of the other again,
//! to the first port's address. So frames circulate through the switch for ever, both ways round.

use super::huge::Memory;
use super::{GUEST_CORE, wait_for};
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
struct Counts {
    received: u64,
    sent: u64,
}

/// Two guests.
pub(super) struct Pair {
    process: Process,
    log: PathBuf,
}

impl Pair {
    /// Starts testpmd; its ports connect to `sockets`.
    pub(super) fn start(sockets: &[PathBuf; 2], memory: &Memory) -> Result<Self> {
        let log = Path::new(LOG).join("bench-testpmd.log");
        let file = File::create(&log)?;
        let mut command = Command::new("taskset");
        // Line by line, though it writes to a file.
        command.args(["-c", GUEST_CORE, "stdbuf", "-oL", "dpdk-testpmd"]).args(memory.guest());
        command.args([
            "--no-pci",
            "--no-telemetry",
            "--file-prefix",
            &format!("nivlab{}", std::process::id()),
        ]);
        // One thread forwards, the other one sleeps at the prompt.
        command.args(["--lcores", &format!("0@{GUEST_CORE},1@{GUEST_CORE}"), "--main-lcore", "0"]);
        for (nr, (socket, mac)) in sockets.iter().zip(MACS).enumerate() {
            let path = socket.display();
            let extra = memory.port();
            command.args([
                "--vdev",
                &format!("net_virtio_user{nr},path={path},mac={mac},queue_size={RING}{extra}"),
            ]);
        }
        command.args(["--", "-i", "--nb-cores=1", "--forward-mode=mac", "--total-num-mbufs=16384"]);
        command.args([&format!("--txd={RING}"), &format!("--rxd={RING}")]);
        for (nr, _) in MACS.iter().enumerate() {
            // What leaves port n is for the other one.
            command.arg(format!("--eth-peer={nr},{}", MACS[1 - nr]));
        }
        command.stdin(Stdio::piped()).stdout(file.try_clone()?).stderr(file);
        let process = Process::start_as("bench-testpmd", &mut command, log.clone())?;
        let mut pair = Self { process, log };
        wait_for("testpmd's prompt", PATIENCE, || {
            pair.process.check()?;
            Ok(pair.text().contains("testpmd> ").then_some(()))
        })
        .with_context(|| pair.process.tail())?;
        Ok(pair)
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Gives a command and waits until its answer satisfies `complete`.
    fn ask(&mut self, words: &str, complete: impl Fn(&str) -> bool) -> Result<String> {
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

    fn counts(&mut self) -> Result<[Counts; 2]> {
        let done = |answer: &str| answer.matches("Tx-pps").count() >= 2;
        let answer = self.ask("show port stats all", done)?;
        let mut counts = [Counts::default(); 2];
        let mut port = 0;
        for line in answer.lines() {
            if line.contains("statistics for port 1") {
                port = 1;
            }
            let value =
                |name: &str| line.trim().strip_prefix(name)?.split_whitespace().next()?.parse::<u64>().ok();
            if let Some(received) = value("RX-packets:") {
                counts[port].received = received;
            }
            if let Some(sent) = value("TX-packets:") {
                counts[port].sent = sent;
            }
        }
        Ok(counts)
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
            if counts.iter().zip(before).all(|(now, before)| now.received > before.received + enough) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                bail!("frames do not circulate: {counts:?}\n{}", self.tail());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn start_with(&mut self, bursts: u32) -> Result<()> {
        self.ask(&format!("start tx_first {bursts}"), |answer| answer.contains("port 1: RX queue number"))
            .map(|_| ())
    }

    /// Frames that both ports have received.
    pub(super) fn received(&mut self) -> Result<u64> {
        Ok(self.counts()?.iter().map(|port| port.received).sum())
    }

    /// Ends the circulation; how many frames were sent in all.
    pub(super) fn silence(&mut self) -> Result<u64> {
        self.ask("stop", |answer| answer.contains("Done."))?;
        Ok(self.counts()?.iter().map(|port| port.sent).sum())
    }

    /// For an error.
    pub(super) fn tail(&self) -> String {
        self.process.tail()
    }
}
