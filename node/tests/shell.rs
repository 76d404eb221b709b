//! `nivsh` at a terminal and behind a pipe, with a real daemon (`examples/toy.rs`).

use niv_node::client::Client;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const NIVSH: &str = env!("CARGO_BIN_EXE_nivsh");
const UP: &str = "\x1b[A";

/// A running toy, killed when dropped.
struct Toy {
    process: Child,
    folder: tempfile::TempDir,
}

impl Toy {
    fn start() -> Self {
        let toy = Path::new(NIVSH).parent().expect("a folder").join("examples").join("toy");
        assert!(toy.exists(), "`cargo test -p niv-node` builds the example; `--test shell` alone does not");
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(
            folder.path().join("toy.toml"),
            "[node]\nname = \"vis0\"\napi = \"niv-run/vis0.sock\"\n",
        )
        .expect("written");
        let mut process = Command::new(toy)
            .args(["--config", "toy.toml"])
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("built with the tests");
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().expect("piped")).read_line(&mut line).expect("readable");
        assert_eq!(line, "ready\n");
        Self { process, folder }
    }

    fn vlans(&self) -> serde_json::Value {
        Client::new(self.folder.path().join("niv-run/vis0.sock")).exec("show vlan").expect("an answer")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(NIVSH);
        command.args(words).current_dir(self.folder.path()).env_remove("NIV_API").env("TERM", "xterm");
        command
    }

    /// Exit code, standard output, standard error.
    fn piped(&self, words: &[&str], input: &str) -> (i32, String, String) {
        let mut command = self.command(words);
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("built");
        // It may have ended before it read everything.
        let _ = process.stdin.take().expect("piped").write_all(input.as_bytes());
        let output = process.wait_with_output().expect("ended");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        (output.status.code().expect("not killed"), text(output.stdout), text(output.stderr))
    }
}

impl Drop for Toy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A shell at a terminal.
struct Terminal {
    shell: Child,
    screen: File,
}

impl Terminal {
    fn open(toy: &Toy) -> Self {
        let screen =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
        grantpt(&screen).expect("granted");
        unlockpt(&screen).expect("unlocked");
        let size = Winsize { ws_row: 50, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&screen, size).expect("a size");
        let name = ptsname(&screen, Vec::new()).expect("a name").into_string().expect("UTF-8");
        let end = || File::options().read(true).write(true).open(&name).expect("its other end");
        let mut command = toy.command(&[]);
        let shell = command.stdin(end()).stdout(end()).stderr(end()).spawn().expect("built");
        Self { shell, screen: File::from(screen) }
    }

    fn press(&mut self, keys: &str) {
        self.screen.write_all(keys.as_bytes()).expect("typed");
    }

    /// What the screen has shown since the last time, until this text is left of the cursor.
    fn until(&mut self, text: &str) -> String {
        let begin = Instant::now();
        let mut seen = Vec::new();
        loop {
            let shown = shown(&String::from_utf8_lossy(&seen));
            if shown.ends_with(text) {
                return shown;
            }
            assert!(begin.elapsed() < Duration::from_secs(30), "no {text:?}: {shown:?}");
            let mut ready = [PollFd::new(&self.screen, PollFlags::IN)];
            poll(&mut ready, Some(&Timespec { tv_sec: 1, tv_nsec: 0 })).expect("it can be awaited");
            if ready[0].revents().contains(PollFlags::IN) {
                let mut some = [0; 4096];
                let count = self.screen.read(&mut some).expect("readable");
                seen.extend_from_slice(&some[..count]);
            }
        }
    }

    /// Presses keys and returns what comes up to the next prompt.
    fn answer(&mut self, keys: &str, prompt: &str) -> String {
        self.press(keys);
        self.until(prompt)
    }

    fn end(mut self) -> Option<i32> {
        self.shell.wait().expect("ended").code()
    }
}

/// What a screen shows of this, up to the cursor: printing characters, line ends, and the sequences that move the cursor in
/// its line or clear what is behind it.
fn shown(text: &str) -> String {
    let mut lines = String::new();
    let (mut line, mut at) = (Vec::new(), 0_usize);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\r' => at = 0,
            '\n' => lines.extend(line.drain(..).chain(['\n'])),
            '\x08' => at = at.saturating_sub(1),
            '\x1b' if chars.next() == Some('[') => {
                let mut sequence = String::new();
                while !sequence.ends_with(|c: char| c.is_alphabetic()) {
                    let Some(c) = chars.next() else { break };
                    sequence.push(c);
                }
                let count = sequence.trim_end_matches(char::is_alphabetic).parse().unwrap_or(1);
                match sequence.chars().last() {
                    Some('C') => at += count,
                    Some('D') => at = at.saturating_sub(count),
                    Some('K' | 'J') => line.truncate(at),
                    _ => {}
                }
            }
            c if c.is_control() => {}
            c => {
                if line.len() <= at {
                    line.resize(at + 1, ' ');
                }
                line[at] = c;
                at += 1;
            }
        }
    }
    lines.extend(line.into_iter().take(at));
    lines
}

#[test]
fn at_a_terminal() {
    let toy = Toy::start();
    let mut terminal = Terminal::open(&toy);
    terminal.until("vis0# ");
    terminal.answer("conf t\r", "\nvis0(config)# ");
    terminal.answer("vlan 10\r", "\nvis0(config-vlan)# ");
    // The daemon completes, and each line takes effect at once.
    let seen = terminal.answer("na\tweb\r", "\nvis0(config-vlan)# ");
    assert!(seen.contains("name web"), "{seen:?}");
    assert_eq!(toy.vlans(), serde_json::json!([{ "vlan": 10, "name": "web" }]));

    // Help comes at once, and the line goes on behind it.
    let seen = terminal.answer("do show vlan id ?", "\nvis0(config-vlan)# do show vlan id ");
    assert!(seen.contains("  <1-4094>  One VLAN"), "{seen:?}");
    let seen = terminal.answer("10\r", "\nvis0(config-vlan)# ");
    assert!(seen.contains("\nweb\n"), "{seen:?}");
    // One that is quoted is none.
    terminal.answer("name a\x16?b\r", "\nvis0(config-vlan)# ");
    assert_eq!(toy.vlans()[0]["name"], "a?b");

    // The caret stands under the word.
    let seen = terminal.answer("nme web\r", "\nvis0(config-vlan)# ");
    let caret = format!("{:>1$}\n% Invalid command at '^' marker.", '^', "vis0(config-vlan)# n".len());
    assert!(seen.contains(&caret), "{seen:?}");
    // A line of the mode around, a line that is given up, a line that comes back.
    terminal.answer("vlan 20\r", "\nvis0(config-vlan)# ");
    terminal.answer("name nobody\x03", "\nvis0(config-vlan)# ");
    let seen = terminal.answer(UP, "# vlan 20");
    assert!(!seen.contains("nobody"), "{seen:?}");
    terminal.answer("\x15exit\r", "\nvis0(config)# ");
    terminal.answer("vlan 30\x1a", "\nvis0# ");
    assert_eq!(toy.vlans().as_array().map(Vec::len), Some(3));
    let seen = terminal.answer("show vlan | include 20\r", "\nvis0# ");
    assert!(seen.contains("\n20    VLAN0020\nvis0# "), "{seen:?}");
    terminal.press("exit\r");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn a_pasted_configuration_is_taken_line_by_line() {
    const VLANS: usize = 60;
    let toy = Toy::start();
    let mut terminal = Terminal::open(&toy);
    terminal.until("vis0# ");
    let lines: String = (1..=VLANS).map(|vlan| format!("vlan {vlan}\r  name web{vlan}\r!\r")).collect();
    terminal.answer(&format!("configure terminal\r{lines}end\r"), "\nvis0# ");
    let vlans = toy.vlans();
    assert_eq!(vlans.as_array().map(Vec::len), Some(VLANS), "{vlans}");
    assert_eq!(vlans[VLANS - 1]["name"], format!("web{VLANS}"));
    terminal.press("exit\r");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn the_end_of_input_ends_the_shell_in_any_mode() {
    let toy = Toy::start();
    let mut terminal = Terminal::open(&toy);
    terminal.until("vis0# ");
    terminal.answer("conf t\r", "\nvis0(config)# ");
    terminal.press("\x04");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn a_daemon_that_goes_away_ends_nothing() {
    let mut toy = Toy::start();
    let mut terminal = Terminal::open(&toy);
    terminal.until("vis0# ");
    toy.process.kill().expect("it runs");
    toy.process.wait().expect("ended");
    let seen = terminal.answer("show vlan\r", "\nvis0# ");
    assert!(seen.contains("% niv-run/vis0.sock: connection refused"), "{seen:?}");
    terminal.answer("show v\t\x03", "\nvis0# ");
    terminal.press("\x04");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn behind_a_pipe() {
    let toy = Toy::start();
    let lines = "! a comment\nterminal length 0\nconf t\nvlan 10\n name web\n do show vlan | count\nend\nshow vlan id 10\n";
    assert_eq!(toy.piped(&[], lines), (0, "3\nweb\n".to_owned(), String::new()));
    let lines = "conf t ; vlan 20 ; name db ; show vlan | last 1";
    assert_eq!(toy.piped(&["-c", lines], ""), (0, "20    db\n".to_owned(), String::new()));
    // What follows `exit` is not read.
    assert_eq!(toy.piped(&[], "exit\nnonsense\n"), (0, String::new(), String::new()));
    assert_eq!(toy.piped(&[], "show vlan ?\n").0, 0);

    // The first line that is wrong is the last; what was done stays.
    let (code, out, err) = toy.piped(&[], "conf t\nvlan 30\n nme x\nvlan 40\n");
    let wrong = "line 3, column 2:\n nme x\n ^\n% Invalid command at '^' marker.\n";
    assert_eq!((code, out.as_str(), err.as_str()), (2, "", wrong));
    assert_eq!(toy.vlans().as_array().map(Vec::len), Some(3));
    let (code, _, err) = toy.piped(&[], "conf t\nvlan 30\n name web\n");
    assert_eq!((code, err.lines().next()), (1, Some("line 3, column 7:")));
    let (code, _, err) = toy.piped(&[], "conf t\ndo show vlan id 99\n");
    assert_eq!((code, err.lines().nth(1)), (1, Some("do show vlan id 99")));
    assert_eq!(err.lines().nth(2), Some("                ^"), "{err}");

    assert_eq!(toy.piped(&["--nonsense"], "").0, 2);
    let (code, _, err) = toy.piped(&["--api", "vis9"], "show vlan\n");
    assert_eq!(code, 1);
    assert!(err.starts_with("nivsh: no daemon found; looked for niv-run/vis9.sock"), "{err}");
}
