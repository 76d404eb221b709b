//! Where things are.
//!
//! The lab works inside `target/lab/` of the repository: [`enter`] makes that the current folder, and every
//! path here is relative to it. That keeps Unix socket paths far below their limit of 108 octets however deep
//! the clone lies, and keeps the configuration files readable.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// Things worth keeping between runs: kernel, image, unpacked packages.
pub(crate) const CACHE: &str = "cache";
/// Sockets, pid files, the lock; emptied at each start. `nivctl` and `nivsh` look there by themselves.
pub(crate) const RUN: &str = "niv-run";
/// What the daemons keep while a lab runs; emptied at each start, so that every lab begins alike.
pub(crate) const STATE: &str = "state";
/// One log per process.
pub(crate) const LOG: &str = "log";

/// The program that runs.
pub(crate) const THIS: &str = "/proc/self/exe";

/// The repository.
pub(crate) fn repository() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    manifest.parent().map_or_else(|| manifest.clone(), Path::to_path_buf)
}

/// Cargo's target folder, where the built programs are.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => repository().join(dir),
        None => repository().join("target"),
    }
}

/// A built program of this workspace.
pub(crate) fn program(name: &str) -> PathBuf {
    target().join("release").join(name)
}

/// Makes `folder` the current folder, for a test that runs guests of its own beside whatever lab runs here. Kernel
/// and image come from the lab's cache.
///
/// # Errors
/// The folder cannot be prepared.
pub fn enter_apart(folder: &Path) -> Result<()> {
    let cache = repository().join("target").join("lab").join(CACHE);
    std::fs::create_dir_all(&cache).with_context(|| format!("cannot create {}", cache.display()))?;
    let link = folder.join(CACHE);
    std::os::unix::fs::symlink(&cache, &link).with_context(|| format!("cannot create {}", link.display()))?;
    for dir in [RUN, LOG] {
        let dir = folder.join(dir);
        std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    }
    std::env::set_current_dir(folder).with_context(|| format!("cannot enter {}", folder.display()))
}

/// Makes `target/lab` the current folder, with its subfolders.
pub(crate) fn enter() -> Result<()> {
    let lab = repository().join("target").join("lab");
    for dir in [CACHE, RUN, LOG] {
        let dir = lab.join(dir);
        std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    }
    std::env::set_current_dir(&lab).with_context(|| format!("cannot enter {}", lab.display()))
}

/// How a built program's path reads from the repository.
pub(crate) fn shown_program(name: &str) -> String {
    let program = program(name);
    program.strip_prefix(repository()).unwrap_or(&program).display().to_string()
}

/// How a path under the lab reads from the repository: what a person can copy.
pub(crate) fn shown(path: impl AsRef<Path>) -> String {
    format!("target/lab/{}", path.as_ref().display())
}

/// A short name for something, the same in every build (FNV-1a).
pub(crate) fn fnv1a(octets: &[u8]) -> u32 {
    octets.iter().fold(0x811c_9dc5, |hash, octet| (hash ^ u32::from(*octet)).wrapping_mul(0x0100_0193))
}
