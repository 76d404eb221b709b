//! From what is written to what it means.

use super::file::{AdapterFile, LinkSection, ListSection, Negotiation, VnicSection};
use super::{AdapterConfig, LinkConfig, VnicConfig};
use crate::engine::VifParams;
use crate::engine::datapath::MAX_QUEUES;
use link::{Device, Options};
use niv_node::config::{ConfigError, File, Node, Spanned};
use vntag::ethernet::Mac;
use vntag::{ListId, VifId};

type Checked<T> = Result<T, ConfigError>;

/// Payload that a VIF may be given, in octets.
const MTU: core::ops::RangeInclusive<u16> = 68..=9216;
/// The greatest VLAN id that can be used.
const VLAN_MAX: u16 = 4094;

pub(super) fn check(file: &File, written: &AdapterFile) -> Checked<AdapterConfig> {
    let node = Node::from_file(file, &written.node, "adapter0")?;
    if let Some(workers) = written.node.workers.as_ref().filter(|workers| *workers.get_ref() != 1) {
        return Err(file.error(workers, "this release moves frames with 1 worker"));
    }
    let mut config = AdapterConfig { node, links: Vec::new(), vnics: Vec::new(), warnings: Vec::new() };
    for section in &written.link {
        let link = link(file, section, &config.links)?;
        config.links.push(link);
    }
    for section in &written.vnic {
        let vnic = vnic(file, section, &config)?;
        config.vnics.push(vnic);
    }
    for section in &written.list {
        list(file, section, &mut config)?;
    }
    Ok(config)
}

fn link(file: &File, section: &Spanned<LinkSection>, before: &[LinkConfig]) -> Checked<LinkConfig> {
    let written = section.get_ref();
    unique(file, &written.name, before.iter().map(|link| &link.name))?;
    const OFF: &str = "the control protocol comes with a later release; write negotiation = \"off\" and give each vNIC its vif";
    match &written.negotiation {
        Some(key) if *key.get_ref() == Negotiation::Off => {}
        Some(key) => return Err(file.error(key, OFF)),
        None => {
            return Err(file.error(section, format!("key \"negotiation\" is \"niv\" where left out: {OFF}")));
        }
    }
    if matches!(written.device.get_ref(), Device::VhostUser { .. }) {
        return Err(
            file.error(&written.device, "a guest's interface; it can be the device of a [[vnic]] only")
        );
    }
    Ok(LinkConfig {
        name: written.name.get_ref().clone(),
        options: Options {
            device: written.device.get_ref().clone(),
            fault: written.fault,
            capture: written.capture.clone(),
        },
        lists: Vec::new(),
    })
}

fn vnic(file: &File, section: &Spanned<VnicSection>, before: &AdapterConfig) -> Checked<VnicConfig> {
    let written = section.get_ref();
    unique(file, &written.name, before.vnics.iter().map(|vnic| &vnic.name))?;
    let guest = match written.device.get_ref() {
        Device::VhostUser { .. } => true,
        Device::Tap(_) | Device::Packet(_) => false,
        _ => return Err(file.error(&written.device, "a vNIC is vhost-user:, tap: or packet:")),
    };
    let link = find_link(file, &written.link, before)?;
    if let Some(key) = written.backup.as_ref().or(written.link_signal.as_ref()) {
        return Err(file.error(key, "needs the control protocol, which comes with a later release"));
    }
    let Some(vif_key) = &written.vif else {
        return Err(file.error(section, "key \"vif\" is missing: its link has negotiation = \"off\""));
    };
    let vif = assignable(file, vif_key, *vif_key.get_ref())?;
    if let Some(other) = before.vnics.iter().find(|vnic| vnic.link == link && vnic.vif == vif) {
        let name = &other.name;
        return Err(file.error(vif_key, format!("VIF {} of this link is {name}'s already", vif.get())));
    }
    if let Some(channel) = written.channel.as_ref().filter(|channel| *channel.get_ref() != vif.get()) {
        return Err(file.error(channel, format!("without negotiation the channel is the VIF, {}", vif.get())));
    }
    let queues = within(file, written.queues.as_ref(), 1..=MAX_QUEUES as u16, 1)?;
    if let Some(key) = written.queues.as_ref().filter(|_| queues > 1 && !guest) {
        return Err(file.error(key, "only a vhost-user: vNIC has several queue pairs"));
    }
    let socket_mode = written.socket_mode.as_ref().map(|key| socket_mode(file, key)).transpose()?;
    let socket_group = written.socket_group.as_ref().map(|key| group(file, key)).transpose()?;
    if let Some(uuid) = &written.uuid {
        check_uuid(file, uuid)?;
    }
    Ok(VnicConfig {
        name: written.name.get_ref().clone(),
        options: Options {
            device: written.device.get_ref().clone(),
            fault: written.fault,
            capture: written.capture.clone(),
        },
        link,
        vif,
        params: params(file, written)?,
        mac: written.mac.as_ref().map(|key| mac(file, key)).transpose()?,
        profile: written.profile.clone(),
        vm: written.vm.clone(),
        queues,
        socket_mode,
        socket_group,
    })
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
        vlan_mode: written.vlan_mode.unwrap_or_default(),
        default_vlan: within(file, written.vlan.as_ref(), 1..=VLAN_MAX, 1)?,
        default_cos: within(file, written.cos.as_ref(), 0..=7, 0)?,
        allowed_priorities: allowed,
        mtu: within(file, written.mtu.as_ref(), MTU, 1500)?,
    })
}

fn list(file: &File, written: &ListSection, config: &mut AdapterConfig) -> Checked<()> {
    let index = find_link(file, &written.link, config)?;
    let id = ListId::new(*written.id.get_ref())
        .ok_or_else(|| file.error(&written.id, format!("1 to {} are allowed", ListId::MAX)))?;
    let mut members = Vec::new();
    for member in written.members.get_ref() {
        let vif = assignable(file, &written.members, *member)?;
        if members.contains(&vif) {
            return Err(file.error(&written.members, format!("VIF {member} is there twice")));
        }
        if !config.vnics.iter().any(|vnic| vnic.link == index && vnic.vif == vif) {
            let name = written.link.get_ref();
            let id = id.get();
            config.warnings.push(format!("list {id} on {name}: VIF {member} is no vNIC's and gets nothing"));
        }
        members.push(vif);
    }
    let lists = &mut config.links[index].lists;
    if lists.iter().any(|(known, _)| *known == id) {
        return Err(file.error(&written.id, format!("list {} of this link is there already", id.get())));
    }
    lists.push((id, members));
    Ok(())
}

fn unique<'a>(
    file: &File,
    name: &Spanned<String>,
    mut before: impl Iterator<Item = &'a String>,
) -> Checked<()> {
    let text = name.get_ref();
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-/:".contains(c);
    if text.is_empty() || text.len() > 63 || !text.chars().all(fits) {
        return Err(file.error(name, "1 to 63 letters, digits, `.`, `_`, `-`, `/` and `:` are allowed"));
    }
    if before.any(|known| known == text) {
        return Err(file.error(name, format!("there is a \"{text}\" already")));
    }
    Ok(())
}

fn find_link(file: &File, name: &Spanned<String>, config: &AdapterConfig) -> Checked<usize> {
    let found = config.links.iter().position(|link| link.name == *name.get_ref());
    found.ok_or_else(|| {
        let known: Vec<String> = config.links.iter().map(|link| format!("\"{}\"", link.name)).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        file.error(name, format!("no [[link]] is called \"{}\"; there is {known}", name.get_ref()))
    })
}

fn assignable<T>(file: &File, at: &Spanned<T>, vif: u16) -> Checked<VifId> {
    VifId::new(vif).ok_or_else(|| file.error(at, format!("{vif} is no VIF, 1 to {} are allowed", VifId::MAX)))
}

fn within<T: Copy + PartialOrd + core::fmt::Display>(
    file: &File,
    key: Option<&Spanned<T>>,
    range: core::ops::RangeInclusive<T>,
    default: T,
) -> Checked<T> {
    let Some(key) = key else { return Ok(default) };
    let value = *key.get_ref();
    if range.contains(&value) {
        return Ok(value);
    }
    Err(file.error(key, format!("{value} is out of range, {} to {} are allowed", range.start(), range.end())))
}

fn mac(file: &File, key: &Spanned<String>) -> Checked<Mac> {
    let mac: Mac = key.get_ref().parse().map_err(|error| file.error(key, format!("{error}")))?;
    if mac.is_group() || mac.is_zero() {
        return Err(file.error(key, "a station's address is neither a group address nor zero"));
    }
    Ok(mac)
}

fn socket_mode(file: &File, key: &Spanned<String>) -> Checked<u32> {
    let mode = u32::from_str_radix(key.get_ref(), 8).ok().filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| file.error(key, "write octal rights such as \"0660\""))
}

/// A group by number, or by its name in `/etc/group`.
fn group(file: &File, key: &Spanned<String>) -> Checked<u32> {
    let wanted = key.get_ref();
    if let Ok(number) = wanted.parse() {
        return Ok(number);
    }
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let found = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number = fields.nth(1)?;
        (name == wanted).then(|| number.parse().ok()).flatten()
    });
    found
        .ok_or_else(|| file.error(key, format!("no group \"{wanted}\" in /etc/group; a number is taken too")))
}

fn check_uuid(file: &File, key: &Spanned<String>) -> Checked<()> {
    let text = key.get_ref();
    let groups: Vec<usize> = text.split('-').map(str::len).collect();
    let hex = text.chars().all(|c| c == '-' || c.is_ascii_hexdigit());
    if groups == [8, 4, 4, 4, 12] && hex {
        return Ok(());
    }
    Err(file.error(key, "write a UUID such as \"6ba7b810-9dad-11d1-80b4-00c04fd430c8\""))
}
