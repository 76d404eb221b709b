//! A whole daemon (`examples/toy.rs`) as a process, and `nivctl` and others as its clients.

use niv_node::client::{Client, ClientError};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

const NIVCTL: &str = env!("CARGO_BIN_EXE_nivctl");

fn toy_binary() -> PathBuf {
    let folder = Path::new(NIVCTL).parent().expect("a folder");
    let toy = folder.join("examples").join("toy");
    assert!(toy.exists(), "`cargo test -p niv-node` builds the example; `--test daemon` alone does not");
    toy
}

/// A running toy, killed when dropped.
struct Toy {
    process: Child,
    socket: PathBuf,
    folder: tempfile::TempDir,
}

impl Toy {
    fn start() -> Self {
        Self::start_with("", "niv-run/vis0.sock")
    }

    /// Starts it in a folder of its own and waits until it is ready.
    fn start_with(extra: &str, socket: &str) -> Self {
        Self::start_by(Command::new(toy_binary()), extra, socket)
    }

    /// The same by this command, which is the toy or runs it.
    fn start_by(mut command: Command, extra: &str, socket: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join(socket);
        let config = format!("[node]\nname = \"vis0\"\napi = \"{}\"\n{extra}", socket.display());
        std::fs::write(folder.path().join("toy.toml"), config).expect("written");
        let mut process = command
            .args(["--config", "toy.toml"])
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("built with the tests");
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().expect("piped")).read_line(&mut line).expect("readable");
        assert_eq!(line, "ready\n");
        Self { process, socket, folder }
    }

    fn client(&self) -> Client {
        Client::new(&self.socket)
    }

    /// Runs `nivctl` where the toy runs.
    fn nivctl(&self, words: &[&str]) -> Output {
        nivctl(self.folder.path(), words, "")
    }

    fn end(mut self, signal: Signal) -> Option<i32> {
        kill_process(Pid::from_child(&self.process), signal).expect("it runs");
        self.process.wait().expect("ended").code()
    }
}

impl Drop for Toy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn nivctl(folder: &Path, words: &[&str], input: &str) -> Output {
    let mut process = Command::new(NIVCTL)
        .args(words)
        .current_dir(folder)
        .env_remove("NIV_API")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("built");
    process.stdin.take().expect("piped").write_all(input.as_bytes()).expect("written");
    process.wait_with_output().expect("ended")
}

/// Exit code, standard output, standard error.
fn seen(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    (output.status.code().expect("not killed"), text(&output.stdout), text(&output.stderr))
}

#[test]
fn nivctl_from_configuration_to_both_faces() {
    let toy = Toy::start();
    std::fs::write(toy.folder.path().join("vlans"), "vlan 10\n name web\nvlan 20\n").expect("written");
    assert_eq!(seen(&toy.nivctl(&["configure", "vlans"])), (0, String::new(), String::new()));
    let table = "VLAN  Name\n----  --------\n10    web\n20    VLAN0020\n";
    assert_eq!(seen(&toy.nivctl(&["show", "vlan"])), (0, table.to_owned(), String::new()));
    assert_eq!(seen(&toy.nivctl(&["exec", "sh vl"])).1, table);
    for words in [["-j", "show", "vlan"], ["show", "vlan", "-j"]] {
        let (code, json, _) = seen(&toy.nivctl(&words));
        let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(
            (code, json),
            (0, serde_json::json!([{"vlan": 10, "name": "web"}, {"vlan": 20, "name": "VLAN0020"}]))
        );
    }
    let help = seen(&toy.nivctl(&["show", "?"]));
    assert_eq!((help.0, help.1.as_str()), (0, "  vlan\n"));
    assert!(seen(&toy.nivctl(&["commands"])).1.contains("[no] vlan <vlan:1-4094>\n"));
    assert!(seen(&toy.nivctl(&["help"])).1.contains("show vlan id"));

    // The node's name, and a socket named outright.
    assert_eq!(seen(&toy.nivctl(&["--api", "vis0", "show", "vlan"])).0, 0);
    let socket = toy.socket.to_str().expect("UTF-8");
    assert_eq!(seen(&nivctl(Path::new("/"), &["--api", socket, "show", "vlan"], "")).0, 0);
}

#[test]
fn nivctl_configure_is_all_or_nothing_and_says_where() {
    let toy = Toy::start();
    let (code, out, err) =
        seen(&nivctl(toy.folder.path(), &["configure", "-"], "vlan 10\n name a\nvlan 20\n nam a b\n"));
    assert_eq!((code, out.as_str()), (2, ""));
    assert_eq!(err, "-: line 4, column 8:\n nam a b\n       ^\n% Invalid command at '^' marker.\n");
    let (code, _, err) =
        seen(&nivctl(toy.folder.path(), &["configure", "-"], "vlan 10\n name a\nvlan 20\n name a\n"));
    assert_eq!((code, err.lines().last()), (1, Some("% the name is taken")));
    assert_eq!(toy.client().exec("show vlan").expect("an answer"), serde_json::json!([]));
    assert_eq!(seen(&toy.nivctl(&["configure", "no-such-file"])).0, 2);
}

#[test]
fn nivctl_exit_codes_and_errors() {
    let toy = Toy::start();
    let (code, out, err) = seen(&toy.nivctl(&["show", "vlam"]));
    assert_eq!((code, out.as_str()), (2, ""));
    let wrong = "show vlam\n     ^\n% Invalid command at '^' marker.\n";
    // The other usual daemon might know it.
    let note = "nivctl: asked niv-run/vis0.sock; niv-run/adapter0.sock is not there\n";
    assert_eq!(err, format!("{wrong}{note}"));
    let (_, _, err) = seen(&toy.nivctl(&["--api", "vis0", "show", "vlam"]));
    assert_eq!(err, wrong);
    let (code, _, err) = seen(&toy.nivctl(&["show", "vlan", "id", "5"]));
    assert_eq!((code, err.lines().last()), (1, Some("% VLAN 5 does not exist")));
    let (code, _, err) = seen(&toy.nivctl(&["-j", "show", "vlan", "id", "5"]));
    let error: serde_json::Value = serde_json::from_str(&err).expect("JSON");
    assert_eq!((code, &error["error"]["column"]), (1, &serde_json::json!(14)));
    assert_eq!(seen(&toy.nivctl(&[])).0, 2);

    let socket = toy.socket.clone();
    let folder = tempfile::tempdir().expect("a folder");
    let (code, _, err) = seen(&nivctl(folder.path(), &["--api", "vis9", "show", "vlan"], ""));
    assert_eq!(code, 1);
    assert!(err.contains("looked for niv-run/vis9.sock, /run/niv/vis9.sock"), "{err}");

    // A socket that a killed daemon left behind.
    drop(toy.client());
    let mut toy = toy;
    toy.process.kill().expect("it runs");
    toy.process.wait().expect("ended");
    let (code, _, err) = seen(&toy.nivctl(&["show", "vlan"]));
    assert_eq!(
        (code, err.as_str()),
        (1, "nivctl: niv-run/vis0.sock: connection refused, no daemon listens there\n")
    );
    assert!(socket.exists());
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let toy = Toy::start();
    let text: String = (1..=4094).map(|vlan| format!("vlan {vlan}\n")).collect();
    toy.client().configure(&text).expect("configured");
    let mut process = Command::new(NIVCTL)
        .args(["show", "vlan"])
        .current_dir(toy.folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("built");
    drop(process.stdout.take());
    assert_eq!(seen(&process.wait_with_output().expect("ended")), (0, String::new(), String::new()));
}

#[test]
fn two_daemons_a_line_goes_to_the_one_that_knows_it() {
    let toy = Toy::start();
    // The second one has the adapter's place.
    let second = Toy::start_with("", "niv-run/adapter0.sock");
    std::fs::rename(&second.socket, toy.folder.path().join("niv-run/adapter0.sock")).expect("moved");
    second.client();
    assert_eq!(seen(&toy.nivctl(&["show", "vlan"])).0, 0);
    assert_eq!(seen(&toy.nivctl(&["show", "vlam"])).0, 2);
    let help = seen(&toy.nivctl(&["show", "?"])).1;
    assert_eq!(help, "vis0:\n  vlan\n\nadapter0:\n  vlan\n");
}

#[test]
fn the_socket_is_private_refuses_a_second_owner_and_goes_with_the_daemon() {
    let toy = Toy::start();
    let mode = std::fs::metadata(&toy.socket).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let second = Command::new(toy_binary())
        .args(["--config", "toy.toml"])
        .current_dir(toy.folder.path())
        .output()
        .expect("runs");
    let (code, out, err) = seen(&second);
    assert_eq!((code, out.as_str()), (1, ""));
    let expected = format!("toy: {}: in use by another process", toy.socket.display());
    assert_eq!(err.lines().last(), Some(expected.as_str()));
    assert!(toy.client().health().is_ok());

    let socket = toy.socket.clone();
    assert_eq!(toy.end(Signal::TERM), Some(0));
    assert!(!socket.exists());
}

#[test]
fn a_stale_socket_is_replaced_and_other_files_are_not() {
    let toy = Toy::start();
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("x.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).expect("bound"));
    let config = |path: &Path| format!("[node]\napi = \"{}\"\n", path.display());
    std::fs::write(folder.path().join("toy.toml"), config(&socket)).expect("written");
    let mut process = Command::new(toy_binary())
        .args(["--config", "toy.toml"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("runs");
    let mut line = String::new();
    BufReader::new(process.stdout.as_mut().expect("piped")).read_line(&mut line).expect("readable");
    assert!(Client::new(&socket).health().is_ok());
    kill_process(Pid::from_child(&process), Signal::INT).expect("it runs");
    assert_eq!(process.wait().expect("ended").code(), Some(0));

    std::fs::write(&socket, "precious").expect("written");
    let refused = Command::new(toy_binary())
        .args(["--config", "toy.toml"])
        .current_dir(folder.path())
        .output()
        .expect("runs");
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(std::fs::read_to_string(&socket).expect("still there"), "precious");
    drop(toy);
}

#[test]
fn a_wrong_file_or_option_is_one_line_and_code_2() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("toy.toml"), "[node]\nworker = 2\n").expect("written");
    let run = |args: &[&str]| {
        seen(&Command::new(toy_binary()).args(args).current_dir(folder.path()).output().expect("runs"))
    };
    let (code, _, err) = run(&["--config", "toy.toml"]);
    assert_eq!(
        (code, err.as_str()),
        (2, "toy: toy.toml:2: [node]: unknown key \"worker\" (did you mean \"workers\"?)\n")
    );
    let (code, _, err) = run(&["--log", "=nonsense="]);
    assert_eq!(code, 2);
    assert!(err.starts_with("toy: --log: "), "{err}");
    std::fs::write(folder.path().join("start"), "vlan 5000\n").expect("written");
    std::fs::write(folder.path().join("toy.toml"), "[node]\nstartup = \"start\"\n").expect("written");
    let (code, _, err) = run(&["--config", "toy.toml"]);
    assert_eq!(code, 2);
    assert!(err.contains("toy: start: line 1, column 6:"), "{err}");
}

/// How many frames a pcapng file has, if it is whole.
fn frames(file: &[u8]) -> usize {
    let (mut at, mut frames) = (0, 0);
    while at < file.len() {
        let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().expect("four octets"));
        let len = word(at + 4) as usize;
        assert_eq!(word(at + len - 4) as usize, len, "a block that is not whole");
        frames += usize::from(word(at) == 6);
        at += len;
    }
    frames
}

/// Waits until so many captures run.
fn captures(toy: &Toy, expected: usize) {
    let line = format!("\ntoy_captures {expected}\n");
    let end = std::time::Instant::now() + Duration::from_secs(30);
    while !toy.client().metrics().expect("an answer").contains(&line) {
        assert!(std::time::Instant::now() < end, "{}", toy.client().metrics().expect("an answer"));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_capture_goes_to_a_file_or_a_pipe_and_ends_with_its_count() {
    let toy = Toy::start();
    let (code, out, err) = seen(&toy.nivctl(&["capture", "clock", "-w", "a.pcapng", "-c", "20"]));
    assert_eq!((code, out.as_str(), err.as_str()), (0, "", "20 frames captured\n"));
    let file = std::fs::read(toy.folder.path().join("a.pcapng")).expect("written");
    assert_eq!(frames(&file), 20);
    let output = toy.nivctl(&["capture", "-c", "20", "clock"]);
    assert_eq!(output.stdout, file);
    captures(&toy, 0);

    // Before anything is written.
    let (code, _, err) = seen(&toy.nivctl(&["capture", "clack", "-w", "b.pcapng"]));
    assert_eq!((code, err.as_str()), (2, "% There is no port clack; there is clock.\n"));
    assert!(!toy.folder.path().join("b.pcapng").exists());
    assert_eq!(seen(&toy.nivctl(&["capture"])).0, 2);
    assert_eq!(seen(&toy.nivctl(&["capture", "clock", "--colour"])).0, 2);
    let (code, _, err) = seen(&toy.nivctl(&["capture", "clock", "-w", "/nonexistent/c.pcapng"]));
    assert_eq!(code, 1);
    assert!(err.contains("/nonexistent/c.pcapng"), "{err}");
}

#[test]
fn a_capture_ends_with_whoever_reads_it() {
    let toy = Toy::start();
    let start = |words: &[&str]| {
        let mut command = Command::new(NIVCTL);
        command.args(words).current_dir(toy.folder.path()).env_remove("NIV_API");
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("built")
    };
    let file = toy.folder.path().join("a.pcapng");
    let mut interrupted = start(&["capture", "clock", "-w", "a.pcapng"]);
    let mut killed = start(&["capture", "clock"]);
    let mut unread = start(&["capture", "clock"]);
    captures(&toy, 3);
    // What is there can be read while it grows.
    while frames(&std::fs::read(&file).unwrap_or_default()) < 10 {
        std::thread::sleep(Duration::from_millis(5));
    }
    kill_process(Pid::from_child(&interrupted), Signal::INT).expect("it runs");
    assert_eq!(interrupted.wait().expect("ended").code(), Some(0));
    let mut said = String::new();
    interrupted.stderr.take().expect("piped").read_to_string(&mut said).expect("readable");
    let counted = frames(&std::fs::read(&file).expect("written"));
    assert_eq!(said, format!("{counted} frames captured\n"));
    captures(&toy, 2);

    killed.kill().expect("it runs");
    killed.wait().expect("ended");
    captures(&toy, 1);
    // Wireshark is closed.
    drop(unread.stdout.take());
    assert_eq!(unread.wait().expect("ended").code(), Some(0));
    captures(&toy, 0);

    // Or with the daemon, which does not wait for it.
    let orphan = start(&["capture", "clock", "-w", "b.pcapng"]);
    captures(&toy, 1);
    assert_eq!(toy.end(Signal::TERM), Some(0));
    let (code, _, err) = seen(&orphan.wait_with_output().expect("ended"));
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("broke off"), "{err}");
}

/// One HTTP exchange, written by hand.
fn http(socket: &Path, request: &str) -> String {
    let mut stream = UnixStream::connect(socket).expect("it listens");
    // A server may answer and close before it has read everything.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn http_answers_and_bounds() {
    let toy = Toy::start();
    let socket = toy.socket.as_path();
    let post = |path: &str, body: &str| {
        let length = body.len();
        http(
            socket,
            &format!(
                "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
            ),
        )
    };
    let get = |path: &str| http(socket, &format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n"));

    assert!(post("/v1/exec", r#"{"line":"show vlan"}"#).ends_with("\r\n\r\n{\"output\":[]}"));
    let wrong = post("/v1/exec", r#"{"line":"show vlam"}"#);
    assert!(wrong.starts_with("HTTP/1.1 400 "), "{wrong}");
    let error =
        r#"{"error":"Invalid command at '^' marker.","kind":"invalid","column":6,"text":"show vlam"}"#;
    assert!(wrong.ends_with(error), "{wrong}");
    assert!(post("/v1/exec", r#"{"line":"show vlan id 7"}"#).starts_with("HTTP/1.1 409 "));
    assert!(post("/v1/exec", r#"{"lime":"x"}"#).starts_with("HTTP/1.1 422 "));
    assert!(post("/v1/exec", "{").starts_with("HTTP/1.1 400 "));
    assert!(get("/v1/exec").starts_with("HTTP/1.1 405 "));
    assert!(get("/nothing").starts_with("HTTP/1.1 404 "));
    let big = post("/v1/configure", &format!("{{\"text\":\"{}\"}}", "!".repeat(2 << 20)));
    assert!(big.is_empty() || big.starts_with("HTTP/1.1 413 "), "{big}");

    let metrics = get("/metrics");
    assert!(
        metrics.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"),
        "{metrics}"
    );
    assert!(
        metrics.ends_with("# HELP toy_vlans VLANs\n# TYPE toy_vlans gauge\ntoy_vlans 0\n# EOF\n"),
        "{metrics}"
    );
    let health = toy.client().health().expect("well");
    assert_eq!(
        (&health["status"], &health["daemon"], &health["name"]),
        (&"ok".into(), &"toy".into(), &"vis0".into())
    );
    assert!(matches!(toy.client().exec("nonsense"), Err(ClientError::Command(_))));

    // Clients that say nothing are no obstacle, up to a bound that leaves room.
    let silent: Vec<UnixStream> = (0..20).map(|_| UnixStream::connect(socket).expect("it listens")).collect();
    assert!(toy.client().exec("show vlan").is_ok());
    drop(silent);
}

#[test]
fn a_daemon_allows_itself_all_the_descriptors_it_may_have() {
    // As from a shell, which allows few of many.
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -S -n 256; exec \"$0\" \"$@\""]).arg(toy_binary());
    let toy = Toy::start_by(shell, "", "niv-run/vis0.sock");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", toy.process.id())).expect("it runs");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).expect("a limit");
    let (now, most) = line.trim().split_once(' ').expect("two numbers");
    assert_ne!(now, "256");
    assert_eq!(most.split_whitespace().next(), Some(now));
}
