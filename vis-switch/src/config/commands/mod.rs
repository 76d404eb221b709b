//! The configuration lines.
//!
//! They run against a [`Candidate`], which becomes the running configuration when every line of a text
//! was accepted. Each line is about what was selected before: one port, one profile, or any number of vEths
//! (`interface vethernet 1-10, 15`), for which it is done one by one.

mod access_list;
mod ethernet;
mod global;
mod port_security;
mod private_vlan;
mod profile;
mod switchport;
mod vethernet;
mod vlan;

use super::running::{
    AclName, Description, EthernetId, Owner, PortMode, ProfileName, ProfileType, Rule, RunningConfig,
    UplinkFail,
};
use niv_node::command::{Args, ByDefault, Command, Form, Mode, Refusal, Reply};

/// `interface vethernet N`
pub const CONFIG_VETH: Mode = Mode::new("config-if-veth").prompt_as("config-if");
/// `interface ethernet S/P`
pub const CONFIG_ETH: Mode = Mode::new("config-if");
/// `port-profile NAME`
pub const CONFIG_PROFILE: Mode = Mode::new("config-port-prof");

/// `ip access-list NAME`
pub const CONFIG_ACL: Mode = Mode::new("config-acl");
/// `vlan N`
pub const CONFIG_VLAN: Mode = Mode::new("config-vlan");

/// What lines are about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selected {
    /// vEths.
    Vethernets(Vec<u32>),
    /// A physical port.
    Ethernet(EthernetId),
    /// A port profile.
    PortProfile(ProfileName),
    /// An access list.
    AccessList(AclName),
    /// VLANs.
    Vlans(Vec<u16>),
}

/// Something whose configuration can be changed by lines.
pub trait Candidate {
    /// The configuration as it is so far.
    fn config(&mut self) -> &mut RunningConfig;
    /// What lines are about.
    fn selected(&mut self) -> &mut Option<Selected>;
    /// The port profile that an adapter asks for on behalf of this vEth, whatever is typed on the interface.
    fn asked(&self, number: u32) -> Option<ProfileName>;
    /// `shutdown` or `no shutdown` was typed on an interface: if a violation has taken it down, that is over.
    fn bounced(&mut self, owner: Owner);
    /// The vEths for which [`asked`](Self::asked) is this profile.
    fn asking(&self, profile: &ProfileName) -> Vec<u32>;
}

pub use global::FEATURES;

type Done = Result<Reply, Refusal>;

/// The configuration commands, for the table of any context that has a candidate.
#[must_use]
pub fn commands<C: Candidate>() -> Vec<Command<C>> {
    let mut all = global::commands();
    all.extend(vethernet::commands());
    all.extend(profile::commands());
    all.extend(ethernet::commands());
    all.extend(access_list::commands());
    all.extend(vlan::commands());
    all.extend(private_vlan::of_vlan());
    all.extend(port_security::of_switch());
    for mode in [CONFIG_VETH, CONFIG_PROFILE, CONFIG_ETH] {
        all.extend(switchport::commands(mode));
        all.extend(private_vlan::of_port(mode));
        all.extend(port_security::of_port(mode));
        all.push(access_list::group(mode));
        all.push(
            Command::new(mode, "description <text:line>", "A text for people", describe)
                .no("description [<text:line>]"),
        );
        all.push(
            Command::new(mode, "shutdown", "Take the interface down", shutdown)
                .no("shutdown")
                .by_default(ByDefault::Own("shutdown")),
        );
    }
    all.extend([CONFIG_VETH, CONFIG_ETH].map(profile::on_interfaces));
    for mode in [CONFIG_VETH, CONFIG_PROFILE] {
        all.push(
            Command::new(
                mode,
                "uplink-fail-action {warning|link-down}",
                "What happens when the last uplink of the VLAN fails",
                uplink_fail,
            )
            .no("uplink-fail-action [{warning|link-down}]"),
        );
    }
    all
}

fn broken(rule: Rule) -> Refusal {
    Refusal::new(String::from(rule))
}

/// A number that the line has and that its syntax keeps in the range of `T`. For `no`, whatever is there after it, the
/// setting goes.
fn value<T: TryFrom<u64>>(args: &Args, name: &str) -> Option<T> {
    if args.negated() { None } else { number(args, name) }
}

fn number<T: TryFrom<u64>>(args: &Args, name: &str) -> Option<T> {
    args.get_number(name).and_then(|number| T::try_from(number).ok())
}

fn port(args: &Args) -> Result<EthernetId, Refusal> {
    let text = args.text("port");
    EthernetId::parse(text)
        .ok_or_else(|| args.refuse("port", format!("{text} names no port; write slot/port.")))
}

fn profile_name(args: &Args) -> Result<ProfileName, Refusal> {
    ProfileName::new(args.text("name")).ok_or_else(|| {
        let most = ProfileName::MAX;
        args.refuse(
            "name",
            format!(
                "The name of a port-profile has 1 to {most} printing ASCII characters; blank, ? and | are none of them."
            ),
        )
    })
}

fn selected<C: Candidate>(context: &mut C) -> Result<Selected, Refusal> {
    context.selected().clone().ok_or_else(|| Refusal::new("Nothing is selected."))
}

/// The interfaces that lines of their modes are about.
fn owners<C: Candidate>(context: &mut C) -> Result<Vec<Owner>, Refusal> {
    match selected(context)? {
        Selected::Vethernets(numbers) => Ok(numbers.into_iter().map(Owner::Vethernet).collect()),
        Selected::Ethernet(id) => Ok(vec![Owner::Ethernet(id)]),
        _ => Err(Refusal::new("No interface is selected.")),
    }
}

/// The vEths that lines of their mode are about.
fn vethernets<C: Candidate>(context: &mut C) -> Result<Vec<u32>, Refusal> {
    match selected(context)? {
        Selected::Vethernets(numbers) => Ok(numbers),
        _ => Err(Refusal::new("No vEthernet is selected.")),
    }
}

fn describe<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let text = if args.negated() {
        None
    } else {
        let text = Description::new(args.text("text")).ok_or_else(|| {
            let most = Description::MAX;
            args.refuse(
                "text",
                format!("A description has at most {most} characters, none of them a control character."),
            )
        })?;
        Some(text)
    };
    let selected = selected(context)?;
    let config = context.config();
    match selected {
        Selected::Vethernets(numbers) => {
            for number in numbers {
                config.vethernet_mut(number).map_err(broken)?.description = text.clone();
            }
        }
        Selected::PortProfile(name) => config.port_profile_mut(&name).map_err(broken)?.description = text,
        Selected::Ethernet(id) => config.describe_ethernet(id, text).map_err(broken)?,
        Selected::AccessList(_) | Selected::Vlans(_) => {
            return Err(Refusal::new("No interface is selected."));
        }
    }
    Ok(Reply::Done)
}

fn uplink_fail<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let action = if args.has("link-down") { UplinkFail::LinkDown } else { UplinkFail::Warning };
    let action = (!args.negated()).then_some(action);
    let selected = selected(context)?;
    let config = context.config();
    match selected {
        Selected::Vethernets(numbers) => {
            for number in numbers {
                config.vethernet_mut(number).map_err(broken)?.uplink_fail = action;
            }
        }
        Selected::PortProfile(name) => {
            let profile = config.port_profile_mut(&name).map_err(broken)?;
            if profile.kind() == ProfileType::Ethernet && action.is_some() {
                return Err(Refusal::new("uplink-fail-action is for port-profiles of type vethernet."));
            }
            profile.uplink_fail = action;
        }
        Selected::Ethernet(_) | Selected::AccessList(_) | Selected::Vlans(_) => {
            return Err(Refusal::new("Only a virtual interface has an uplink."));
        }
    }
    Ok(Reply::Done)
}

fn shutdown<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let shutdown = match args.form() {
        Form::Plain => Some(true),
        Form::No => Some(false),
        Form::Default => None,
    };
    let selected = selected(context)?;
    let config = context.config();
    if let Selected::Ethernet(id) = selected
        && shutdown == Some(true)
        && config.ethernet(id).is_ok_and(|port| port.mode() == PortMode::Vntag)
    {
        return Err(Refusal::new(
            "An NIV link goes down with its device, not by a line; its virtual interfaces can be shut down.",
        ));
    }
    switchport::each(config, selected, |lines| lines.shutdown = shutdown)?;
    if shutdown.is_some()
        && let Ok(owners) = owners(context)
    {
        owners.into_iter().for_each(|owner| context.bounced(owner));
    }
    Ok(Reply::Done)
}
