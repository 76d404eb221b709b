//! `ip access-list` and where lists are used.

use super::{CONFIG_ACL, Candidate, Done, Selected, broken, number, selected};
use crate::config::running::{
    AclLine, AclName, Description, PROTOCOLS, PortMode, RunningConfig, SwitchportLines,
};
use crate::engine::acl::{AclRule, Addresses, Ports};
use niv_node::command::{Args, ByDefault, CONFIG, Command, Mode, Refusal, Reply, Value};
use niv_node::output::Output;

pub(super) fn commands<C: Candidate>() -> Vec<Command<C>> {
    vec![
        Command::new(CONFIG, "ip access-list <list:word>", "Rules about IPv4 packets", access_list)
            .no("ip access-list <list:word>")
            .by_default(ByDefault::Nothing)
            .enters(CONFIG_ACL),
        Command::new(
            CONFIG_ACL,
            "[<number:1-4294967295>] {remark <text:line>|{permit|deny} \
             {{ip|ahp|esp|gre|icmp|igmp|ospf|pim|<protocol:0-255>} \
             {any|host <source:ip>|<source:prefix>|<source:ip> <source-wildcard:ip>} \
             {any|host <destination:ip>|<destination:prefix>|<destination:ip> <destination-wildcard:ip>}|\
             {tcp|udp} \
             {any|host <source:ip>|<source:prefix>|<source:ip> <source-wildcard:ip>} \
             [{eq <source-eq:0-65535>|neq <source-neq:0-65535>|gt <source-gt:0-65534>|lt <source-lt:1-65535>|\
             range <source-first:0-65535> <source-last:0-65535>}] \
             {any|host <destination:ip>|<destination:prefix>|<destination:ip> <destination-wildcard:ip>} \
             [{eq <destination-eq:0-65535>|neq <destination-neq:0-65535>|gt <destination-gt:0-65534>|\
             lt <destination-lt:1-65535>|range <destination-first:0-65535> <destination-last:0-65535>}]}}",
            "Line of the list, under its number or behind the others",
            line,
        )
        .no("<number:1-4294967295>"),
        Command::new(CONFIG_ACL, "statistics per-entry", "Accepted; each line counts", |_, _| {
            Ok(Reply::Done)
        }),
    ]
}

/// What stands on interfaces and profiles.
pub(super) fn group<C: Candidate>(of: Mode) -> Command<C> {
    Command::new(
        of,
        "ip [port] access-group <list:word> {in|out}",
        "Access list for IPv4 packets",
        access_group,
    )
    .no("ip [port] access-group [<list:word>] {in|out}")
}

fn name(args: &Args) -> Result<AclName, Refusal> {
    let most = AclName::MAX;
    AclName::new(args.text("list")).ok_or_else(|| {
        let message = format!(
            "The name of an access list has 1 to {most} printing ASCII characters; blank, ? and | are none of them."
        );
        args.refuse("list", message)
    })
}

fn access_list<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let name = name(args)?;
    let config = context.config();
    if args.negated() {
        config.remove_access_list(&name).map_err(|rule| args.refuse("list", rule.to_string()))?;
        return Ok(Reply::Done);
    }
    config.make_access_list(&name).map_err(|rule| args.refuse("list", rule.to_string()))?;
    *context.selected() = Some(Selected::AccessList(name));
    Ok(Reply::Done)
}

fn line<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let Selected::AccessList(name) = selected(context)? else {
        return Err(Refusal::new("No access list is selected."));
    };
    let number = number(args, "number");
    let list = context.config().make_access_list(&name).map_err(broken)?;
    if args.negated() {
        let removed = number.map_or(Ok(()), |number| list.remove(number));
        removed.map_err(|rule| args.refuse("number", rule.to_string()))?;
        return Ok(Reply::Done);
    }
    let line = match args.get_text("text") {
        Some(text) => AclLine::Remark(Description::new(text).ok_or_else(|| {
            args.refuse("text", format!("A remark has at most {} characters.", Description::MAX))
        })?),
        None => AclLine::Rule(rule(args)?),
    };
    list.put(number, line).map_err(|rule| args.refuse("number", rule.to_string()))?;
    Ok(Reply::Done)
}

fn rule(args: &Args) -> Result<AclRule, Refusal> {
    let named = PROTOCOLS.iter().find(|(name, _)| args.has(name)).map(|(_, number)| *number);
    Ok(AclRule {
        permit: args.has("permit"),
        protocol: named.or_else(|| number(args, "protocol")),
        source: addresses(args, "source", "source-wildcard"),
        source_ports: ports(
            args,
            ["source-eq", "source-neq", "source-gt", "source-lt", "source-first", "source-last"],
        )?,
        destination: addresses(args, "destination", "destination-wildcard"),
        destination_ports: ports(
            args,
            [
                "destination-eq",
                "destination-neq",
                "destination-gt",
                "destination-lt",
                "destination-first",
                "destination-last",
            ],
        )?,
    })
}

fn addresses(args: &Args, name: &str, wildcard: &str) -> Addresses {
    match args.get(name) {
        Some(Value::Prefix(address, length)) => {
            Addresses::new(address.to_bits(), u32::MAX.checked_shr(u32::from(*length)).unwrap_or(0))
        }
        Some(Value::Ip(address)) => {
            let wildcard = args.get_ip(wildcard).map_or(0, |wildcard| wildcard.to_bits());
            Addresses::new(address.to_bits(), wildcard)
        }
        _ => Addresses::ANY,
    }
}

fn ports(args: &Args, [eq, neq, gt, lt, first, last]: [&str; 6]) -> Result<Option<Ports>, Refusal> {
    let one = |name: &str, kind: fn(u16) -> Ports| number(args, name).map(kind);
    if let (Some(low), Some(high)) = (number(args, first), number(args, last)) {
        if low > high {
            return Err(args.refuse(last, "A range goes from the lower port to the higher."));
        }
        return Ok(Some(Ports::Range(low, high)));
    }
    Ok(one(eq, Ports::Eq).or(one(neq, Ports::Neq)).or(one(gt, Ports::Gt)).or(one(lt, Ports::Lt)))
}

fn access_group<C: Candidate>(context: &mut C, args: &Args) -> Done {
    let named = if args.get("list").is_some() { Some(name(args)?) } else { None };
    let value = named.clone().filter(|_| !args.negated());
    let out = args.has("out");
    let change = |lines: &mut SwitchportLines| {
        let place = if out { &mut lines.acl_out } else { &mut lines.acl_in };
        if args.negated() && named.is_some() && *place != named {
            return Err(args.refuse("list", "That list is not here."));
        }
        place.clone_from(&value);
        Ok(())
    };
    let selected = selected(context)?;
    let config = context.config();
    match selected {
        Selected::Ethernet(id) => {
            change(config.ethernet_switchport(id).map_err(broken)?)?;
            let niv = config.ethernet(id).is_ok_and(|port| port.mode() == PortMode::Vntag);
            if niv && value.is_some() {
                let note = format!(
                    "ethernet {id} is in vntag mode: lists are applied on its virtual interfaces, not here."
                );
                return Ok(Output::message(note).into());
            }
        }
        Selected::Vethernets(numbers) => {
            for number in numbers {
                change(&mut config.vethernet_mut(number).map_err(broken)?.switchport)?;
            }
        }
        Selected::PortProfile(name) => {
            change(&mut config.port_profile_mut(&name).map_err(broken)?.switchport)?;
        }
        Selected::AccessList(_) | Selected::Vlans(_) => {
            return Err(Refusal::new("No interface is selected."));
        }
    }
    let note = value.and_then(|name| missing(config, &name));
    Ok(note.map_or(Reply::Done, |note| Output::message(note).into()))
}

fn missing(config: &RunningConfig, name: &AclName) -> Option<String> {
    (!config.access_lists().contains_key(name))
        .then(|| format!("Warning: access list {name} does not exist; everything passes until it does."))
}
