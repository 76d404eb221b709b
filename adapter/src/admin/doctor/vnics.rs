//! vNICs and their guests.

use super::facts::{Facts, Vnic};
use super::links::faults;
use super::rights::Outsider;
use super::{drops, kinds};
use crate::vhost::{Cause, Standstill};
use firmware_sim::CarrierCause;
use niv_node::doctor::{Finding, Report, Step, quote};

/// Shared memory, as QEMU is told to have it.
pub(super) const SHARED: &str = "QEMU: -object memory-backend-memfd,id=mem,size=SIZE,share=on -machine memory-backend=mem; SIZE is that of -m";

pub(super) fn judge(report: &mut Report, facts: &Facts) {
    let is_up = |vnic: &&Vnic| vnic.port.down.is_none() && vnic.carrier.is_none();
    let up = facts.vnics.iter().filter(is_up).count();
    report.all_fine(up, facts.vnics.len(), "vNICs up");
    for (name, why) in &facts.ignored {
        let forget = Step::exec(format!("vnic del {name}"));
        report.add(Finding::new(&kinds::NOT_USED, name, why).step(forget).step(Step::see("vnic list")));
    }
    for vnic in &facts.vnics {
        if vnic.is_closed {
            closed(report, vnic);
            continue;
        }
        carrier(report, facts, vnic);
        guest(report, vnic);
        door(report, vnic);
        room(report, vnic);
        faults(report, &vnic.name, &vnic.port, "[[vnic]]");
        drops::judge(report, &vnic.name, &vnic.port, &format!("show vnic {}", vnic.name));
    }
}

/// Changes a vNIC: by the command, or in the file.
fn change(vnic: &Vnic, key: &str, value: &str) -> Step {
    if vnic.by_command {
        Step::exec(format!("vnic set {} {key} {value}", vnic.name))
    } else {
        Step::advice(format!("{key} = \"{value}\" in the [[vnic]] {}, and restart the adapter", vnic.name))
    }
}

fn closed(report: &mut Report, vnic: &Vnic) {
    let cause = vnic.port.down.as_ref().map_or("", |(cause, _)| cause.as_str());
    let finding = Finding::new(&kinds::CLOSED, &vnic.name, cause);
    // What is missing first; then it is opened again.
    let folder = vnic.socket.as_deref().and_then(std::path::Path::parent);
    let folder = folder.filter(|folder| cause.contains("does not exist") && !folder.as_os_str().is_empty());
    let make = folder.map(|folder| Step::shell(format!("mkdir -p {}", quote(&folder.to_string_lossy()))));
    let cure = vnic.port.down.as_ref().and_then(|(_, cure)| cure.clone()).map(Step::shell);
    report.add(finding.steps(make).steps(cure).step(change(vnic, "device", &vnic.port.device)));
}

/// What the switch says, who may know better.
fn carrier(report: &mut Report, facts: &Facts, vnic: &Vnic) {
    let peer = facts.links.get(vnic.link).and_then(|link| link.peer.as_ref()).map(|(name, _)| name.as_str());
    let there = || {
        let switch = peer.unwrap_or("the switch");
        Step::advice(format!("at {switch}: nivctl doctor says what mends it"))
    };
    let detail = Step::see(format!("show vnic {}", vnic.name));
    let finding = match &vnic.carrier {
        // The link's own finding.
        None | Some(CarrierCause::NoPeer) => return,
        Some(CarrierCause::Refused(why)) => {
            let finding = Finding::new(&kinds::REFUSED, &vnic.name, format!("refused: {why}"));
            finding.told_by(peer).step(there())
        }
        Some(CarrierCause::Disabled(why)) => {
            let finding = Finding::new(&kinds::DISABLED, &vnic.name, format!("the switch shut it: {why}"));
            finding.told_by(peer).step(there())
        }
        Some(CarrierCause::UplinkLost) => {
            let finding = Finding::new(&kinds::DISABLED, &vnic.name, "the switch lost its uplink");
            finding.told_by(peer).step(there())
        }
        Some(CarrierCause::Claimed(why)) => {
            let how = Step::advice("stop the other guest, or give this vNIC another uuid and mac");
            Finding::new(&kinds::CLAIMED, &vnic.name, why).step(how)
        }
        Some(CarrierCause::NotProvisioned) => {
            let how = Step::advice(
                "the driver that took its provisioning back gives it again; so does a restart of the adapter",
            );
            Finding::new(&kinds::NOT_PROVISIONED, &vnic.name, "not provisioned").step(how)
        }
    };
    report.add(finding.step(detail));
}

fn guest(report: &mut Report, vnic: &Vnic) {
    let name = &vnic.name;
    let arguments = || [Step::see(format!("vnic qemu {name}")), Step::see(format!("vnic libvirt {name}"))];
    let Some(standstill) = &vnic.standstill else {
        // A tap or an interface; or rings that run.
        if let Some((cause, cure)) = vnic.port.down.as_ref().filter(|_| vnic.socket.is_none()) {
            let finding = Finding::new(&kinds::PORT_DOWN, name, format!("{}: {cause}", vnic.port.device));
            let other = || Step::advice("look at the other end of the interface");
            report.add(finding.step(cure.clone().map_or_else(other, Step::shell)));
        }
        return;
    };
    let words = standstill.to_string();
    let finding = match standstill {
        // Its cause has been told.
        Standstill::LinkDown(_) => return,
        Standstill::Broken(..) => Finding::new(&kinds::RINGS, name, words)
            .step(Step::advice("in the guest: ip link set dev eth0 down; ip link set dev eth0 up"))
            .step(Step::see(format!("show vnic {name}"))),
        Standstill::Waits(cause) => match cause {
            // Who kept it from connecting is told.
            Cause::NoGuest if vnic.carrier.is_some() || vnic.obstacle.is_some() => return,
            Cause::NoGuest => {
                Finding::new(&kinds::NO_GUEST, name, words).step(Step::see(format!("vnic qemu {name}")))
            }
            Cause::NoDriver => Finding::new(&kinds::NO_DRIVER, name, words)
                .step(Step::advice("in the guest, once it has booted: modprobe virtio_net")),
            Cause::NotEnabled => Finding::new(&kinds::NOT_ENABLED, name, words)
                .step(Step::advice("in the guest: ip link set dev eth0 up")),
            Cause::NoMemory | Cause::NotShared | Cause::Memory(_) => {
                Finding::new(&kinds::MEMORY, name, words).step(Step::advice(SHARED)).steps(arguments())
            }
            Cause::Legacy => Finding::new(&kinds::FEATURES, name, words)
                .step(Step::advice("QEMU: -device virtio-net-pci,disable-legacy=on,..."))
                .steps(arguments()),
            Cause::Features(_) => Finding::new(&kinds::FEATURES, name, words)
                .step(Step::advice("another driver, or another version of it"))
                .steps(arguments()),
            Cause::Ring(..) => Finding::new(&kinds::RINGS, name, words)
                .step(Step::advice("in the guest: ip link set dev eth0 down; ip link set dev eth0 up"))
                .step(Step::see(format!("show vnic {name}"))),
        },
    };
    report.add(finding);
}

/// Whether guests can come in, and learn that their link is down.
fn door(report: &mut Report, vnic: &Vnic) {
    let name = &vnic.name;
    if let Some(obstacle) = &vnic.obstacle {
        report.add(match (&vnic.carrier, &vnic.socket) {
            (None, _) => {
                let folder = vnic.socket.as_deref().and_then(std::path::Path::parent);
                let folder = folder
                    .filter(|folder| obstacle.contains("does not exist") && !folder.as_os_str().is_empty());
                let make = folder
                    .map(|folder| Step::shell(format!("mkdir -p {}", quote(&folder.to_string_lossy()))));
                let socket = vnic.socket.as_deref().map(|socket| quote(&socket.to_string_lossy()));
                let who = socket.filter(|_| make.is_none());
                let who =
                    who.map(|socket| Step::shell(format!("ls -l {socket}; ss -xlp | grep -F {socket}")));
                Finding::new(&kinds::SOCKET, name, obstacle).steps(make).steps(who)
            }
            (Some(_), _) => Finding::new(&kinds::SIGNAL, name, obstacle)
                .step(change(vnic, "link_signal", &format!("qmp:/run/niv/{name}.qmp")))
                .step(Step::see(format!("vnic qemu {name}"))),
        });
    }
    if let Some(Outsider { user, at, is_folder, mode }) = &vnic.outsider {
        let at = at.display().to_string();
        let what = format!("{} may not connect: {at} has mode {mode:04o}", user.name);
        let finding = Finding::new(&kinds::SOCKET_RIGHTS, name, what);
        let (path, group) = (quote(&at), quote(&user.group));
        report.add(if *is_folder {
            finding.step(Step::shell(format!("chmod o+x {path}")))
        } else if vnic.by_command {
            finding.step(Step::exec(format!("vnic set {name} socket_group {} socket_mode 0660", user.group)))
        } else {
            finding.step(Step::shell(format!("chgrp {group} {path} && chmod 0660 {path}"))).step(
                Step::advice(format!("for good: socket_group = \"{}\" in the [[vnic]] {name}", user.group)),
            )
        });
    }
}

/// Whether host and VIF agree about the longest frame.
fn room(report: &mut Report, vnic: &Vnic) {
    let Some(mtu) = vnic.mtu.map(u32::from) else { return };
    if let Some((interface, Some(has))) = &vnic.port.interface {
        // A tap takes longer frames than it sends.
        let differs = if vnic.port.device.starts_with("tap:") { *has > mtu } else { *has != mtu };
        if differs {
            let what = format!("the MTU of its VIF is {mtu}, that of {interface} is {has}");
            let mend = Step::shell(format!("ip link set dev {interface} mtu {mtu}"));
            report.add(Finding::new(&kinds::VNIC_MTU, &vnic.name, what).step(mend));
        }
    }
    if u32::from(vnic.guest_mtu) > mtu {
        let what = format!("the MTU of its VIF is {mtu}, that of its guest {}", vnic.guest_mtu);
        let mend = Step::advice(format!("QEMU: host_mtu={mtu} at the -device, and boot the guest anew"));
        report.add(Finding::new(&kinds::VNIC_MTU, &vnic.name, what).step(mend));
    }
}
