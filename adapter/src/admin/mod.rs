//! The adapter's admin commands, over its [`Inventory`].

mod guest;
mod show;

use crate::inventory::{Inventory, VnicEntry};
use niv_node::command::{Command, EXEC, Refusal, Table};
use std::sync::Arc;

/// What commands work on.
pub type Context = Arc<Inventory>;

/// The command table of the adapter.
#[must_use]
pub fn table() -> Table<Context> {
    Table::new(
        vec![
            Command::new(EXEC, "show vnic [<name:word>]", "vNICs: state, VIF, traffic", show::vnic),
            Command::new(EXEC, "show link [<name:word>]", "Links to switches: state and traffic", show::link),
            Command::new(EXEC, "show vif-list", "VIF lists by link", show::vif_list),
            Command::new(EXEC, "show counters", "Both sides of the frame balance", show::counters),
            Command::new(EXEC, "show drops [all]", "Dropped frames by reason", show::drops),
            Command::new(EXEC, "show version", "Name and version of this adapter", show::version),
            Command::new(EXEC, "vnic list", "vNICs, one a line", show::vnic_list),
            Command::new(EXEC, "vnic qemu <name:word>", "QEMU arguments for a guest on a vNIC", guest::qemu),
            Command::new(
                EXEC,
                "vnic libvirt <name:word>",
                "libvirt XML for a guest on a vNIC",
                guest::libvirt,
            ),
        ],
        &[("show", "Show running system information"), ("vnic", "Virtual interfaces for guests")],
    )
}

/// The vNIC that a command names.
fn named<'a>(inventory: &'a Inventory, args: &niv_node::command::Args) -> Result<&'a VnicEntry, Refusal> {
    let name = args.text("name");
    let found = inventory.vnics.iter().find(|vnic| vnic.name == name);
    found.ok_or_else(|| {
        let known: Vec<&str> = inventory.vnics.iter().map(|vnic| vnic.name.as_str()).take(5).collect();
        args.refuse(
            "name",
            format!("No vNIC is called {name}; there are {}.", list(&known, inventory.vnics.len())),
        )
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
