//! Debian packages: what is missing, and getting it.
//!
//! As root the missing ones are installed; otherwise the exact command is printed and nothing is done.

use super::say;
use anyhow::{Context, Result, bail};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program (or file) and the Debian package that brings it.
pub(crate) struct Need {
    /// Looked for in `PATH` and the system's `sbin` folders, or where it is absolute.
    pub(crate) program: &'static str,
    /// What brings it.
    pub(crate) package: &'static str,
    /// Where the program may be there without all that the package brings: with these words it then fails.
    proof: &'static [&'static str],
}

const fn need(program: &'static str, package: &'static str) -> Need {
    Need { program, package, proof: &[] }
}

impl Need {
    fn is_met(&self) -> bool {
        let Some(program) = find(self.program) else { return false };
        self.proof.is_empty() || output(Command::new(program).args(self.proof)).is_ok()
    }
}

/// For guests.
pub(crate) const GUESTS: &[Need] = &[
    need("qemu-system-x86_64", "qemu-system-x86"),
    need("/bin/busybox", "busybox-static"),
    need("iperf3", "iperf3"),
    need("ethtool", "ethtool"),
    need("xz", "xz-utils"),
    need("ip", "iproute2"),
    need("ping", "iputils-ping"),
];

/// For showing what was on the wire.
pub(crate) const CAPTURE: &[Need] = &[need("tshark", "tshark")];

/// For foreign peers in the tests.
pub(crate) const PEERS: &[Need] =
    &[need("dpdk-testpmd", "dpdk-dev"), need("tcpdump", "tcpdump"), need("lldpd", "lldpd")];

/// For what is written for the system around the daemons.
pub(crate) const SYSTEM: &[Need] = &[
    need("systemd-analyze", "systemd"),
    need("groff", "groff-base"),
    need("bash", "bash"),
    need("zsh", "zsh"),
    need("fish", "fish"),
];

/// For foreign readers of what the switch says, and what they log in through.
pub(crate) const READERS: &[Need] = &[
    Need { program: "python3", package: "python3-venv", proof: &["-c", "import ensurepip, venv"] },
    need("/usr/sbin/sshd", "openssh-server"),
];

/// For comparisons.
pub(crate) const COMPARED: &[Need] = &[
    need("dpdk-testpmd", "dpdk-dev"),
    need("/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk", "openvswitch-switch-dpdk"),
    need("iperf3", "iperf3"),
    need("ip", "iproute2"),
    need("ping", "iputils-ping"),
];

/// Where `program` is, if it is anywhere.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    if program.starts_with('/') {
        return Path::new(program).exists().then(|| program.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/bin"].map(PathBuf::from))
        .map(|dir| dir.join(program))
        .find(|candidate| candidate.is_file())
}

/// Whether this process is root.
pub(crate) fn root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Makes sure that everything in `lists` is there.
pub(crate) fn ensure(lists: &[&[Need]]) -> Result<()> {
    let mut missing: Vec<&str> =
        lists.iter().flat_map(|list| list.iter()).filter(|n| !n.is_met()).map(|n| n.package).collect();
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    let install = format!("apt-get install -y --no-install-recommends {}", missing.join(" "));
    if find("apt-get").is_none() {
        bail!(
            "missing here: {}. This machine has no apt-get; on Debian they come by `{install}`",
            missing.join(", ")
        );
    }
    if !root() {
        bail!(
            "missing here: {}. Install them with\n\n    sudo apt-get update && sudo {install}\n",
            missing.join(", ")
        );
    }
    let step = say::Step::begin(&format!("Installing {}", missing.join(", ")));
    apt(&["update"])?;
    {
        let _policy = NoServices::declare()?;
        apt(&[&["install", "-y", "--no-install-recommends"], missing.as_slice()].concat())?;
    }
    step.done("");
    match lists.iter().flat_map(|list| list.iter()).find(|n| !n.is_met()) {
        Some(n) => bail!("package {} was installed but {} is still not there", n.package, n.program),
        None => Ok(()),
    }
}

/// While this lives, packages that are installed start no services: what the lab needs of them it starts itself, and
/// the machine goes on as before.
struct NoServices(Option<&'static Path>);

impl NoServices {
    /// Debian's way of saying so (`/usr/share/doc/init-system-helpers/README.policy-rc.d.gz`). A policy that this
    /// machine has is left as it is.
    fn declare() -> Result<Self> {
        const MARK: &str = "# cargo lab";
        let file = Path::new("/usr/sbin/policy-rc.d");
        let ours = std::fs::read_to_string(file).is_ok_and(|text| text.contains(MARK));
        if file.exists() && !ours {
            return Ok(Self(None));
        }
        let policy = Self(Some(file));
        let cannot = || format!("cannot write {}", file.display());
        std::fs::write(file, format!("#!/bin/sh\n{MARK}\nexit 101\n")).with_context(cannot)?;
        std::fs::set_permissions(file, PermissionsExt::from_mode(0o755)).with_context(cannot)?;
        Ok(policy)
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if let Some(file) = self.0 {
            let _ = std::fs::remove_file(file);
        }
    }
}

/// Runs `apt-get` without questions; its output is shown only where it fails.
pub(crate) fn apt(args: &[&str]) -> Result<()> {
    let output = Command::new("apt-get")
        .args(["-q", "-o", "Dpkg::Options::=--force-confold", "-o", "DPkg::Lock::Timeout=120"])
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("DEBCONF_NOWARNINGS", "yes")
        .stdin(Stdio::null())
        .output()
        .context("cannot run apt-get")?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    bail!(
        "apt-get {} failed:\n{}",
        args.join(" "),
        super::process::last_lines(&String::from_utf8_lossy(&text), 15)
    );
}

/// Runs a program to its end and gives its standard output, or an error with what it said.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let done = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {name}"))?;
    if !done.status.success() {
        let args: Vec<_> = command.get_args().map(|a| a.to_string_lossy().into_owned()).collect();
        bail!(
            "`{name} {}` failed ({}): {}",
            args.join(" "),
            done.status,
            String::from_utf8_lossy(&done.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}
