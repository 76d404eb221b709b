//! Links, and who is at their other end.

use super::facts::{Facts, Lack, Link, Port};
use super::{drops, kinds};
use niv_node::doctor::{Finding, Report, Step};
use vntag::ctl::session::NotPeer;
use vntag::{VlanTag, Vntag};

/// Octets that a frame has on a link behind its Ethernet header and beside its payload.
const TAGS: u32 = (Vntag::LEN + VlanTag::LEN) as u32;
/// Octets of an Ethernet header.
const HEADER: u32 = 14;

pub(super) fn judge(report: &mut Report, facts: &Facts) {
    let up = facts.links.iter().filter(|link| link.port.down.is_none()).count();
    report.all_fine(up, facts.links.len(), "links up");
    for (index, link) in facts.links.iter().enumerate() {
        let Link { name, port, .. } = link;
        if let Some((switch, _)) = &link.peer {
            report.fine(format!("{name}: switch {switch}"));
        }
        if let Some((cause, cure)) = &port.down {
            let finding = Finding::new(&kinds::LINK_DOWN, name, format!("{}: {cause}", port.device));
            let other = match port.device.split_once(':') {
                Some(("memif", socket)) => {
                    format!(
                        "start the switch whose [[port]] has device = \"memif:{socket}\" (see its findings)"
                    )
                }
                _ => "look at the other end of the interface".to_owned(),
            };
            report.add(finding.step(cure.clone().map_or_else(|| Step::advice(other), Step::shell)));
        }
        room(report, facts, index, link);
        peer(report, link);
        faults(report, name, port, "[[link]]");
        drops::judge(report, name, port, &format!("show link {name}"));
        let control = port.drops.iter().find(|(reason, _)| *reason == crate::engine::DropReason::LinkControl);
        if let Some((_, count)) = control.filter(|_| !link.negotiates) {
            let what = format!("{count} control frames came in that nothing here listens to");
            let how = Step::advice("negotiation = \"off\" at both ends of a link, or at none");
            report.add(Finding::new(&kinds::NEGOTIATION_OFF, name, what).step(how));
        }
    }
}

pub(super) fn faults(report: &mut Report, name: &str, port: &Port, section: &str) {
    if port.has_faults {
        let how = Step::advice(format!("take fault out of the {section} {name} and restart the adapter"));
        report.add(Finding::new(&kinds::FAULT_PLAN, name, "it has a fault plan").step(how));
    }
}

/// Whether the longest frames fit.
fn room(report: &mut Report, facts: &Facts, index: usize, link: &Link) {
    let here = facts.vnics.iter().filter(|vnic| vnic.link == index);
    let longest = here.filter_map(|vnic| Some((vnic.mtu?, &vnic.name))).max();
    let Some((mtu, vnic)) = longest else { return };
    let needed = u32::from(mtu) + TAGS;
    if let Some((name, Some(has))) = &link.port.interface
        && *has < needed
    {
        let what =
            format!("{vnic} has an MTU of {mtu}, for which {name} needs one of {needed} and has {has}");
        let mend = Step::shell(format!("ip link set dev {name} mtu {needed}"));
        report.add(Finding::new(&kinds::LINK_MTU, &link.name, what).step(mend));
    }
    if let Some((switch, most)) = &link.peer
        && *most < needed + HEADER
    {
        let what = format!(
            "{vnic} has an MTU of {mtu}, a frame of {} octets; {switch} takes {most}",
            needed + HEADER
        );
        let there = format!("at {switch}: an MTU of {needed} for the port's interface, then restart it");
        report.add(Finding::new(&kinds::LINK_MTU, &link.name, what).step(Step::advice(there)));
    }
}

fn peer(report: &mut Report, link: &Link) {
    let neighbors = || Step::see("show neighbors");
    let finding = match &link.lack {
        None => None,
        Some(Lack::Silent) => {
            let finding =
                Finding::new(&kinds::PEER_SILENT, &link.name, "the link is up, and nobody is heard");
            let how = "negotiation = \"niv\" (the default) in the [[port]] of the switch there, in vntag mode; \
                       for a peer that does not speak it, negotiation = \"off\" in this [[link]] and static VIFs";
            Some(finding.step(Step::advice(how)).step(Step::see("show control statistics all")))
        }
        Some(Lack::Refused(name, why)) => {
            let how = match why {
                NotPeer::SameRole => "two adapters on one link: connect it to a switch",
                NotPeer::Unsupported(_) => "install the same release at both ends and restart both",
                NotPeer::NoNiv => {
                    "connect the link to a switch of ours; for a peer that does not speak NIV's control, \
                     negotiation = \"off\" in this [[link]] and static VIFs"
                }
                NotPeer::NoControl => {
                    "negotiation = \"off\" in this [[link]], for the peer has no control protocol"
                }
                NotPeer::Second { .. } => "one switch on each link",
            };
            let what = format!("neighbour {name}: {why}");
            let finding = Finding::new(&kinds::PEER_REFUSED, &link.name, what);
            Some(finding.step(Step::advice(how)).step(neighbors()))
        }
        Some(Lack::Unanswered(name)) => {
            let what = format!("{name} is heard, and does not answer HELLO");
            let how = Step::advice(format!("see whether {name} hangs, and restart it"));
            Some(Finding::new(&kinds::PEER_UNANSWERED, &link.name, what).step(how).step(neighbors()))
        }
    };
    finding.into_iter().for_each(|finding| report.add(finding));
    for name in &link.rivals {
        let what = format!("{name} wants to be the link's switch, too");
        let how = Step::advice("one switch on each link");
        report.add(Finding::new(&kinds::PEER_SECOND, &link.name, what).step(how).step(neighbors()));
    }
}
