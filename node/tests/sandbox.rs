//! What the sandbox forbids and what it leaves: `examples/confined.rs` is in it and tries.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus};

/// The signal by which the kernel ends who makes a forbidden call.
const SIGSYS: i32 = 31;

/// What became of one who did this in there: how it ended, and what it said.
fn deed(folder: &Path, deed: &str) -> (ExitStatus, String) {
    let program =
        Path::new(env!("CARGO_BIN_EXE_nivctl")).parent().expect("a folder").join("examples/confined");
    assert!(program.exists(), "`cargo test -p niv-node` builds the example; `--test sandbox` alone does not");
    let output =
        Command::new(program).arg(folder).arg(deed).env("RUST_BACKTRACE", "1").output().expect("it runs");
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8(said).expect("text"));
    (output.status, said.concat())
}

#[test]
fn a_panic_still_says_where_it_was() {
    let folder = folder();
    let (status, said) = deed(folder.path(), "panic");
    assert!(
        status.code() == Some(101) && said.contains("confined.rs") && said.contains("act\n"),
        "{status}: {said}"
    );
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("secret"), "of others").expect("written");
    folder
}

/// Without landlock files are not confined, which the daemons say; then half of this cannot be tested.
fn landlock() -> bool {
    let modules =
        std::fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_else(|_| "landlock".to_owned());
    let there = modules.contains("landlock");
    assert!(there || std::env::var("CI").as_deref() != Ok("true"), "this kernel has no landlock");
    if !there {
        println!("left out: this kernel has no landlock");
    }
    there
}

#[test]
fn a_forbidden_system_call_kills_the_process() {
    let folder = folder();
    for call in ["exec", "chroot", "signal"] {
        let (status, said) = deed(folder.path(), call);
        assert_eq!((status.signal(), said.as_str()), (Some(SIGSYS), "in\n"), "{call}");
    }
}

#[test]
fn an_argument_that_no_daemon_passes_fails() {
    let folder = folder();
    for call in ["fork", "internet"] {
        let (status, said) = deed(folder.path(), call);
        assert_eq!((status.code(), said.as_str()), (Some(0), "in\nPermissionDenied\n"), "{call}");
    }
}

#[test]
fn what_opening_needed_is_gone_afterwards() {
    if !rustix::process::geteuid().is_root() {
        println!("left out: only root has capabilities to lose");
        return;
    }
    let folder = folder();
    assert_eq!(deed(folder.path(), "at-start").1, "in\ndone\n");
    for socket in ["packet", "xdp"] {
        assert_eq!(deed(folder.path(), socket).1, "in\nPermissionDenied\n", "{socket}");
    }
}

#[test]
fn files_outside_cannot_be_opened() {
    if !landlock() {
        return;
    }
    let folder = folder();
    for file in ["read-secret", "write-secret", "make-file", "look-at-parent"] {
        let (status, said) = deed(folder.path(), file);
        assert_eq!((status.code(), said.as_str()), (Some(0), "in\nPermissionDenied\n"), "{file}: {status}");
    }
    assert_eq!(std::fs::read_to_string(folder.path().join("secret")).expect("there"), "of others");
}

#[test]
fn what_a_daemon_does_goes_on() {
    let folder = folder();
    for ordinary in ["write-state", "write-capture", "make-socket", "read-users"] {
        let (status, said) = deed(folder.path(), ordinary);
        assert_eq!((status.code(), said.as_str()), (Some(0), "in\ndone\n"), "{ordinary}");
    }
    assert_eq!(std::fs::read_to_string(folder.path().join("tee.pcapng")).expect("there"), "frames");
}
