//! DPDK's testpmd, spoken to at its prompt.

use super::place::{Place, until};
use parking_lot::Mutex;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;

const PROMPT: &str = "testpmd> ";

/// What a port of testpmd counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PortStats {
    pub(crate) rx_packets: u64,
    pub(crate) rx_octets: u64,
    pub(crate) tx_packets: u64,
    pub(crate) tx_octets: u64,
    /// Everything that is no success.
    pub(crate) errors: u64,
}

/// A running testpmd, killed when dropped.
pub(crate) struct Testpmd {
    child: Child,
    commands: ChildStdin,
    said: Arc<Mutex<String>>,
}

impl Testpmd {
    /// Starts it with these devices and these words behind `--`; it is at its prompt then.
    pub(crate) fn start(place: &Place, devices: &[String], words: &[&str]) -> Self {
        // Without stdbuf its answers come after the next prompt: the two are buffered differently.
        let mut command = Command::new("stdbuf");
        command.args([
            "-oL",
            "dpdk-testpmd",
            "--no-huge",
            "-m",
            "256",
            "--no-shconf",
            "--no-pci",
            "--no-telemetry",
        ]);
        command.args(["-l", "0,1", "--single-file-segments", "--log-level", "lib.eal:error"]);
        for device in devices {
            command.args(["--vdev", device]);
        }
        command.args(["--", "-i", "--no-mlockall"]).args(words).current_dir(place.path(""));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let commands = child.stdin.take().unwrap();
        let mut output = child.stdout.take().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&said);
        // Ends with the process.
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(n @ 1..) = output.read(&mut piece) {
                heard.lock().push_str(&String::from_utf8_lossy(&piece[..n]));
            }
        });
        let testpmd = Self { child, commands, said };
        testpmd.prompt(0);
        testpmd
    }

    /// Starts it between a daemon's memif `link0.sock`, at which its own end has this role, and an interface.
    pub(crate) fn bridge(place: &Place, role: &str, interface: &str) -> Self {
        let socket = place.path("link0.sock");
        let memif = format!("net_memif0,role={role},socket={},socket-abstract=no,id=0", socket.display());
        let packet = format!("net_af_packet0,iface={interface}");
        Self::start(place, &[memif, packet], &["--forward-mode=io", "--auto-start", "--total-num-mbufs=8192"])
    }

    /// Waits for a prompt behind this place; what was said until then.
    fn prompt(&self, from: usize) -> String {
        until("testpmd's prompt", || {
            let said = self.said.lock();
            let new = &said[from..];
            new.contains(PROMPT).then(|| new.to_owned())
        })
    }

    /// Gives a command; its answer.
    pub(crate) fn tell(&mut self, command: &str) -> String {
        let from = self.said.lock().len();
        writeln!(self.commands, "{command}").unwrap();
        self.prompt(from)
    }

    /// What each of so many ports counted.
    pub(crate) fn stats(&mut self, ports: usize) -> Vec<PortStats> {
        let said = self.tell("show port stats all");
        let parts: Vec<&str> = said.split("NIC statistics for port").skip(1).collect();
        assert_eq!(parts.len(), ports, "{said}");
        let read = |part: &&str| {
            let number = |key: &str| -> u64 {
                let rest = part.split(key).nth(1).unwrap_or_else(|| panic!("no {key} in {said}"));
                rest.split_whitespace().next().unwrap().parse().unwrap()
            };
            PortStats {
                rx_packets: number("RX-packets:"),
                rx_octets: number("RX-bytes:"),
                tx_packets: number("TX-packets:"),
                tx_octets: number("TX-bytes:"),
                errors: number("RX-missed:") + number("RX-errors:") + number("TX-errors:"),
            }
        };
        parts.iter().map(read).collect()
    }

    /// Waits until these ports together have received so many packets more.
    pub(crate) fn receive(&mut self, ports: usize, packets: u64) {
        let all = |testpmd: &mut Self| testpmd.stats(ports).iter().map(|port| port.rx_packets).sum::<u64>();
        let goal = all(self) + packets;
        until("testpmd receives", || (all(self) >= goal).then_some(()));
    }
}

impl Drop for Testpmd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
