//! Huge pages for DPDK, where this machine gives them; they are given back.

use crate::lab::paths::RUN;
use std::fs;
use std::path::Path;

const SETTING: &str = "/proc/sys/vm/nr_hugepages";

/// The setting as it was before, for as long as it is changed: a run that is interrupted or killed gives the
/// pages back by this, at once or at the beginning of the next run.
const BEFORE: &str = "huge-pages";

/// Pages of 2 MiB for one testpmd and one OVS.
const WANTED: u64 = 640;

/// Memory that DPDK processes of a bench use, alike for every peer.
pub(super) struct Memory {
    huge: bool,
}

impl Memory {
    /// Reserves huge pages, or does without.
    pub(super) fn get() -> Self {
        let free = || {
            let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
            let line = info.lines().find(|line| line.starts_with("HugePages_Free"));
            line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or(0)
        };
        if !Path::new("/sys/kernel/mm/hugepages/hugepages-2048kB").exists() {
            return Self { huge: false };
        }
        if free() >= WANTED {
            return Self { huge: true };
        }
        if let Ok(before) = fs::read_to_string(SETTING) {
            let _ = fs::write(Path::new(RUN).join(BEFORE), before);
        }
        // Not allowed, or memory too scattered: seen by what is free afterwards.
        let _ = fs::write(SETTING, WANTED.to_string());
        Self { huge: free() >= WANTED }
    }

    /// For the head of the report.
    pub(super) fn describe(&self) -> &'static str {
        if self.huge { "2 MiB pages" } else { "4 KiB pages (huge ones cannot be had here)" }
    }

    /// EAL arguments for a guest whose memory another process maps.
    pub(super) fn guest(&self) -> &'static [&'static str] {
        if self.huge {
            &["--in-memory", "--single-file-segments", "-m", "512"]
        } else {
            &["--no-huge", "-m", "512"]
        }
    }

    /// Device arguments for a virtio-user port. Without huge pages DPDK 22.11's mergeable receive path stops
    /// after its first ring full of frames (seen with OVS as the switch).
    pub(super) fn port(&self) -> &'static str {
        if self.huge { "" } else { ",mrg_rxbuf=0" }
    }

    /// `dpdk-extra` of OVS, which adds `--in-memory` by itself unless it is told the opposite.
    pub(super) fn ovs(&self) -> &'static str {
        if self.huge {
            "-m 512 --no-telemetry --no-pci"
        } else {
            "--no-huge --legacy-mem -m 512 --no-telemetry --no-pci"
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives back what [`Memory::get`] took, if it took anything and that was not given back yet.
pub(in crate::lab) fn give_back() {
    let file = Path::new(RUN).join(BEFORE);
    if let Ok(before) = fs::read_to_string(&file) {
        // What cannot be given back stays reserved, as it would for any DPDK program.
        let _ = fs::write(SETTING, before.trim());
        let _ = fs::remove_file(file);
    }
}
