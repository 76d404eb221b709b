//! What guests need: a kernel, an image, a folder for their sockets.

use niv_lab::lab::agent::{Agent, Running};
use niv_lab::lab::guest::{BOOT, Guest, Machine};
use niv_lab::lab::paths;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// What QEMU, the image and the kernel's modules need.
const PROGRAMS: [&str; 5] = ["qemu-system-x86_64", "busybox", "iperf3", "xz", "apt-get"];

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

/// QEMU's arguments for a NIC whose back end is behind the character device `chardev`, named `c`.
pub(crate) fn nic(chardev: &str) -> Vec<String> {
    let words = [
        "-chardev",
        chardev,
        "-netdev",
        "vhost-user,id=n,chardev=c",
        "-device",
        // Debian 12's QEMU 7.2 crashes under TCG with vhost-user and MSI-X.
        "virtio-net-pci,netdev=n,mac=52:54:00:00:00:01,vectors=0",
    ];
    words.map(str::to_owned).to_vec()
}

/// Boots a guest.
pub(crate) fn boot(name: &str, machine: &Machine, nic: &[String]) -> (Guest, Agent) {
    let mut guest = Guest::start(name, machine, "", nic).unwrap();
    let agent = guest.agent(BOOT).unwrap();
    (guest, agent)
}

/// The carrier of a guest's first interface, as it sees it.
pub(crate) struct Carrier<'a> {
    lines: Running<'a>,
    /// It was this, after so many changes.
    pub(crate) last: (bool, u64),
}

impl<'a> Carrier<'a> {
    /// Looks on from now on, for a minute or two.
    pub(crate) fn watch(agent: &'a Agent) -> Self {
        let command = "lab inside carrier eth0 --ms 120000";
        let lines = agent.begin(command, Duration::from_secs(125)).unwrap();
        let mut carrier = Self { lines, last: (false, 0) };
        carrier.last = carrier.next(Duration::from_secs(10)).expect("the first line");
        carrier
    }

    /// The next change, if there is one soon enough: the carrier, and how often it has changed since the boot.
    pub(crate) fn next(&mut self, patience: Duration) -> Option<(bool, u64)> {
        let line = self.lines.until(patience, |line| line.starts_with("carrier")).ok()?;
        let words: Vec<&str> = line.split(' ').collect();
        self.last = (words[1] == "1", words[3].parse().unwrap());
        Some(self.last)
    }

    /// Waits until it is up and has been quiet: a guest that boots changes it, too.
    pub(crate) fn settle(&mut self, up: bool) {
        while self.last.0 != up || self.next(Duration::from_millis(700)).is_some() {
            assert!(self.last.0 == up || self.next(Duration::from_secs(5)).is_some(), "no carrier {up}");
        }
    }

    /// The one next change is to `up`, and comes within the time that is allowed.
    pub(crate) fn follows(&mut self, up: bool, since: Instant) -> Duration {
        const ALLOWED: Duration = Duration::from_millis(1500);
        let changes = self.last.1;
        let next = self.next(Duration::from_secs(10)).expect("a change");
        let took = since.elapsed();
        assert_eq!(next, (up, changes + 1));
        println!("carrier {} after {took:?}", if up { "up" } else { "down" });
        assert!(took < ALLOWED, "{took:?}");
        took
    }

    /// Nothing changes for this long.
    pub(crate) fn stays(&mut self, time: Duration) {
        let last = self.last;
        assert_eq!(self.next(time), None, "it was {last:?}");
    }
}

/// A guest's clock while something happens.
pub(crate) struct Clock<'a>(Running<'a>);

impl<'a> Clock<'a> {
    /// Looks on for so long.
    pub(crate) fn watch(agent: &'a Agent, time: Duration) -> Self {
        let command = format!("lab inside clock --ms {}", time.as_millis());
        Self(agent.begin(&command, time + Duration::from_secs(30)).unwrap())
    }

    /// The longest time for which it stood still, asleep for 10 ms included.
    pub(crate) fn longest_stop(self) -> Duration {
        let line = self.0.until(Duration::from_secs(60), |line| line.starts_with("ticks")).unwrap();
        println!("the guest's clock: {line} ms");
        Duration::from_millis(line.rsplit(' ').next().unwrap().parse().unwrap())
    }
}
