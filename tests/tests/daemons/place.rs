//! A folder in which daemons run.

use niv_lab::stopwatch::Stopwatch;
use niv_node::client::Client;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `done` has something.
pub(crate) fn until<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = done() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain: {what}");
        // What is waited for is told by asking. The daemons have the processor meanwhile.
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Prints how long something took ([`Place::took`]), which is not to be longer than `limit`; builds that are not
/// optimised are forgiven four times as much.
#[track_caller]
pub(crate) fn within(what: &str, took: Duration, limit: Duration) {
    println!("{what}: {took:?}");
    let limit = if cfg!(debug_assertions) { 4 * limit } else { limit };
    assert!(took < limit, "{what} took {took:?}, {limit:?} are allowed");
}

/// Whether a test must be left out because of what is missing. Where everything must be tested that is a failure.
pub(crate) fn left_out(missing: Option<String>) -> bool {
    let Some(missing) = missing else { return false };
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
    println!("skipped: {missing}");
    true
}

/// Says which of these programs is missing.
pub(crate) fn missing_program(programs: &[&str]) -> Option<String> {
    let there = |program: &str| {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&folders).any(|folder| folder.join(program).exists())
    };
    programs.iter().find(|program| !there(program)).map(|program| format!("{program} is missing"))
}

/// A program of this workspace, built as this test was built.
pub(crate) fn program(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        let folder = test.ancestors().nth(2).expect("a test is in the folder deps").to_owned();
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--quiet", "--locked", "--bins", "-p", "niv-adapter", "-p", "vis-switch"]);
        // The package of this test too: with it the dependencies are those that were just built.
        cargo.args(["-p", "niv-node", "-p", "niv-lab"]).current_dir(env!("CARGO_MANIFEST_DIR"));
        if folder.ends_with("release") {
            cargo.arg("--release");
        }
        let built = cargo.arg("--target-dir").arg(folder.parent().unwrap()).output().unwrap();
        assert!(built.status.success(), "{}", text(&built));
        folder
    });
    folder.join(name)
}

/// What a program said.
pub(crate) fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// A folder, and the daemons that run in it. A daemon is known by its node's name: those that begin with `vis` are
/// switches, the others adapters; `NAME.toml` is its configuration, `NAME.sock` its API; a name may have a folder.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    running: BTreeMap<String, Child>,
}

impl Place {
    pub(crate) fn new(files: &[(&str, String)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Self { folder, running: BTreeMap::new() };
        files.iter().for_each(|(name, text)| place.write(name, text));
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// A program of ours, to be run in this folder.
    pub(crate) fn command(&self, name: &str, words: &[&str]) -> Command {
        let mut command = Command::new(program(name));
        command.args(words).current_dir(self.folder.path()).env_remove("RUST_LOG").env_remove("NIV_API");
        command.stdin(Stdio::null());
        command
    }

    /// Runs a daemon until it ends by itself.
    pub(crate) fn run_daemon(&self, name: &str, words: &[&str]) -> (i32, String) {
        let output = self.command(daemon(name), words).output().unwrap();
        (output.status.code().unwrap(), text(&output))
    }

    /// Starts a daemon and waits until its API answers.
    pub(crate) fn start(&mut self, name: &str) {
        self.start_with(name, &["--config", &format!("{name}.toml")]);
    }

    /// The same with these words.
    pub(crate) fn start_with(&mut self, name: &str, words: &[&str]) {
        let log = std::fs::File::options().create(true).append(true).open(self.log_file(name)).unwrap();
        let child = self.command(daemon(name), words).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        self.running.insert(name.to_owned(), child);
        let client = self.client(name);
        until(&format!("the API of {name} answers"), || {
            let ended = self.running.get_mut(name)?.try_wait().unwrap();
            assert!(ended.is_none(), "{name} ended: {ended:?}");
            client.health().ok()
        });
    }

    fn log_file(&self, name: &str) -> PathBuf {
        self.path(&format!("{}.log", name.replace('/', "-")))
    }

    /// What a daemon logged.
    pub(crate) fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.log_file(name)).unwrap_or_default()
    }

    /// The folders of the daemons that run.
    fn processes(&self) -> Vec<PathBuf> {
        self.running.values().map(|child| PathBuf::from(format!("/proc/{}", child.id()))).collect()
    }

    /// For [`took`](Self::took).
    pub(crate) fn stopwatch(&self) -> Stopwatch {
        Stopwatch::start(&self.processes())
    }

    /// How long it has taken since then, without the time in which a daemon or this test waited for a processor.
    pub(crate) fn took(&self, since: &Stopwatch) -> Duration {
        since.took(&self.processes())
    }

    pub(crate) fn pid(&self, name: &str) -> u32 {
        self.running[name].id()
    }

    pub(crate) fn signal(&self, name: &str, signal: Signal) {
        kill_process(Pid::from_child(&self.running[name]), signal).unwrap();
    }

    /// Ends a daemon as a crash does.
    pub(crate) fn kill(&mut self, name: &str) {
        let mut child = self.running.remove(name).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Ends a daemon as it should be ended; its files are complete then.
    pub(crate) fn stop(&mut self, name: &str) {
        self.signal(name, Signal::TERM);
        let mut child = self.running.remove(name).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{}", self.log(name));
    }

    pub(crate) fn client(&self, name: &str) -> Client {
        Client::new(self.path(&format!("{name}.sock")))
    }

    /// Runs `nivctl`: its exit code, what it printed, and what it complained about.
    pub(crate) fn nivctl(&self, words: &[&str]) -> (i32, String, String) {
        let output = self.command("nivctl", words).output().unwrap();
        let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// What a daemon shows, read as programs do: `nivctl --api NAME.sock -j WORDS`.
    pub(crate) fn show(&self, name: &str, line: &str) -> Value {
        let api = format!("{name}.sock");
        let words: Vec<&str> = ["--api", &api, "-j"].into_iter().chain(line.split(' ')).collect();
        let (code, said, complained) = self.nivctl(&words);
        assert_eq!(code, 0, "{line}: {complained}");
        serde_json::from_str(&said).unwrap()
    }

    /// A counter of the device of one of adapter0's vNICs.
    pub(crate) fn device(&self, vnic: &str, counter: &str) -> u64 {
        let shown = self.show("adapter0", &format!("show vnic {vnic}"));
        let rows = shown["device"].as_array().unwrap();
        rows.iter().find(|row| row["counter"] == counter).map_or(0, |row| row["value"].as_u64().unwrap())
    }

    /// A sample of a daemon's metrics, written as on the page: `vis_port_up{port="ethernet1/1"}`.
    pub(crate) fn metric(&self, name: &str, sample: &str) -> u64 {
        let page = self.client(name).metrics().unwrap();
        let line = page.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {sample} in\n{page}")).parse().unwrap()
    }

    /// Waits until the named vNIC has its guest and may send: its VIF is active for the adapter, too, which may learn it later
    /// than anybody who asks the switch.
    pub(crate) fn vnic_up(&self, adapter: &str, vnic: &str) {
        self.row(adapter, "show vnic", vnic, |row| {
            row["state"] == "up" && (row["vif_state"] == "active" || row["vif_state"] == "static")
        });
    }

    /// Waits until the named link is up on both sides.
    pub(crate) fn link_up(&self, adapter: &str, link: &str, switch: &str, port: &str) {
        self.row_up(adapter, "show link", link);
        self.port_up(switch, port);
    }

    /// Waits until a port of a switch is up.
    pub(crate) fn port_up(&self, switch: &str, port: &str) {
        let client = self.client(switch);
        let line = format!("show interface ethernet {port}");
        until(&format!("{port} is up"), || (client.exec(&line).ok()?["state"] == "up").then_some(()));
    }

    fn row_up(&self, node: &str, line: &str, name: &str) {
        self.row(node, line, name, |row| row["state"] == "up");
    }

    fn row(&self, node: &str, line: &str, name: &str, is_up: impl Fn(&Value) -> bool) {
        let client = self.client(node);
        until(&format!("{name} of {node} is up"), || {
            let rows = client.exec(line).ok()?;
            let row = rows.as_array()?.iter().find(|row| row["name"] == name)?;
            is_up(row).then_some(())
        });
    }

    /// Waits until no frame moves any more; then each daemon accounts for every frame it received.
    pub(crate) fn at_rest(&self) {
        // A daemon that waits for a processor looks as if it rested, so it is asked more than twice.
        const UNCHANGED: usize = 4;
        let (mut before, mut unchanged) = (Vec::new(), 0);
        let counted = until("the daemons come to rest", || {
            let now: Vec<Value> = self.running.keys().map(|name| self.show(name, "show counters")).collect();
            unchanged = if now == before { unchanged + 1 } else { 0 };
            before = now;
            (unchanged == UNCHANGED).then(|| before.clone())
        });
        for (name, counted) in self.running.keys().zip(&counted) {
            let part = counted.get("switch").unwrap_or(counted);
            let number = |key: &str| part[key].as_u64().unwrap();
            let sum = |keys: [&str; 3]| keys.into_iter().map(number).sum::<u64>();
            let (left, right) = (["received", "replicated", "originated"], ["sent", "punted", "dropped"]);
            assert_eq!(sum(left), sum(right), "{name}: {part:#}");
        }
    }

    /// The reasons for which a daemon dropped frames, with their counts.
    pub(crate) fn drops(&self, name: &str) -> BTreeMap<String, u64> {
        let rows = self.show(name, "show drops");
        let row = |row: &Value| (row["reason"].as_str().unwrap().to_owned(), row["frames"].as_u64().unwrap());
        rows.as_array().unwrap().iter().map(row).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for (name, mut child) in std::mem::take(&mut self.running) {
            let _ = child.kill();
            let _ = child.wait();
            if std::thread::panicking() {
                eprintln!("--- {name}\n{}", self.log(&name));
            }
        }
    }
}

/// Which program a node is.
fn daemon(node: &str) -> &'static str {
    let name = node.rsplit('/').next().unwrap_or(node);
    if name.starts_with("vis") { "vis-switch" } else { "niv-adapter" }
}

/// The tagged frames of a capture: VNTag, control word of the 802.1Q tag behind it if any, and everything behind those.
pub(crate) fn tagged_frames(file: &Path) -> Vec<(vntag::Vntag, Option<u16>, Vec<u8>)> {
    use pcap_file::pcapng::{Block, PcapNgReader};
    let mut reader = PcapNgReader::new(std::io::BufReader::new(std::fs::File::open(file).unwrap())).unwrap();
    let mut frames = Vec::new();
    while let Some(block) = reader.next_block() {
        let Block::EnhancedPacket(packet) = block.unwrap() else { continue };
        let octets = &packet.data[..];
        if octets[12..14] != [0x89, 0x26] {
            continue;
        }
        let word = u32::from_be_bytes(octets[14..18].try_into().unwrap());
        let control = (octets[18..20] == [0x81, 0x00]).then(|| u16::from_be_bytes([octets[20], octets[21]]));
        let rest = if control.is_some() { 22 } else { 18 };
        frames.push((vntag::Vntag::from_word(word), control, octets[rest..].to_vec()));
    }
    frames
}
