//! A guest in a process of its own, which connects again and again as QEMU does with `reconnect`.
//!
//! The process is this test program, told by its environment to be a puppet; it says what happens on its standard
//! output.

use niv_lab::driver::{Features, Guest};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

const SOCKET: &str = "NIV_PUPPET";
const SAYS: &str = "puppet: ";
const PATIENCE: Duration = Duration::from_secs(5);

/// See the module.
pub(crate) struct Puppet {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Puppet {
    /// Starts one for the socket.
    pub(crate) fn start(socket: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "puppet::puppet", "--nocapture", "--test-threads=1"])
            .env(SOCKET, socket)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if let Some((_, said)) = line.split_once(SAYS) {
                    let _ = send.send(said.to_owned());
                }
            }
        });
        Self { child, lines }
    }

    /// What it says next is `wanted`: `up` when it is connected, `down` when it is not any more.
    pub(crate) fn await_line(&self, wanted: &str) {
        assert_eq!(self.lines.recv_timeout(PATIENCE).as_deref(), Ok(wanted));
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The puppet's part of this program; nothing where it is not one.
#[test]
fn puppet() {
    let Some(socket) = std::env::var_os(SOCKET) else { return };
    // Ends with its owner, whatever becomes of that.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    let mut guest = Guest::new(Features::default()).unwrap();
    loop {
        if guest.reconnect(Path::new(&socket)).is_err() {
            std::thread::sleep(Duration::from_millis(20));
            continue;
        }
        println!("{SAYS}up");
        while let Err(error) = guest.wire().unwrap().reply() {
            if error.kind() != std::io::ErrorKind::WouldBlock {
                break;
            }
        }
        guest.disconnect();
        println!("{SAYS}down");
    }
}
