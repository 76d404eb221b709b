//! What guests need: a kernel, an image, a folder for their sockets.

use niv_lab::lab::agent::Agent;
use niv_lab::lab::guest::{BOOT, Guest, Machine};
use niv_lab::lab::paths;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// What QEMU, the image and the kernel's modules need.
const PROGRAMS: [&str; 6] = ["qemu-system-x86_64", "busybox", "iperf3", "ethtool", "xz", "apt-get"];

/// One test with guests at a time: two of them share two processors badly.
static TURN: Mutex<()> = Mutex::new(());

/// What all tests share, and the right to start guests; `None` where programs are missing.
pub(crate) fn machine() -> Option<(&'static Machine, MutexGuard<'static, ()>)> {
    static MACHINE: OnceLock<(Machine, tempfile::TempDir)> = OnceLock::new();
    let folders = || std::env::split_paths(&std::env::var_os("PATH")?).collect::<Vec<_>>().into();
    let folders: Vec<std::path::PathBuf> = Option::unwrap_or_default(folders());
    let missing = PROGRAMS.iter().find(|program| !folders.iter().any(|folder| folder.join(program).exists()));
    if let Some(program) = missing {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{program} is missing");
        println!("skipped: {program} is missing");
        return None;
    }
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (machine, _) = MACHINE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        paths::enter_apart(folder.path()).unwrap();
        (Machine::prepare(Path::new(env!("CARGO_BIN_EXE_lab"))).unwrap(), folder)
    });
    Some((machine, turn))
}

/// QEMU's arguments for a NIC whose back end is at a socket, in this way (`reconnect=1`, or `server=on,wait=off`).
pub(crate) fn nic(socket: &Path, way: &str, mac: &str) -> Vec<String> {
    let chardev = format!("socket,id=c,path={},{way}", socket.display());
    // Debian 12's QEMU 7.2 crashes under TCG with vhost-user and MSI-X.
    let device = format!("virtio-net-pci,netdev=n,mac={mac},vectors=0");
    let words = ["-chardev", &chardev, "-netdev", "vhost-user,id=n,chardev=c", "-device", &device];
    words.map(str::to_owned).to_vec()
}

/// Boots a guest.
pub(crate) fn boot(name: &str, machine: &Machine, nic: &[String]) -> (Guest, Agent) {
    let mut guest = Guest::start(name, machine, "", nic).unwrap();
    let agent = guest.agent(BOOT).unwrap();
    (guest, agent)
}

/// What was measured, printed.
pub(crate) fn took(what: &str, time: anyhow::Result<Duration>) -> Duration {
    let time = time.unwrap();
    println!("{what}: {time:?}");
    time
}
