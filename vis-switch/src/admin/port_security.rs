//! `show port-security`, `show interface status err-disabled`, `show errdisable recovery`, in the layouts of NX-OS.

use super::brief::{Interface, interfaces};
use super::names::{full_name, long_name, short_name};
use super::{Answer, Session};
use crate::config::slots::Owner;
use crate::config::text::{aging, violation};
use crate::engine::secure::{Origin, SecuredAddress};
use crate::switch::{State, Switch};
use core::fmt::Write as _;
use niv_node::command::Args;
use niv_node::output::Output;
use serde_json::{Value, json};

/// An interface with port security.
struct Row {
    interface: Interface,
    addresses: Vec<SecuredAddress>,
    violations: u64,
    last: Option<(u16, vntag::ethernet::Mac)>,
}

impl Row {
    fn of(origin: Origin, addresses: &[SecuredAddress]) -> usize {
        addresses.iter().filter(|address| address.origin == origin).count()
    }

    fn status(&self) -> &'static str {
        match &self.interface.down {
            None => "Secure UP",
            Some(down) if down.word != "down" => "Secure Shutdown",
            Some(_) => "Secure Down",
        }
    }

    fn to_json(&self) -> Value {
        let security = &self.interface.switchport.security;
        json!({
            "interface": full_name(self.interface.owner),
            "enabled": security.enabled,
            "status": self.status(),
            "maximum": security.maximum,
            "addresses": self.addresses.len(),
            "configured": Self::of(Origin::Static, &self.addresses),
            "sticky": Self::of(Origin::Sticky, &self.addresses),
            "violations": self.violations,
            "last_violation": self.last.map(|(vlan, mac)| json!({ "vlan": vlan, "mac": mac.to_string() })),
            "action": violation(security.violation),
            "aging_minutes": security.aging_minutes,
            "aging_type": aging(security.aging),
        })
    }
}

fn row(session: &Session, state: &State, interface: Interface) -> Row {
    let owner = interface.owner;
    let (violations, last) = state.slots.guard(owner).map(|guard| guard.violations()).unwrap_or_default();
    Row { addresses: session.switch.secured(state, owner), violations, last, interface }
}

fn rows(session: &Session, state: &State) -> Vec<Row> {
    let all = interfaces(&session.switch, state).into_iter();
    let secured = all.filter(|interface| interface.switchport.security.enabled && !interface.niv);
    secured.map(|interface| row(session, state, interface)).collect()
}

/// The first lines of two answers: one address an interface is not counted.
fn totals(switch: &Switch, rows: &[Row]) -> String {
    let beyond: usize = rows.iter().map(|row| row.addresses.len().saturating_sub(1)).sum();
    format!(
        "\nTotal Secured Mac Addresses in System (excluding one mac per port) : {beyond}\n\
         Max Addresses limit in System (excluding one mac per port) : {}\n",
        switch.most_addresses()
    )
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// `show port-security`
pub(super) fn all(session: &mut Session, _: &Args) -> Answer {
    let rows = rows(session, &session.switch.state());
    let rule = "-".repeat(76);
    let mut text = totals(&session.switch, &rows);
    let _ = write!(
        text,
        "\n{rule}\n{:<14}{:<15}{:<13}{:<19}Security Action\n{:<18}{:<14}{:<16}(Count)\n{rule}\n",
        "Secure Port", "MaxSecureAddr", "CurrentAddr", "SecurityViolation", "", "(Count)", "(Count)"
    );
    for row in &rows {
        let security = &row.interface.switchport.security;
        let _ = writeln!(
            text,
            "{:<16} {:<15} {:<13} {:<14} {}",
            long_name(row.interface.owner),
            security.maximum,
            row.addresses.len(),
            row.violations,
            capital(violation(security.violation))
        );
    }
    text.push_str(&"=".repeat(76));
    text.push('\n');
    Ok(Output::prose(text, rows.iter().map(Row::to_json).collect()).into())
}

/// `show port-security interface X`
pub(super) fn interface(session: &mut Session, args: &Args) -> Answer {
    let owner = super::named(session, args)?;
    let state = session.switch.state();
    let found =
        interfaces(&session.switch, &state).into_iter().find(|interface| Some(interface.owner) == owner);
    let Some(found) = found else { return Ok(Output::prose(String::new(), Value::Null).into()) };
    let row = row(session, &state, found);
    let security = &row.interface.switchport.security;
    let on = if security.enabled { "Enabled" } else { "Disabled" };
    let lines = [
        ("Port Security", on.to_owned()),
        ("Port Status", if security.enabled { row.status() } else { "Secure Down" }.to_owned()),
        ("Violation Mode", capital(violation(security.violation))),
        ("Aging Time", format!("{} mins", security.aging_minutes)),
        ("Aging Type", capital(aging(security.aging))),
        ("Maximum MAC Addresses", security.maximum.to_string()),
        ("Total MAC Addresses", row.addresses.len().to_string()),
        ("Configured MAC Addresses", Row::of(Origin::Static, &row.addresses).to_string()),
        ("Sticky MAC Addresses", Row::of(Origin::Sticky, &row.addresses).to_string()),
        ("Security violation count", row.violations.to_string()),
    ];
    let text = lines.iter().map(|(words, value)| format!("{words:<26} : {value}\n")).collect::<String>();
    Ok(Output::prose(text, row.to_json()).into())
}

/// `show port-security address [interface X]`
pub(super) fn addresses(session: &mut Session, args: &Args) -> Answer {
    let named = super::named(session, args)?;
    let rows = rows(session, &session.switch.state());
    let rule = "-".repeat(70);
    let mut text = if named.is_none() { totals(&session.switch, &rows) } else { String::new() };
    let _ = write!(
        text,
        "\n{rule}\n{:>45}\n{rule}\n{:<6}{:<16}{:<10}{:<17}Remaining Age\n{:>62}\n{:<6}{:<16}{:<10}{:<17}-------------\n",
        "Secure Mac Address Table",
        "Vlan",
        "Mac Address",
        "Type",
        "Ports",
        "(mins)",
        "----",
        "-----------",
        "----",
        "-----"
    );
    let mut values = Vec::new();
    for row in rows.iter().filter(|row| named.is_none_or(|named| named == row.interface.owner)) {
        for SecuredAddress { vlan, mac, origin, remaining } in &row.addresses {
            let kind = match origin {
                Origin::Static => "STATIC",
                Origin::Sticky => "STICKY",
                Origin::Dynamic => "DYNAMIC",
            };
            let owner = row.interface.owner;
            let _ = writeln!(
                text,
                "{vlan:<5} {:<15} {kind:<9} {:<16} {remaining}",
                mac.dotted(),
                long_name(owner)
            );
            values.push(json!({
                "vlan": vlan, "mac": mac.to_string(), "type": kind.to_lowercase(),
                "interface": full_name(owner), "remaining_minutes": remaining,
            }));
        }
    }
    text.push_str(&rule);
    text.push('\n');
    Ok(Output::prose(text, values.into()).into())
}

/// `show interface status err-disabled`
pub(super) fn err_disabled(session: &mut Session, _: &Args) -> Answer {
    let all = interfaces(&session.switch, &session.switch.state());
    let rule = "-".repeat(80);
    let mut text = format!("{rule}\n{:<14}{:<19}{:<10}Reason\n{rule}\n", "Port", "Name", "Status");
    let mut values = Vec::new();
    for interface in &all {
        let Some(down) = interface.down.as_ref().filter(|down| down.word != "down") else { continue };
        let described: String =
            niv_node::output::printable(interface.described().unwrap_or("--")).take(18).collect();
        let name = short_name(interface.owner);
        let _ = writeln!(text, "{name:<13} {described:<18} {:<9} {}", "errDisabl", down.cause);
        values.push(json!({
            "interface": full_name(interface.owner), "description": interface.described(),
            "state": down.word, "cause": down.cause,
        }));
    }
    Ok(Output::prose(text, values.into()).into())
}

/// `show errdisable recovery`
pub(super) fn recovery(session: &mut Session, _: &Args) -> Answer {
    let switch = &session.switch;
    let state = switch.state();
    let on = state.config.errdisable_recovery();
    let interval = state.config.errdisable_interval();
    let mut text = format!(
        "\n{:<32}Timer Status\n{:<32}------------\n{:<32}{}\n\n         Timer interval: {interval}\n",
        "ErrDisable Reason",
        "-----------------",
        "psecure-violation",
        if on { "enabled" } else { "disabled" }
    );
    let mut waiting = Vec::new();
    for (owner, since) in state.control.err_disabled() {
        let left = state
            .control
            .recovers_at(since)
            .map(|at| at.saturating_sub(switch.now()).div_ceil(1_000_000_000));
        if let Some(left) = left {
            let _ = writeln!(text, "         {}: {left} seconds left", short_name(owner));
        }
        waiting.push(json!({ "interface": full_name(owner), "seconds_left": left }));
    }
    let value = json!({ "psecure_violation": on, "interval": interval, "interfaces": waiting });
    Ok(Output::prose(text, value).into())
}

/// Interfaces with port security: name, addresses, violations.
pub(super) fn counted(switch: &Switch, state: &State) -> Vec<(Owner, usize, u64)> {
    let guards = state.slots.guards();
    guards.map(|(owner, guard)| (owner, switch.secured(state, owner).len(), guard.violations().0)).collect()
}
