//! The guest's kernel: Debian's cloud kernel, taken out of its package, never installed.

use super::packages::{apt, output};
use super::paths::CACHE;
use super::say;
use anyhow::{Context, Result, anyhow, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Depends on the newest cloud kernel of the release.
const META: &str = "linux-image-cloud-amd64";

/// Modules for a virtio network card, in the order in which they must be loaded.
const MODULES: [&str; 8] = [
    "virtio_ring",
    "virtio",
    "virtio_pci_modern_dev",
    "virtio_pci_legacy_dev",
    "virtio_pci",
    "failover",
    "net_failover",
    "virtio_net",
];

/// An unpacked kernel package.
pub(crate) struct Kernel {
    /// `6.1.0-56-cloud-amd64`.
    pub(crate) version: String,
    /// The image to boot.
    pub(crate) vmlinuz: PathBuf,
    modules: PathBuf,
}

impl Kernel {
    /// From the cache, or downloaded.
    pub(crate) fn get() -> Result<Self> {
        let root = Path::new(CACHE).join("kernel");
        if let Some(kernel) = Self::find(&root) {
            return Ok(kernel);
        }
        let package = match newest() {
            Ok(package) => package,
            Err(_) if super::packages::root() => {
                apt(&["update"])?;
                newest()?
            }
            Err(error) => return Err(error.context("try `sudo apt-get update`")),
        };
        let step = say::Step::begin(&format!("Downloading {package} for the guests"));
        // Unpacked beside its place and renamed: a run that is killed here leaves no half kernel.
        let fresh = Path::new(CACHE).join("kernel.new");
        let _ = fs::remove_dir_all(&fresh);
        fs::create_dir_all(&fresh)?;
        output(Command::new("apt-get").args(["-q", "download", &package]).current_dir(&fresh))?;
        let deb = entries(&fresh)?
            .into_iter()
            .find(|path| path.extension().is_some_and(|e| e == "deb"))
            .ok_or_else(|| anyhow!("apt-get download {package} left no package"))?;
        output(Command::new("dpkg").arg("-x").arg(&deb).arg(&fresh))?;
        fs::remove_file(&deb)?;
        let _ = fs::remove_dir_all(&root);
        fs::rename(&fresh, &root)?;
        step.done("");
        Self::find(&root).ok_or_else(|| anyhow!("{package} holds no kernel"))
    }

    fn find(root: &Path) -> Option<Self> {
        let vmlinuz = entries(&root.join("boot"))
            .ok()?
            .into_iter()
            .find(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("vmlinuz-")))?;
        let version = vmlinuz.file_name()?.to_str()?.strip_prefix("vmlinuz-")?.to_owned();
        let modules = ["lib/modules", "usr/lib/modules"]
            .iter()
            .map(|dir| root.join(dir).join(&version))
            .find(|dir| dir.is_dir())?;
        Some(Self { version, vmlinuz, modules })
    }

    /// The virtio modules in loading order: name and uncompressed content. One that is not there is built in.
    pub(crate) fn virtio(&self) -> Result<Vec<(&'static str, Vec<u8>)>> {
        let mut all = Vec::new();
        walk(&self.modules, &mut all)?;
        let mut found = Vec::new();
        for name in MODULES {
            let path = all.iter().find(|p| {
                let file = p.file_name().map(|n| n.to_string_lossy().replace('-', "_")).unwrap_or_default();
                file.strip_prefix(name).is_some_and(|rest| rest.starts_with(".ko"))
            });
            if let Some(path) = path {
                found.push((name, uncompressed(path)?));
            }
        }
        if found.is_empty() {
            bail!("no virtio modules in {}", self.modules.display());
        }
        Ok(found)
    }
}

fn newest() -> Result<String> {
    let text = output(Command::new("apt-cache").args(["depends", "--no-recommends", "--no-suggests", META]))?;
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .find(|package| package.starts_with("linux-image-"))
        .map(str::to_owned)
        .ok_or_else(|| anyhow!("apt does not know what {META} depends on"))
}

fn uncompressed(path: &Path) -> Result<Vec<u8>> {
    let tool = match path.extension().and_then(|e| e.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        _ => return fs::read(path).with_context(|| format!("cannot read {}", path.display())),
    };
    let done =
        Command::new(tool).arg("-dc").arg(path).output().with_context(|| format!("cannot run {tool}"))?;
    if !done.status.success() {
        bail!("{tool} cannot read {}: {}", path.display(), String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(done.stdout)
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let list = fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    list.map(|entry| Ok(entry?.path())).collect()
}

fn walk(dir: &Path, into: &mut Vec<PathBuf>) -> Result<()> {
    for path in entries(dir)? {
        if path.is_dir() && !path.is_symlink() {
            walk(&path, into)?;
        } else {
            into.push(path);
        }
    }
    Ok(())
}
