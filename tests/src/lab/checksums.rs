//! What tshark finds of TCP in a capture, with every check of its that is off by default on.

use super::packages::output;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;

/// TCP in a capture of a link: every frame of it complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompleteTcp {
    /// Frames.
    pub frames: usize,
    /// Octets of the longest IP packet among them.
    pub longest: usize,
}

/// Has tshark sum every TCP frame of the capture again.
///
/// # Errors
/// Where tshark finds a wrong checksum or length, or cannot read the capture.
pub fn complete_tcp(capture: &Path) -> Result<CompleteTcp> {
    const GOOD: &str = "1";
    let mut tshark = Command::new("tshark");
    tshark.arg("-n").arg("-r").arg(capture).args(["-Y", "tcp"]);
    for check in ["ip.check_checksum", "tcp.check_checksum"] {
        tshark.args(["-o", &format!("{check}:TRUE")]);
    }
    // Reassembly and sequence analysis need not be right for a capture that began in the middle, and cost time.
    for analysis in ["tcp.desegment_tcp_streams", "tcp.analyze_sequence_numbers"] {
        tshark.args(["-o", &format!("{analysis}:FALSE")]);
    }
    tshark.args(["-T", "fields", "-E", "separator=,"]);
    for field in ["frame.number", "ip.len", "ipv6.plen", "ip.checksum.status", "tcp.checksum.status"] {
        tshark.args(["-e", field]);
    }
    tshark.args(["-e", "_ws.malformed", "-e", "vntag.src"]);
    let text = output(&mut tshark)?;
    let mut seen = CompleteTcp { frames: 0, longest: 0 };
    for line in text.lines() {
        let fields: Vec<&str> = line.split(',').collect();
        let [number, v4, v6, ip, tcp, malformed, tag] = fields[..] else { bail!("tshark said {line:?}") };
        let len = match (v4, v6) {
            (len, "") => len.parse(),
            (_, len) => len.parse().map(|len: usize| len + 40),
        };
        let len: usize = len.with_context(|| format!("tshark said {line:?}"))?;
        // IPv6 has no checksum of its own.
        let sums = (ip == GOOD || v4.is_empty()) && tcp == GOOD;
        if !sums || !malformed.is_empty() || tag.is_empty() {
            bail!(
                "frame {number}: IP checksum {ip}, TCP checksum {tcp} (1: right), malformed {malformed:?}, VNTag source {tag:?}"
            );
        }
        seen = CompleteTcp { frames: seen.frames + 1, longest: seen.longest.max(len) };
    }
    Ok(seen)
}
