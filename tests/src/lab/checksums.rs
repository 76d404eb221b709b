//! What tshark finds of IP in a capture, with every check of its that is off by default on.

use super::packages::output;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;

/// IP in a capture of a link: every packet complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Complete {
    /// Frames with TCP.
    pub tcp: usize,
    /// Those of them that go to an adapter.
    pub tcp_down: usize,
    /// Frames with UDP.
    pub udp: usize,
    /// Octets of the longest IP packet.
    pub longest: usize,
}

/// What is read of each frame; of each, the first one in it.
const FIELDS: [&str; 10] = [
    "frame.number",
    "ip.len",
    "ipv6.plen",
    "ip.checksum.status",
    "tcp.checksum.status",
    "tcp.checksum.ffff",
    "udp.checksum.status",
    "_ws.malformed",
    "vntag.src",
    "vntag.dir",
];

/// Has tshark sum every TCP and UDP frame of the capture of an NIV link again.
///
/// # Errors
/// Where tshark finds a wrong checksum or length or a frame without a tag, or cannot read the capture.
pub fn complete(capture: &Path) -> Result<Complete> {
    const GOOD: &str = "1";
    let mut tshark = Command::new("tshark");
    tshark.arg("-n").arg("-r").arg(capture).args(["-Y", "tcp || udp"]);
    for check in ["ip.check_checksum", "tcp.check_checksum", "udp.check_checksum"] {
        tshark.args(["-o", &format!("{check}:TRUE")]);
    }
    // Reassembly and sequence analysis need not be right for a capture that began in the middle, and cost time.
    for analysis in ["tcp.desegment_tcp_streams", "tcp.analyze_sequence_numbers"] {
        tshark.args(["-o", &format!("{analysis}:FALSE")]);
    }
    tshark.args(["-T", "fields", "-E", "separator=,", "-E", "occurrence=f"]);
    for field in FIELDS {
        tshark.args(["-e", field]);
    }
    let text = output(&mut tshark)?;
    let mut seen = Complete { tcp: 0, tcp_down: 0, udp: 0, longest: 0 };
    for line in text.lines() {
        let fields: Vec<&str> = line.split(',').collect();
        let [number, v4, v6, ip, tcp, ones, udp, malformed, tag, down] = fields[..] else {
            bail!("tshark said {line:?}")
        };
        let len = match (v4, v6) {
            (len, "") => len.parse(),
            (_, len) => len.parse().map(|len: usize| len + 40),
        };
        let len: usize = len.with_context(|| format!("tshark said {line:?}"))?;
        // Linux writes all ones for zero, which RFC 1624 allows UDP only, into TCP, too, where it sums itself: the same number, which
        // every receiver takes, and which tshark calls wrong under a name of its own.
        let tcp = if ones.is_empty() { tcp } else { GOOD };
        // IPv6 has no checksum of its own.
        let sums = (ip == GOOD || v4.is_empty()) && matches!((tcp, udp), (GOOD, "") | ("", GOOD));
        if !sums || !malformed.is_empty() || tag.is_empty() {
            bail!(
                "frame {number}: checksums of IP {ip:?}, TCP {tcp:?}, UDP {udp:?} (1: right), malformed {malformed:?}, \
                 VNTag source {tag:?}"
            );
        }
        let is_tcp = !tcp.is_empty();
        seen = Complete {
            tcp: seen.tcp + usize::from(is_tcp),
            tcp_down: seen.tcp_down + usize::from(is_tcp && matches!(down, "1" | "True")),
            udp: seen.udp + usize::from(!is_tcp),
            longest: seen.longest.max(len),
        };
    }
    Ok(seen)
}
