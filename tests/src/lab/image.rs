//! The guest's initial RAM disk: busybox, iperf3, ethtool, the virtio modules, and this very program as the agent.
//!
//! It is written as an uncompressed `newc` archive, the format that the kernel reads
//! (`Documentation/driver-api/early-userspace/buffer-format.rst`).

use super::kernel::Kernel;
use super::packages::output;
use super::paths::CACHE;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The first process of a guest. Its settings come by the kernel's command line.
const INIT: &str = include_str!("init.sh");

/// Builds the image from what is on this machine now, with the program `lab`, and says where it is. Takes well under a second.
pub(crate) fn build(kernel: &Kernel, lab: &Path) -> Result<PathBuf> {
    let mut archive = Archive::default();
    for dir in ["proc", "sys", "dev", "tmp", "run", "etc", "root", "modules"] {
        archive.directory(dir);
    }
    archive.file("init", 0o755, INIT.into());
    archive.file("etc/passwd", 0o644, b"root::0:0:root:/root:/bin/sh\n".to_vec());
    archive.file("bin/busybox", 0o755, read("/bin/busybox")?);
    for (nr, (name, content)) in kernel.virtio()?.into_iter().enumerate() {
        archive.file(&format!("modules/{nr}-{name}.ko"), 0o644, content);
    }
    for name in ["iperf3", "ethtool"] {
        let program = super::packages::find(name).with_context(|| format!("{name} is not there"))?;
        archive.program(&format!("bin/{name}"), &program)?;
    }
    let agent = small(lab)?;
    archive.program("bin/lab", &agent)?;
    let _ = fs::remove_file(agent);

    let image = Path::new(CACHE).join("guest.cpio");
    let fresh = Path::new(CACHE).join(format!("guest.cpio.{}", std::process::id()));
    fs::write(&fresh, archive.finish()).with_context(|| format!("cannot write {}", fresh.display()))?;
    fs::rename(&fresh, &image)?;
    Ok(image)
}

/// A copy of the program, without its symbols where `strip` is at hand: the guest's memory is small.
fn small(lab: &Path) -> Result<PathBuf> {
    let copy = Path::new(CACHE).join(format!("lab-agent.{}", std::process::id()));
    let _ = fs::remove_file(&copy);
    fs::copy(lab, &copy).with_context(|| format!("cannot copy {}", lab.display()))?;
    // Only the size depends on it.
    let _ = Command::new("strip").arg(&copy).output();
    Ok(copy)
}

fn read(path: impl AsRef<Path>) -> Result<Vec<u8>> {
    let path = path.as_ref();
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// What goes into the archive, by path without leading slash.
#[derive(Default)]
struct Archive {
    entries: BTreeMap<String, (u32, Vec<u8>)>,
}

impl Archive {
    fn directory(&mut self, path: &str) {
        self.entries.insert(path.to_owned(), (0o040_755, Vec::new()));
    }

    fn file(&mut self, path: &str, mode: u32, content: Vec<u8>) {
        // Parents sort before their children, so they are unpacked first.
        for (at, _) in path.match_indices('/') {
            self.directory(&path[..at]);
        }
        self.entries.insert(path.to_owned(), (0o100_000 | mode, content));
    }

    /// A program and the libraries it asks for, each at the path under which the loader looks for it.
    fn program(&mut self, to: &str, from: &Path) -> Result<()> {
        self.file(to, 0o755, read(from)?);
        let libraries = output(Command::new("ldd").arg(from)).context("which libraries does it need?")?;
        for path in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
            let inside = path.trim_start_matches('/');
            if !self.entries.contains_key(inside) {
                self.file(inside, 0o755, read(path)?);
            }
        }
        Ok(())
    }

    fn finish(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.entries.values().map(|(_, content)| content.len() + 256).sum());
        let last = ("TRAILER!!!".to_owned(), (0, Vec::new()));
        for (inode, (path, (mode, content))) in self.entries.into_iter().chain([last]).enumerate() {
            // magic ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
            let header = format!(
                "070701{:08x}{mode:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}",
                inode + 1,
                0,
                0,
                1,
                0,
                content.len(),
                0,
                0,
                0,
                0,
                path.len() + 1,
                0
            );
            out.extend_from_slice(header.as_bytes());
            out.extend_from_slice(path.as_bytes());
            out.push(0);
            out.resize(out.len().next_multiple_of(4), 0);
            out.extend_from_slice(&content);
            out.resize(out.len().next_multiple_of(4), 0);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Field by field what the kernel's documentation says, for a file in a folder.
    #[test]
    fn archive_is_newc() {
        let mut archive = Archive::default();
        archive.file("a/b", 0o755, b"hello".to_vec());
        let bytes = archive.finish();
        assert_eq!(bytes.len() % 4, 0);
        let text = String::from_utf8_lossy(&bytes);
        let heads: Vec<_> = text.match_indices("070701").map(|(at, _)| at).collect();
        assert_eq!(heads.len(), 3, "folder, file, trailer");
        let file = &text[heads[1]..heads[2]];
        assert_eq!(&file[14..22], "000081ed", "regular file, 0755");
        assert_eq!(&file[54..62], "00000005", "size");
        assert_eq!(&file[94..102], "00000004", "name with its NUL");
        assert_eq!(&file[110..121], "a/b\0\0\0hello");
    }
}
