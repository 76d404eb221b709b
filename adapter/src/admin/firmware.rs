//! The firmware as those see it who test against it: its host mailbox and its fault plan.

use super::vnic::negotiated;
use super::{Answer, Context};
use firmware_sim::FaultPlan;
use firmware_sim::fault::Rule;
use firmware_sim::mailbox::{Command, Completion};
use niv_node::command::{Args, Refusal, Reply};
use niv_node::output::{Cell, Column, Grid, Output, Record};

/// Rules that a plan may have.
const MOST_RULES: usize = 256;

/// `show firmware vnic NAME`.
pub(super) fn vnic(adapter: &mut Context, args: &Args) -> Answer {
    let id = negotiated(adapter, args)?;
    let device = adapter.look(|firmware, _| firmware.device_status(id));
    let Some(device) = device else { return Err(args.refuse("name", "It has just been deleted.")) };
    let addresses: Vec<String> = device.addresses.iter().map(ToString::to_string).collect();
    let mut record = Record::new()
        .titled(format!("Device of {}", args.text("name")))
        .field("number", "Number", id.0)
        .field("open", "Open", device.open)
        .field("filter", "Packet filter", Cell::shown(format!("{:#x}", device.filter), device.filter))
        .field("addresses", "Addresses", addresses.join(", "))
        .field("staged", "Waits for ENABLE2", device.staged);
    if let Some(block) = device.notify {
        record = record
            .field("link_up", "Notify: link up", block.link_up)
            .field("link_downs", "Notify: times down", block.link_down_count)
            .field("mtu", "Notify: MTU", block.mtu);
    }
    Ok(Output::from(record).into())
}

/// `show firmware devcmd`.
pub(super) fn commands(_: &mut Context, _: &Args) -> Answer {
    let mut grid = Grid::new([
        Column::left("word", "Word"),
        Column::left("command", "Command"),
        Column::left("supported", "Supported"),
    ]);
    for command in Command::ALL {
        let word = Cell::shown(format!("{:#010x}", command.word()), command.word());
        grid.row([word, command.name().into(), command.is_supported().into()]);
    }
    Ok(Output::from(grid).into())
}

/// `firmware devcmd NAME COMMAND [A0 [A1 [DATA]]]`.
pub(super) fn devcmd(adapter: &mut Context, args: &Args) -> Answer {
    let id = negotiated(adapter, args)?;
    let typed = args.text("command");
    let known = Command::ALL.iter().find(|command| command.name().eq_ignore_ascii_case(typed));
    let word = match known {
        Some(command) => command.word(),
        None => {
            number(args, "command")?.try_into().map_err(|_| args.refuse("command", "32 bits at the most."))?
        }
    };
    let arguments = [number(args, "a0")?, number(args, "a1")?];
    let data =
        octets(args.text("data")).ok_or_else(|| args.refuse("data", "Pairs of hexadecimal digits."))?;
    let Completion { status, args: [a0, a1] } =
        adapter.tell(|firmware, now| firmware.devcmd(now, id, word, arguments, &data));
    let record = Record::new()
        .field("status", "Status", status)
        .field("error", "Error", status & Completion::ERROR != 0)
        .field("a0", "a0", Cell::shown(format!("{a0:#x}"), a0))
        .field("a1", "a1", Cell::shown(format!("{a1:#x}"), a1));
    Ok(Output::from(record).into())
}

/// A number in decimal or, after `0x`, in hexadecimal digits; 0 where it is left out.
fn number(args: &Args, name: &str) -> Result<u64, Refusal> {
    let text = args.text(name);
    let number = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None if text.is_empty() => Some(0),
        None => text.parse().ok(),
    };
    number.ok_or_else(|| args.refuse(name, format!("\"{text}\" is no command of the mailbox and no number.")))
}

fn octets(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.bytes().map(|digit| (digit as char).to_digit(16)).collect::<Option<Vec<u32>>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| (high * 16 + low) as u8).collect())
}

/// `show firmware fault`.
pub(super) fn plan(adapter: &mut Context, _: &Args) -> Answer {
    let plan = adapter.look(|firmware, _| firmware.faults().clone());
    let mut grid = Grid::new([Column::left("rule", "Rule")]);
    plan.rules.iter().for_each(|rule| grid.row([Cell::display(rule)]));
    let seed = Record::new().field("seed", "Seed", plan.seed);
    let group = vec![("plan".to_owned(), seed.into()), ("rules".to_owned(), Output::from(grid))];
    Ok(Output::Group(group).into())
}

fn change(adapter: &Context, change: impl FnOnce(&mut FaultPlan)) {
    adapter.tell(|firmware, _| {
        let mut plan = firmware.faults().clone();
        change(&mut plan);
        firmware.set_faults(plan);
    });
}

/// `firmware fault rule RULE`.
pub(super) fn add_rule(adapter: &mut Context, args: &Args) -> Answer {
    let rule = args.text("rule").parse::<Rule>();
    let rule = rule.map_err(|error| args.refuse("rule", format!("{error}.")))?;
    if adapter.look(|firmware, _| firmware.faults().rules.len()) >= MOST_RULES {
        return Err(args.refuse("rule", format!("{MOST_RULES} rules are the most.")));
    }
    change(adapter, |plan| plan.rules.push(rule));
    Ok(Reply::Done)
}

/// `firmware fault seed N`.
pub(super) fn set_seed(adapter: &mut Context, args: &Args) -> Answer {
    let seed = args.number("seed");
    change(adapter, |plan| plan.seed = seed);
    Ok(Reply::Done)
}

/// `firmware fault clear`.
pub(super) fn clear(adapter: &mut Context, _: &Args) -> Answer {
    change(adapter, |plan| *plan = FaultPlan::default());
    Ok(Reply::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_are_pairs_of_digits() {
        assert_eq!(octets(""), Some(vec![]));
        assert_eq!(octets("00fFa0"), Some(vec![0, 255, 160]));
        for wrong in ["0", "0g", "000", "é"] {
            assert_eq!(octets(wrong), None, "{wrong}");
        }
    }
}
