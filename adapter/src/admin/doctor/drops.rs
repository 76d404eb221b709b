//! What it means when a drop reason or a device's counter grows.

use super::facts::Port;
use super::kinds;
use crate::engine::DropReason;
use niv_node::doctor::{Finding, Report, Step};

/// Drops and troubles of a port; `see` shows them.
pub(super) fn judge(report: &mut Report, name: &str, port: &Port, see: &str) {
    for (reason, count) in &port.drops {
        let Some(advice) = advice(*reason) else { continue };
        let lines = if reason.lines().is_empty() { String::new() } else { format!(" ({})", reason.lines()) };
        let what = format!("{}{lines}: {}", reason.name(), reason.help().trim().trim_end_matches('.'));
        let finding = Finding::new(&kinds::DROPS, name, what).counting(*count);
        report.add(finding.step(Step::advice(advice)).step(Step::see(see)));
    }
    for counter in port.counters.iter().filter(|counter| counter.is_trouble() && counter.value > 0) {
        let what = format!("{}: {}", counter.name, counter.help.trim_end_matches('.'));
        report.add(Finding::new(&kinds::DEVICE, name, what).counting(counter.value).step(Step::see(see)));
    }
}

/// What to look at; `None` where frames are dropped as they should be.
const fn advice(reason: DropReason) -> Option<&'static str> {
    use DropReason as R;
    Some(match reason {
        // Neighbours send these whatever the link is for.
        R::LinkControl | R::LinkPeerProtocol => return None,
        R::HostVntag | R::HostTagHidden => "the host sends frames with a VNTag of its own",
        R::HostVifDown => "the vNIC has no active VIF, and its guest sends all the same",
        R::HostPriority => "the guest uses a priority that the switch does not allow it",
        R::HostRunt => "the guest's driver sends less than a frame",
        R::HostOversize => "the guest's MTU is greater than that of its VIF",
        R::HostOffload => "the guest's driver describes checksums or segments that its frames do not have",
        R::LinkDown => "the link has no peer: the switch is away",
        R::LinkRefused => "the link's MTU is too small for these frames",
        R::LinkRingFull => "the switch takes frames slower than they come",
        R::PuntFull => "more LLDP or control frames come than can be: a loop, or a neighbour gone wild",
        R::LinkNoVntag => "the other end of the link is no switch in vntag mode",
        R::LinkTruncated
        | R::LinkBadDir
        | R::LinkReserved
        | R::LinkVersion
        | R::LinkDstRange
        | R::LinkDouble => {
            "the switch's tags are not legal: another implementation, or frames broken on the way"
        }
        R::LinkDstUnknown => {
            "the switch sends to a VIF that is not here: on a static link, vif of the [[vnic]]"
        }
        R::LinkListUnknown => "the switch sends to a list that is not here: on a static link, a [[list]]",
        R::LinkListEmpty => "the switch sends to a list none of whose members is up",
        R::LinkSelfLoop => {
            "the switch sends a vNIC its own frames back: source and destination are the same VIF"
        }
        R::LinkVifDown => "the switch sends to a vNIC whose guest is away",
        R::LinkVlan => {
            "the switch sends frames of a VLAN that the access VIF does not have: on a static link, vlan of the [[vnic]]"
        }
        R::LinkOffload => {
            "the switch describes checksums or segments that its frames do not have: a fault of it"
        }
        R::HostRingFull => "the guest is too slow: it posts no receive buffers",
        R::HostRefused => "the guest's receive buffers are smaller than its frames: its MTU, or its driver",
    })
}
