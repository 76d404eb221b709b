//! From what is written to what it means: the file.

use super::file::{AdapterFile, FirmwareSection, LinkSection, ListSection, Negotiation};
use super::values::{Checked, assignable, unique, within};
use super::{AdapterConfig, FirmwareConfig, LinkConfig, vnic};
use firmware_sim::FaultPlan;
use firmware_sim::fault::Rule;
use link::{Device, Options};
use niv_node::config::{File, Node, Spanned};
use vntag::ListId;

/// Seconds for which a guest may be left without its switch, its carrier up.
const CARRIER_DELAY: core::ops::RangeInclusive<u8> = 0..=60;
/// Seconds for which VIFs may wait for a switch.
const HOLD: core::ops::RangeInclusive<u32> = 1..=86_400;
/// Links that an adapter may have.
const MOST_LINKS: usize = 256;

pub(super) fn check(file: &File, written: &AdapterFile) -> Checked<AdapterConfig> {
    let node = Node::from_file(file, &written.node, "adapter0")?;
    let firmware = firmware(file, &written.firmware)?;
    let (links, vnics, warnings) = (Vec::new(), Vec::new(), Vec::new());
    let mut config = AdapterConfig { node, firmware, links, vnics, warnings };
    for section in &written.link {
        if config.links.len() == MOST_LINKS {
            return Err(file.error(section, format!("{MOST_LINKS} links are the most")));
        }
        let link = link(file, section, &config.links)?;
        config.links.push(link);
    }
    for section in &written.vnic {
        let vnic = vnic::judge(file, section, &config.links, config.vnics.iter())?;
        config.vnics.push(vnic);
    }
    for section in &written.list {
        list(file, section, &mut config)?;
    }
    Ok(config)
}

fn firmware(file: &File, written: &FirmwareSection) -> Checked<FirmwareConfig> {
    let usual = FirmwareConfig::default();
    let mut faults = FaultPlan::default();
    if let Some(fault) = &written.fault {
        faults.seed = fault.seed;
        for text in &fault.rules {
            let rule = text.get_ref().parse::<Rule>();
            faults.rules.push(rule.map_err(|error| file.error(text, error.to_string()))?);
        }
    }
    Ok(FirmwareConfig {
        carrier_delay: within(file, written.carrier_delay.as_ref(), CARRIER_DELAY, usual.carrier_delay)?,
        hold: within(file, written.hold.as_ref(), HOLD, usual.hold)?,
        faults,
    })
}

fn link(file: &File, section: &Spanned<LinkSection>, before: &[LinkConfig]) -> Checked<LinkConfig> {
    let written = section.get_ref();
    unique(file, &written.name, before.iter().map(|link| &link.name))?;
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
        negotiation: written.negotiation,
        lists: Vec::new(),
    })
}

fn list(file: &File, written: &ListSection, config: &mut AdapterConfig) -> Checked<()> {
    let index = vnic::find_link(file, &written.link, &config.links)?;
    if config.links[index].negotiation == Negotiation::Niv {
        return Err(
            file.error(&written.link, "the switch sets the lists of a link with negotiation = \"niv\"")
        );
    }
    let id = ListId::new(*written.id.get_ref())
        .ok_or_else(|| file.error(&written.id, format!("1 to {} are allowed", ListId::MAX)))?;
    let mut members = Vec::new();
    for member in written.members.get_ref() {
        let vif = assignable(file, &written.members, *member)?;
        if members.contains(&vif) {
            return Err(file.error(&written.members, format!("VIF {member} is there twice")));
        }
        let is_there = |vnic: &super::VnicConfig| {
            vnic.link == index && vnic.fixed().is_some_and(|(known, _)| known == vif)
        };
        if !config.vnics.iter().any(is_there) {
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
