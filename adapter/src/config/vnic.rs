//! From what is written to what it means: one vNIC.

use super::file::{Negotiation, VnicSection};
use super::values::{Checked, assignable, group, label, mac, parsed, profile, socket_mode, unique, within};
use super::{Attachment, LinkConfig, VnicConfig};
use crate::engine::VifParams;
use crate::engine::datapath::MAX_QUEUES;
use crate::vhost::LinkSignal;
use core::ops::Range;
use link::{Device, Options};
use niv_node::config::{File, Spanned};

/// Payload that a VIF may be given, in octets.
const MTU: core::ops::RangeInclusive<u16> = 68..=9216;
/// The greatest VLAN id that can be used.
const VLAN_MAX: u16 = 4094;

/// Judges one vNIC beside `links` and the vNICs that are there already.
///
/// # Errors
/// The first mistake in it.
pub fn judge<'a>(
    file: &File,
    section: &Spanned<VnicSection>,
    links: &[LinkConfig],
    before: impl Iterator<Item = &'a VnicConfig> + Clone,
) -> Checked<VnicConfig> {
    let written = section.get_ref();
    unique(file, &written.name, before.clone().map(|vnic| &vnic.name))?;
    let guest = match written.device.get_ref() {
        Device::VhostUser { .. } => true,
        Device::Tap(_) | Device::Packet(_) | Device::Xdp(_) => false,
        _ => return Err(file.error(&written.device, "a vNIC is vhost-user:, tap:, packet: or xdp:")),
    };
    let link = find_link(file, &written.link, links)?;
    let attachment = match links[link].negotiation {
        Negotiation::Off => fixed(file, section, link, before)?,
        Negotiation::Niv => negotiated(file, written, link, links, before)?,
    };
    let queues = within(file, written.queues.as_ref(), 1..=MAX_QUEUES as u16, 1)?;
    if let Some(key) = written.queues.as_ref().filter(|_| queues > 1 && !guest) {
        return Err(file.error(key, "only a vhost-user: vNIC has several queue pairs"));
    }
    let packed = written.packed.as_ref().is_some_and(|key| *key.get_ref());
    if let Some(key) = written.packed.as_ref().filter(|_| packed && !guest) {
        return Err(file.error(key, "only a vhost-user: vNIC has rings"));
    }
    Ok(VnicConfig {
        name: written.name.get_ref().clone(),
        options: Options {
            device: written.device.get_ref().clone(),
            fault: written.fault,
            capture: written.capture.clone(),
        },
        link,
        attachment,
        mac: written.mac.as_ref().map(|key| mac(file, key)).transpose()?,
        uuid: written.uuid.as_ref().map(|key| parsed(file, key)).transpose()?,
        profile: written.profile.as_ref().map(|key| profile(file, key)).transpose()?,
        vm: written.vm.as_ref().map(|key| label(file, key)).transpose()?,
        queues,
        packed,
        socket_mode: written.socket_mode.as_ref().map(|key| socket_mode(file, key)).transpose()?,
        socket_group: written.socket_group.as_ref().map(|key| group(file, key)).transpose()?,
    })
}

/// A vNIC on a link without negotiation.
fn fixed<'a>(
    file: &File,
    section: &Spanned<VnicSection>,
    link: usize,
    mut before: impl Iterator<Item = &'a VnicConfig>,
) -> Checked<Attachment> {
    let written = section.get_ref();
    if let Some(key) = written.backup.as_ref().or(written.link_signal.as_ref()) {
        return Err(file.error(key, "has no meaning on a link with negotiation = \"off\""));
    }
    let Some(key) = &written.vif else {
        return Err(file.error(section, "key \"vif\" is missing: its link has negotiation = \"off\""));
    };
    let vif = assignable(file, key, *key.get_ref())?;
    let same = |vnic: &&VnicConfig| vnic.link == link && vnic.fixed().is_some_and(|(other, _)| other == vif);
    if let Some(other) = before.find(same) {
        let name = &other.name;
        return Err(file.error(key, format!("VIF {} of this link is {name}'s already", vif.get())));
    }
    if let Some(channel) = written.channel.as_ref().filter(|channel| *channel.get_ref() != vif.get()) {
        return Err(file.error(channel, format!("without negotiation the channel is the VIF, {}", vif.get())));
    }
    Ok(Attachment::Static { vif, params: params(file, written)? })
}

fn params(file: &File, written: &VnicSection) -> Checked<VifParams> {
    let mut allowed = 0xff;
    if let Some(key) = &written.priorities {
        allowed = 0;
        for priority in key.get_ref() {
            if *priority > 7 {
                return Err(file.error(key, format!("{priority} is no priority, 0 to 7 are allowed")));
            }
            allowed |= 1 << priority;
        }
    }
    Ok(VifParams {
        vlan_mode: written.vlan_mode.as_ref().map(|key| *key.get_ref()).unwrap_or_default(),
        default_vlan: within(file, written.vlan.as_ref(), 1..=VLAN_MAX, 1)?,
        default_cos: within(file, written.cos.as_ref(), 0..=7, 0)?,
        allowed_priorities: allowed,
        mtu: within(file, written.mtu.as_ref(), MTU, 1500)?,
    })
}

/// A vNIC whose VIF the switch gives.
fn negotiated<'a>(
    file: &File,
    written: &VnicSection,
    link: usize,
    links: &[LinkConfig],
    mut before: impl Iterator<Item = &'a VnicConfig>,
) -> Checked<Attachment> {
    if let Some((name, span)) = switchs(written) {
        let why = format!("{name} is the switch's to say on a link with negotiation = \"niv\"");
        return Err(file.error(&Spanned::new(span, ()), why));
    }
    let backup = written.backup.as_ref().map(|key| find_link(file, key, links)).transpose()?;
    if let (Some(backup), Some(key)) = (backup, &written.backup) {
        if backup == link {
            return Err(file.error(key, "is the vNIC's link already; a backup is another one"));
        }
        if links[backup].negotiation == Negotiation::Off {
            return Err(file.error(key, "this link has negotiation = \"off\"; nobody can fail over to it"));
        }
    }
    let channel = written.channel.as_ref().map(|key| within(file, Some(key), 1..=u16::MAX, 1)).transpose()?;
    if let (Some(channel), Some(key)) = (channel, &written.channel)
        && let Some(other) = before.find(|vnic| vnic.channel() == Some(channel))
    {
        return Err(file.error(key, format!("channel {channel} is {}'s already", other.name)));
    }
    let guest = matches!(written.device.get_ref(), Device::VhostUser { .. });
    let link_signal = match &written.link_signal {
        None if guest => LinkSignal::default(),
        None => LinkSignal::None,
        Some(key) => {
            let signal = parsed(file, key)?;
            if !guest && signal != LinkSignal::None {
                return Err(file.error(key, "only a vhost-user: vNIC has a guest to signal to"));
            }
            signal
        }
    };
    Ok(Attachment::Negotiated { channel, backup, link_signal })
}

/// The first key of a static VIF that is written, and where.
fn switchs(written: &VnicSection) -> Option<(&'static str, Range<usize>)> {
    [
        ("the VIF", written.vif.as_ref().map(Spanned::span)),
        ("the VLAN", written.vlan.as_ref().map(Spanned::span)),
        ("the VLAN mode", written.vlan_mode.as_ref().map(Spanned::span)),
        ("the priority", written.cos.as_ref().map(Spanned::span)),
        ("which priorities are allowed", written.priorities.as_ref().map(Spanned::span)),
        ("the MTU", written.mtu.as_ref().map(Spanned::span)),
    ]
    .into_iter()
    .find_map(|(name, span)| Some((name, span?)))
}

/// The link of this name.
pub(super) fn find_link(file: &File, name: &Spanned<String>, links: &[LinkConfig]) -> Checked<usize> {
    let found = links.iter().position(|link| link.name == *name.get_ref());
    found.ok_or_else(|| {
        let known: Vec<String> = links.iter().map(|link| format!("\"{}\"", link.name)).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        file.error(name, format!("no [[link]] is called \"{}\"; there is {known}", name.get_ref()))
    })
}
