//! Ports, NIV links, and who is at their other end.

use super::facts::{Facts, Lack, List, Port};
use super::kinds;
use niv_node::doctor::{Finding, Report, Step};
use vntag::ctl::session::NotPeer;
use vntag::{VlanTag, Vntag};

/// Octets that a frame has on an NIV link behind its Ethernet header and beside its payload.
const TAGS: u32 = (Vntag::LEN + VlanTag::LEN) as u32;
/// Octets of an Ethernet header.
const HEADER: u32 = 14;
/// Of a link's VIF ids so many may be used, in percent, before somebody should know.
const MANY_IDS: u32 = 95;

pub(super) fn judge(report: &mut Report, facts: &Facts) {
    let up = facts.ports.iter().filter(|port| port.down.is_none()).count();
    report.all_fine(up, facts.ports.len(), "ports up");
    for (index, port) in facts.ports.iter().enumerate() {
        if let Some((adapter, _)) = &port.peer {
            report.fine(format!("{}: adapter {adapter}", port.name));
        }
        state(report, port);
        room(report, facts, index, port);
        peer(report, port);
        lists(report, port);
        for counter in port.counters.iter().filter(|counter| counter.is_trouble() && counter.value > 0) {
            let what = format!("{}: {}", counter.name, counter.help.trim_end_matches('.'));
            let see = Step::see(format!("show interface ethernet {}", short(port)));
            report.add(Finding::new(&kinds::DEVICE, &port.name, what).counting(counter.value).step(see));
        }
    }
}

/// `1/1`
fn short(port: &Port) -> &str {
    port.name.trim_start_matches("ethernet")
}

fn state(report: &mut Report, port: &Port) {
    if let Some((cause, cure)) = &port.down {
        let finding = Finding::new(&kinds::PORT_DOWN, &port.name, format!("{}: {cause}", port.device));
        let other = match port.device.split_once(':') {
            Some(("memif", socket)) => {
                format!("start the adapter whose [[link]] has device = \"memif:{socket}\" (see its findings)")
            }
            _ => "look at the other end of the interface".to_owned(),
        };
        report.add(finding.step(cure.clone().map_or_else(|| Step::advice(other), Step::shell)));
    }
    if port.has_faults {
        let how =
            Step::advice(format!("take fault out of the [[port]] {} and restart the switch", port.name));
        report.add(Finding::new(&kinds::FAULT_PLAN, &port.name, "the port has a fault plan").step(how));
    }
}

/// Whether the longest frames fit.
fn room(report: &mut Report, facts: &Facts, index: usize, port: &Port) {
    if !port.niv {
        if let Some((name, Some(mtu))) = &port.interface
            && *mtu < port.mtu.into()
        {
            let what = format!("the MTU is {}, that of {name} is {mtu}", port.mtu);
            let mend = Step::shell(format!("ip link set dev {name} mtu {}", port.mtu));
            report.add(Finding::new(&kinds::PORT_MTU, &port.name, what).step(mend));
        }
        return;
    }
    let here = facts.veths.iter().filter(|veth| veth.port == Some(index));
    let Some(longest) = here.max_by_key(|veth| veth.mtu) else { return };
    let needed = u32::from(longest.mtu) + TAGS;
    let asked = format!("vethernet{} has an MTU of {}", longest.number, longest.mtu);
    if let Some((name, Some(mtu))) = &port.interface
        && *mtu < needed
    {
        let what = format!("{asked}, for which {name} needs one of {needed} and has {mtu}");
        let mend = Step::shell(format!("ip link set dev {name} mtu {needed}"));
        report.add(Finding::new(&kinds::LINK_MTU, &port.name, what).step(mend));
    }
    if let Some((adapter, most)) = &port.peer
        && *most < needed + HEADER
    {
        let what = format!("{asked}, a frame of {} octets; {adapter} takes {most}", needed + HEADER);
        let there = format!("at {adapter}: an MTU of {needed} for the link's interface, then restart it");
        report.add(Finding::new(&kinds::LINK_MTU, &port.name, what).step(Step::advice(there)));
    }
}

fn peer(report: &mut Report, port: &Port) {
    let neighbors = || Step::see("show neighbors");
    let finding = match &port.lack {
        None => None,
        Some(Lack::Silent) => {
            let finding =
                Finding::new(&kinds::PEER_SILENT, &port.name, "the link is up, and nobody is heard");
            let how = "negotiation = \"niv\" (the default) in the [[link]] of the adapter there; for a peer \
                       that does not speak it, negotiation = \"off\" in this [[port]]";
            Some(finding.step(Step::advice(how)).step(Step::see("show control statistics all")))
        }
        Some(Lack::Refused(name, why)) => {
            let how = match why {
                NotPeer::SameRole => "two switches on one link: connect it to an adapter",
                NotPeer::Unsupported(_) => "install the same release at both ends and restart both",
                NotPeer::NoNiv => {
                    "connect the link to an adapter; for a peer that does not speak NIV's control, \
                     negotiation = \"off\" in this [[port]]"
                }
                NotPeer::NoControl => {
                    "negotiation = \"off\" in this [[port]], for the peer has no control protocol"
                }
                NotPeer::Second { .. } => "a port of its own for each adapter",
            };
            let what = format!("neighbour {name}: {why}");
            let finding = Finding::new(&kinds::PEER_REFUSED, &port.name, what);
            Some(finding.step(Step::advice(how)).step(neighbors()))
        }
        Some(Lack::Unanswered(name)) => {
            let what = format!("{name} is heard, and does not answer HELLO");
            let how = Step::advice(format!("see whether {name} hangs, and restart it"));
            Some(Finding::new(&kinds::PEER_UNANSWERED, &port.name, what).step(how).step(neighbors()))
        }
    };
    finding.into_iter().for_each(|finding| report.add(finding));
    for name in &port.rivals {
        let what = format!("{name} wants to be the link's adapter, too");
        let how = Step::advice("a port of its own for each adapter");
        report.add(Finding::new(&kinds::PEER_SECOND, &port.name, what).step(how).step(neighbors()));
    }
    if let Some(ids) = port.ids.filter(|ids| u32::from(ids.used) * 100 >= u32::from(ids.size) * MANY_IDS) {
        let what = format!("{} of {} VIF ids in use, {} in quarantine", ids.used, ids.size, ids.quarantine);
        let how = Step::advice("another link between both, and some of the vNICs there");
        report.add(Finding::new(&kinds::VIF_IDS, &port.name, what).step(how));
    }
}

fn lists(report: &mut Report, port: &Port) {
    for (vlans, trouble) in &port.lists {
        let (kind, what) = match trouble {
            List::Full => (&kinds::LIST_FULL, format!("no room for a list of VLANs {vlans}")),
            List::Refused(why) => (&kinds::LIST_REFUSED, format!("the list of VLANs {vlans}: {why}")),
            List::Pending => (&kinds::LIST_PENDING, format!("the list of VLANs {vlans} is being changed")),
        };
        let adapter = port.peer.as_ref().map(|(name, _)| name.as_str());
        let mut finding = Finding::new(kind, &port.name, what);
        if let (List::Refused(_) | List::Pending, Some(adapter)) = (trouble, adapter) {
            let line = format!("nivctl --api {} show firmware fault", niv_node::doctor::quote(adapter));
            finding = finding.step(Step::advice(format!("at the adapter: {line}")));
        }
        report.add(finding.step(Step::see("show vif-list")));
    }
}
