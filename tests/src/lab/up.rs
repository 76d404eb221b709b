//! `cargo lab up`, `status`, `exec`, `console` and `down`: the lab left running for people.

use super::agent::{self, Agent};
use super::guest::{self, Machine};
use super::running::{self, Lab};
use super::topology::{ADAPTERS, HOST, VMS};
use super::{cleanup, demo, packages, paths, process, say};
use anyhow::{Context, Result, anyhow, bail};
use std::fs;
use std::io::{IsTerminal, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A day: nobody's command is meant to be cut off.
const EXEC_LIMIT: Duration = Duration::from_secs(24 * 3600);

/// Says that the lab is up; made by the process that runs it.
fn ready_file() -> PathBuf {
    Path::new(paths::RUN).join("ready")
}

/// Runs the lab until Ctrl-C, or leaves it running.
pub(crate) fn up(detach: bool) -> Result<()> {
    paths::enter()?;
    if let Some(pid) = cleanup::holder()? {
        bail!("a lab is running here already (process {pid}); `cargo lab status` shows it");
    }
    packages::ensure(&[packages::GUESTS])?;
    running::need_root()?;
    if detach {
        return detached();
    }
    let _lock = cleanup::take()?;
    say::heading("The lab");
    demo::picture();
    running::build(&[])?;
    let machine = Machine::prepare(paths::THIS.as_ref())?;
    let mut lab = Lab::start(&machine)?;
    lab.release_agents();
    fs::write(ready_file(), "")?;
    hints();
    if std::io::stdin().is_terminal() {
        say::line(&say::dim("  Ctrl-C ends it."));
    }
    loop {
        lab.check()?;
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn hints() {
    say::heading("Try");
    say::line("  cargo lab exec vm1 ping -c 3 10.10.0.2        a command in a guest");
    say::line("  cargo lab console vm1                         its console; Ctrl-] leaves it");
    for vm in &VMS {
        say::line(&say::dim(&format!("    {}  {:<12} {}  on adapter{}", vm.name, vm.ip, vm.mac, vm.adapter)));
    }
    say::line(&say::dim(&format!(
        "    host {HOST:<12} behind the switch: ip netns exec {} ping 10.10.0.1",
        cleanup::namespace()
    )));
    let folder = std::env::current_dir().unwrap_or_default();
    let programs = paths::program("nivctl");
    let programs = programs.parent().unwrap_or(&folder);
    say::line(&format!("  cd {}; PATH={}:$PATH", folder.display(), programs.display()));
    say::line(&say::dim(
        "    from there the tools find switch and adapter0 by themselves; --api adapter1 is the other one",
    ));
    for (command, what) in [
        ("nivctl show interface virtual", "who has which port of the switch"),
        ("nivctl show vnic", "the adapter's side of it"),
        ("nivctl capture vm1 | tshark -r -", "what a guest sends and gets; Ctrl-C ends it"),
        ("nivsh", "the switch's command line; ? says what there is"),
    ] {
        say::line(&format!("  {command:<45} {what}"));
    }
}

/// Starts `cargo lab up` as a process of its own session and shows its output until the lab is up.
fn detached() -> Result<()> {
    let log = Path::new(paths::LOG).join("up.log");
    let file = fs::File::create(&log)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("up").stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let session = || rustix::process::setsid().map(|_| ()).map_err(std::io::Error::from);
    // SAFETY: the closure makes one system call and turns its number into an error: no allocation, no lock, as
    // is needed between fork and exec.
    unsafe { command.pre_exec(session) };
    let _ = fs::remove_file(ready_file());
    let mut child = command.spawn().context("cannot start the lab")?;
    let mut shown = 0;
    loop {
        let over = child.try_wait()?;
        let text = fs::read(&log).unwrap_or_default();
        std::io::stdout().write_all(&text[shown..])?;
        std::io::stdout().flush()?;
        shown = text.len();
        match over {
            Some(status) => bail!("the lab did not come up ({status}); {} says why", paths::shown(&log)),
            None if ready_file().exists() => break,
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    }
    say::line("");
    say::line(&format!(
        "  The lab runs on as process {}. `cargo lab status` shows it, `cargo lab down` ends it.",
        child.id()
    ));
    Ok(())
}

fn running() -> Result<u32> {
    paths::enter()?;
    cleanup::holder()?.ok_or_else(|| anyhow!("no lab is running; `cargo lab up -d` starts one"))
}

/// Shows the processes of the running lab.
pub(crate) fn status() -> Result<()> {
    let pid = running()?;
    let state = if ready_file().exists() { "up" } else { "busy: starting, or showing something" };
    say::heading(&format!("The lab of process {pid} is {state}"));
    say::line(&format!(
        "  {:<10} {:>7}  {:>10}  {:>10}  {}",
        "process", "pid", "running", "CPU time", "what"
    ));
    let guests =
        VMS.iter().map(|vm| (vm.name.to_owned(), format!("guest {} on adapter{}", vm.ip, vm.adapter)));
    let adapters = (0..ADAPTERS).map(|nr| (format!("adapter{nr}"), format!("niv-adapter, link{nr}")));
    let switch =
        [("vis0".to_owned(), format!("vis-switch; host {HOST} in namespace {}", cleanup::namespace()))];
    for (name, what) in switch.into_iter().chain(adapters).chain(guests) {
        let file = fs::read_to_string(Path::new(paths::RUN).join(format!("{name}.pid"))).unwrap_or_default();
        let pid = file.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0);
        match process::times(pid) {
            Some((age, cpu)) => say::line(&format!(
                "  {name:<10} {pid:>7}  {:>10}  {:>10}  {what}",
                say::seconds(age),
                say::seconds(cpu)
            )),
            None => say::line(&format!("  {name:<10} {:>7}  {}", "-", say::red("not running"))),
        }
    }
    say::line("");
    say::line("  logs: target/lab/log/   configuration: target/lab/*.toml, target/lab/vis.cfg");
    Ok(())
}

fn guest(name: &str) -> Result<()> {
    if VMS.iter().any(|vm| vm.name == name) {
        return Ok(());
    }
    let names: Vec<_> = VMS.iter().map(|vm| vm.name).collect();
    bail!("no guest {name:?}; there are {}", names.join(", "))
}

/// Runs a command in a guest; its exit code becomes ours.
pub(crate) fn exec(name: &str, words: &[String]) -> Result<u8> {
    running()?;
    guest(name)?;
    let agent = Agent::connect(name, &agent::socket(name), Duration::from_secs(10))?;
    let output = agent.begin(&words.join(" "), EXEC_LIMIT)?.wait_with(EXEC_LIMIT, |piece| {
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(piece.as_bytes()).and_then(|()| out.flush());
    })?;
    Ok(u8::try_from(output.code).unwrap_or(1))
}

/// Connects this terminal to a guest's console until Ctrl-].
pub(crate) fn console(name: &str) -> Result<()> {
    const ESCAPE: u8 = 0x1d;
    running()?;
    guest(name)?;
    let mut stream =
        UnixStream::connect(guest::console(name)).with_context(|| format!("no console of {name}"))?;
    say::line(&format!("Console of {name}. Ctrl-] leaves it."));
    let stdin = std::io::stdin();
    let before = rustix::termios::tcgetattr(&stdin).ok();
    if let Some(before) = &before {
        let mut raw = before.clone();
        raw.make_raw();
        rustix::termios::tcsetattr(&stdin, rustix::termios::OptionalActions::Now, &raw)?;
    }
    let mut from_guest = stream.try_clone()?;
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_guest, &mut std::io::stdout());
    });
    // A line feed brings the prompt.
    let mut keys = [b'\n'; 256];
    let mut count = 1;
    let result = loop {
        let typed = &keys[..count];
        let end = typed.iter().position(|key| *key == ESCAPE);
        if let Err(error) = stream.write_all(&typed[..end.unwrap_or(typed.len())]) {
            break Err(error).with_context(|| format!("{name} is gone"));
        }
        if end.is_some() {
            break Ok(());
        }
        count = match stdin.lock().read(&mut keys) {
            Ok(0) | Err(_) => break Ok(()),
            Ok(count) => count,
        };
    };
    if let Some(before) = &before {
        rustix::termios::tcsetattr(&stdin, rustix::termios::OptionalActions::Now, before)?;
    }
    say::line("");
    result
}

/// Ends the running lab.
pub(crate) fn down() -> Result<()> {
    let pid = running()?;
    let step = say::Step::begin("Stopping the lab");
    process::signal(pid, rustix::process::Signal::TERM);
    let deadline = Instant::now() + Duration::from_secs(15);
    while cleanup::holder()?.is_some() {
        if Instant::now() >= deadline {
            bail!("process {pid} does not end");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    step.done("");
    Ok(())
}
