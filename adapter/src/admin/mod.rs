//! The adapter's admin commands, over the running [`Adapter`].

mod control;
mod doctor;
mod firmware;
mod guest;
mod show;
mod vnic;

use crate::rim::{Adapter, VnicView};
use core::time::Duration;
use niv_node::accounting;
use niv_node::command::{Args, Command, EXEC, Refusal, Reply, Table};
use niv_node::event;
use niv_node::output::Cell;
use std::sync::Arc;

/// What commands work on.
pub type Context = Arc<Adapter>;

type Answer = Result<Reply, Refusal>;

/// The command table of the adapter.
#[must_use]
pub fn table() -> Table<Context> {
    let accounting =
        |adapter: &mut Context, args: &Args| Ok(accounting::show(&adapter.accounting, args).into());
    let logging = |adapter: &mut Context, args: &Args| Ok(event::show(&adapter.log, args).into());
    Table::new(
        vec![
            Command::new(EXEC, "show vnic [<name:word>]", "vNICs: state, VIF, traffic", vnic::show),
            Command::new(EXEC, "show vif", "VIFs: vEth, state with cause and since", control::vifs),
            Command::new(EXEC, "show vif-list", "VIF lists by link", control::lists),
            Command::new(EXEC, "show link [<name:word>]", "Links to switches: state and traffic", show::link),
            Command::new(EXEC, "show neighbors", "Who speaks LLDP on the NIV links", control::neighbors),
            Command::new(
                EXEC,
                "show control statistics [all]",
                "What the control protocol has counted, by link",
                control::statistics,
            ),
            Command::new(EXEC, "show counters", "Both sides of the frame balance", show::counters),
            Command::new(EXEC, "show drops [all]", "Dropped frames by reason", show::drops),
            Command::new(EXEC, event::SYNTAX, event::HELP, logging),
            Command::new(EXEC, accounting::SYNTAX, accounting::HELP, accounting),
            Command::new(EXEC, niv_node::doctor::SYNTAX, niv_node::doctor::HELP, doctor::show),
            Command::new(EXEC, "show system workers", "The threads that move frames", show::workers),
            Command::new(EXEC, "show version", "Name and version of this adapter", show::version),
            Command::new(
                EXEC,
                "show firmware vnic <name:word>",
                "A vNIC as its driver would see the device",
                firmware::vnic,
            ),
            Command::new(EXEC, "show firmware devcmd", "Commands of the host mailbox", firmware::commands),
            Command::new(
                EXEC,
                "show firmware fault",
                "How the firmware misbehaves on purpose",
                firmware::plan,
            ),
            Command::new(
                EXEC,
                "firmware fault rule <rule:line>",
                "Adds a rule to the fault plan, whose requests are counted from now",
                firmware::add_rule,
            ),
            Command::new(
                EXEC,
                "firmware fault seed <seed:0-18446744073709551615>",
                "Seed of the rules by percentage",
                firmware::set_seed,
            ),
            Command::new(EXEC, "firmware fault clear", "No faults from now on", firmware::clear),
            Command::new(
                EXEC,
                "firmware devcmd <name:word> <command:word> [<a0:word> [<a1:word> [<data:word>]]]",
                "Carries out a host mailbox command on a vNIC; data in hex",
                firmware::devcmd,
            ),
            Command::new(EXEC, "vnic list", "vNICs, one a line", vnic::list_all).only_shows(),
            Command::new(
                EXEC,
                "vnic add <name:word> <settings:line>",
                "Adds a vNIC: key value ...",
                vnic::add,
            ),
            Command::new(
                EXEC,
                "vnic set <name:word> <settings:line>",
                "Changes a vNIC that was added: key value ..., no key",
                vnic::set,
            ),
            Command::new(EXEC, "vnic del <name:word>", "Deletes a vNIC that was added", vnic::delete),
            Command::new(EXEC, "vnic qemu <name:word>", "QEMU arguments for a guest on a vNIC", guest::qemu)
                .only_shows(),
            Command::new(
                EXEC,
                "vnic libvirt <name:word>",
                "libvirt XML for a guest on a vNIC",
                guest::libvirt,
            )
            .only_shows(),
        ],
        &[
            ("show", "Show running system information"),
            ("vnic", "Virtual interfaces for guests"),
            ("firmware", "The adapter's end of the control protocol"),
            ("fault", "How the firmware misbehaves on purpose"),
            ("control", "The control protocol"),
        ],
    )
}

/// The vNIC that a command names.
fn named(adapter: &Adapter, args: &Args) -> Result<VnicView, Refusal> {
    let name = args.text("name");
    adapter.vnic(name).ok_or_else(|| {
        let all = adapter.vnics();
        let known: Vec<&str> = all.iter().map(|view| view.entry.config.name.as_str()).take(5).collect();
        let known = list(&known, all.len());
        args.refuse("name", format!("No vNIC is called {name}; there are {known}."))
    })
}

/// The first few names of `total`.
fn list(names: &[&str], total: usize) -> String {
    match total.saturating_sub(names.len()) {
        0 if names.is_empty() => "none".to_owned(),
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

/// How long ago something was; both on the firmware's clock.
fn since(now: u64, then: u64) -> Cell {
    Cell::span(Duration::from_nanos(now.saturating_sub(then)))
}
