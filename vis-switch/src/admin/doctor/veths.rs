//! vEthernets, and vNICs that get none.

use super::facts::{Facts, Pending, Veth};
use super::kinds;
use crate::config::running::ProfileName;
use crate::control::DownCause;
use niv_node::doctor::{Finding, Report, Step, quote};
use vntag::ctl::Status;

pub(super) fn judge(report: &mut Report, facts: &Facts) {
    let up = facts.veths.iter().filter(|veth| veth.cause.is_none()).count();
    report.all_fine(up, facts.veths.len(), "virtual interfaces up");
    for row in &facts.pending {
        report.add(refused(facts, row));
    }
    for veth in &facts.veths {
        down(report, facts, veth);
        address(report, facts, veth);
    }
}

/// `vethernet3 (vnic0)`
fn named(veth: &Veth) -> String {
    match &veth.vnic {
        Some(vnic) => format!("vethernet{} ({vnic})", veth.number),
        None => format!("vethernet{}", veth.number),
    }
}

/// Makes a profile, or enables it. `None` for a name that none can have.
fn enable(profile: &str) -> Option<Step> {
    ProfileName::new(profile)?;
    Some(Step::configure([format!("port-profile {profile}"), "state enabled".to_owned()]))
}

fn missing(thing: String, profile: &str) -> Finding {
    let finding = Finding::new(&kinds::PROFILE_MISSING, thing, format!("there is no port-profile {profile}"));
    match enable(profile) {
        Some(step) => finding.step(step).step(Step::see("show port-profile brief")),
        None => {
            finding.step(Step::advice("no profile can have this name; ask for another one at the adapter"))
        }
    }
}

fn disabled(thing: String, profile: &str) -> Finding {
    let what = format!("port-profile {profile} is not enabled");
    Finding::new(&kinds::PROFILE_DISABLED, thing, what).steps(enable(profile))
}

fn refused(facts: &Facts, row: &Pending) -> Finding {
    let port = facts.ports.get(row.port).map_or("-", |port| port.name.as_str());
    let name = row.vnic.as_ref().map_or_else(String::new, |vnic| format!(" ({vnic})"));
    let thing = format!("channel {} of {port}{name}", row.channel);
    let pending = Step::see("show interface virtual pending");
    match (row.status, &row.profile) {
        (Status::UNKNOWN_PROFILE, Some(asked)) => match facts.profiles.get(asked) {
            // The interface may have another one typed; the switch's own words name it.
            None if row.cause.ends_with(asked.as_str()) => missing(thing, asked),
            Some(profile) if !profile.enabled => disabled(thing, asked),
            Some(profile) if profile.max_ports.is_some_and(|most| profile.users >= most) => {
                let same = facts.pending.iter().filter(|other| other.profile.as_ref() == Some(asked)).count();
                let wanted = profile.users.saturating_add(u32::try_from(same).unwrap_or(u32::MAX));
                let lines = [format!("port-profile {asked}"), format!("max-ports {wanted}")];
                Finding::new(&kinds::PROFILE_FULL, thing, &row.cause).step(Step::configure(lines))
            }
            _ => Finding::new(&kinds::VNIC_REFUSED, thing, &row.cause).step(pending),
        },
        (Status::INVALID, None) => {
            let how = "bind an interface to it, which inherits a profile: interface vethernet N, \
                       bind interface ethernet P channel C, inherit port-profile NAME";
            Finding::new(&kinds::PROFILE_NONE, thing, &row.cause).step(Step::advice(how)).step(pending)
        }
        (Status::BADSTATE, _) if row.cause.contains("auto-create is off") => {
            Finding::new(&kinds::NO_AUTO_CREATE, thing, &row.cause)
                .step(Step::configure(["vethernet auto-create"]))
        }
        _ => Finding::new(&kinds::VNIC_REFUSED, thing, &row.cause).step(pending),
    }
}

fn down(report: &mut Report, facts: &Facts, veth: &Veth) {
    let number = veth.number;
    let detail = || Step::see(format!("show interface vethernet {number}"));
    let of = |lines: &str| Step::configure([format!("interface vethernet {number}"), lines.to_owned()]);
    let profile = veth.profile.as_deref().unwrap_or_default();
    let finding = match &veth.cause {
        None => return,
        Some(DownCause::NonParticipating) => {
            Finding::new(&kinds::UNUSED, named(veth), "no vNIC with a running guest uses it")
        }
        Some(DownCause::Administratively) => {
            Finding::new(&kinds::SHUTDOWN, named(veth), "administratively down").step(of("no shutdown"))
        }
        Some(DownCause::NoProfile) => {
            Finding::new(&kinds::PROFILE_NONE, named(veth), "it has no port-profile")
                .step(of(&format!("inherit port-profile {}", ProfileName::DEFAULT)))
        }
        Some(DownCause::ProfileMissing(name)) => missing(named(veth), name.as_str()),
        Some(DownCause::ProfileType(name)) => {
            let what = format!("port-profile {name} is of type ethernet");
            Finding::new(&kinds::PROFILE_MISSING, named(veth), what)
                .step(Step::see("show port-profile brief"))
        }
        Some(DownCause::PortSecurity) => {
            Finding::new(&kinds::ERR_DISABLED, named(veth), "port security has taken it down")
                .step(of("no shutdown"))
                .step(Step::see(format!("show port-security interface vethernet {number}")))
        }
        Some(DownCause::ProfileDisabled) => disabled(named(veth), profile),
        Some(DownCause::LinkLost) => Finding::new(&kinds::LINK_LOST, named(veth), "its adapter is lost")
            .step(Step::see("show neighbors")),
        Some(DownCause::DuplicateMac(other)) => {
            let mac = veth.configured.map(|mac| mac.to_string()).unwrap_or_default();
            let what = format!("{mac} is vethernet{other}'s already in its VLAN");
            Finding::new(&kinds::MAC_DUPLICATE, named(veth), what)
                .steps(at_adapter(facts, veth, "no mac"))
                .step(Step::advice(
                    "a vNIC that the adapter's file has gets another mac there, and the adapter a restart; then its \
                     guest gets the same address",
                ))
                .step(detail())
        }
        Some(DownCause::UplinkLost) => {
            let finding = Finding::new(&kinds::UPLINK_LOST, named(veth), "no port of its VLAN is up");
            finding.step(Step::see("show interface ethernet")).step(of("uplink-fail-action warning"))
        }
        Some(DownCause::PrivateVlan(fault)) => {
            Finding::new(&kinds::PRIVATE_VLAN, named(veth), fault.to_string())
                .step(Step::see("show vlan private-vlan"))
                .step(detail())
        }
    };
    report.add(finding);
}

/// The line that changes a vNIC which was added by a command; those of the file are changed there.
fn at_adapter(facts: &Facts, veth: &Veth, change: &str) -> Option<Step> {
    let (adapter, _) = facts.ports.get(veth.port?)?.peer.as_ref()?;
    let vnic = veth.vnic.as_ref()?;
    Some(Step::shell(format!("nivctl --api {} vnic set {} {change}", quote(adapter), quote(vnic))))
}

fn address(report: &mut Report, facts: &Facts, veth: &Veth) {
    let (Some(configured), [first, others @ ..]) = (veth.configured, veth.used.as_slice()) else { return };
    if veth.used.contains(&configured) {
        return;
    }
    let more = if others.is_empty() { String::new() } else { format!(" and {} others", others.len()) };
    let what = format!("configured with {configured}, the guest uses {first}{more}");
    let guest = format!(
        "in the guest: ip link set dev eth0 address {configured} (or mac={configured} in QEMU's -device)"
    );
    let finding = Finding::new(&kinds::MAC_OTHER, named(veth), what).step(Step::advice(guest));
    let other_way = if others.is_empty() { at_adapter(facts, veth, &format!("mac {first}")) } else { None };
    report.add(finding.steps(other_way));
}
