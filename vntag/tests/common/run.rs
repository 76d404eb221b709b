//! Running the binary and the tools it is compared with.

use std::path::PathBuf;
use std::process::Command;

/// The binary under test.
pub(crate) fn vntag() -> Command {
    Command::new(env!("CARGO_BIN_EXE_vntag"))
}

/// A file of this name for this test binary, in Cargo's folder for such files.
pub(crate) fn scratch(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", env!("CARGO_CRATE_NAME")))
}

/// Whether `tool` can be run. Where it cannot, says so and lets the test return, but fails it under `CI=true`.
pub(crate) fn have(tool: &str) -> bool {
    if Command::new(tool).arg("--version").output().is_ok() {
        return true;
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{tool} is not installed, and CI=true");
    eprintln!("skipped: {tool} is not installed");
    false
}
