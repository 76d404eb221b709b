//! What it means when a drop reason, or the want of room for addresses, counts.

use super::facts::Facts;
use super::kinds;
use crate::engine::verdict::DropReason;
use niv_node::doctor::{Finding, Report, Step};

pub(super) fn judge(report: &mut Report, facts: &Facts) {
    if facts.mac_table_full > 0 {
        let what = format!("{} times an address found no room", facts.mac_table_full);
        let finding = Finding::new(&kinds::MAC_TABLE, &facts.node, what).counting(facts.mac_table_full);
        let advice = "a larger mac_table_size in [switch] of its file, and a restart";
        report.add(finding.step(Step::advice(advice)).step(Step::see("show counters")));
    }
    for (reason, count) in &facts.drops {
        if let Some(advice) = advice(*reason) {
            let lines =
                if reason.lines().is_empty() { String::new() } else { format!(" ({})", reason.lines()) };
            let help = reason.help().trim().trim_end_matches('.');
            let what = format!("{}{lines}: {help}", reason.name());
            let finding = Finding::new(&kinds::DROPS, &facts.node, what).counting(*count);
            report.add(finding.step(Step::advice(advice)).step(Step::see("show drops")));
        }
        let is_static = |port: &&super::facts::Port| port.niv && !port.negotiates;
        if *reason == DropReason::RxControl
            && let Some(port) = facts.ports.iter().find(is_static)
        {
            let what = format!("{count} control frames came in that nothing here listens to");
            let how = Step::advice("negotiation = \"off\" at both ends of a link, or at none");
            report.add(Finding::new(&kinds::NEGOTIATION_OFF, &port.name, what).step(how));
        }
    }
}

/// What to look at; `None` where frames are dropped as they should be.
const fn advice(reason: DropReason) -> Option<&'static str> {
    use DropReason as R;
    Some(match reason {
        // Somebody wants it so.
        R::AclIn | R::AclOut | R::Pvlan | R::PortSecurity => return None,
        // A bridge drops these, and hosts send them all the time.
        R::RxLinklocal
        | R::RxPeerL2proto
        | R::RxControl
        | R::SameVifUc
        | R::SameIfUc
        | R::FloodNoReceiver => return None,
        R::RxNoVntag => {
            "a port in vntag mode gets plain frames: its other end is no adapter (switchport mode trunk?)"
        }
        R::RxVntagIllegal => "an adapter is connected to an ordinary port (switchport mode vntag?)",
        R::RxTruncated
        | R::RxNoInnerType
        | R::RxBadDir
        | R::RxBadPtr
        | R::RxBadLoop
        | R::RxBadDst
        | R::RxReserved
        | R::RxVersion
        | R::RxSrcReserved
        | R::RxDouble => {
            "the adapter's tags are not legal: another implementation, or frames broken on the way"
        }
        R::RxSrcUnknown => {
            "a VIF that no interface is bound to: on a static link, bind interface ethernet P channel VIF"
        }
        R::RxRunt | R::RxVlanReserved | R::RxSmac => {
            "a guest or neighbour sends frames that no host may send; a capture names it"
        }
        R::RxVlan => {
            "a guest or neighbour uses a VLAN that its interface does not carry (switchport trunk allowed vlan)"
        }
        R::RxOversize => "a guest's or neighbour's MTU is greater than that of the interface (mtu)",
        R::RxStacked => "a guest on an access interface sends tagged frames (switchport mode trunk)",
        R::RxTagHidden => "a guest sends frames with a VNTag of its own",
        R::RxOffload => {
            "an adapter, or a host behind an interface, describes checksums or segments that its frames do not have"
        }
        R::PuntFull => "more LLDP or control frames come than can be: a loop, or a neighbour gone wild",
        R::UcDvifXlateMiss => "the receiver's interface has no VIF: its adapter or guest is away",
        R::McDvifXlateMiss => {
            "no VIF list has exactly the members of the flood: on a static link, vif-list N members V at the port and [[list]] at the adapter"
        }
        R::SvifXlateMiss => "the sender's interface has just lost its VIF, or has none on that link",
        R::TxPortDown => "a port that frames should leave by is down",
        R::TxRingFull => "a port takes frames slower than they come: its peer is busy, or the link too slow",
        R::TxUnsendable => "a device refuses frames: its MTU is too small, or its interface set down",
    })
}
