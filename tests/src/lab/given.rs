//! Whom the switch found, and what it gave the guests' vNICs: nobody has written it down before.

use super::balance::show;
use super::topology::{self, ADAPTERS, VMS};
use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// A vNIC's place, as the switch numbered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    /// Its VIF on its adapter's link.
    pub(crate) vif: u16,
    /// Its virtual Ethernet interface on the switch.
    pub(crate) veth: u32,
}

/// Whom the switch has found on its NIV links, as `adapter0 on ethernet1/1`: all adapters.
pub(crate) fn neighbors() -> Result<Vec<String>> {
    let table = show(&topology::api("vis0"), "neighbors")?;
    let rows = table.as_array().map_or(&[][..], Vec::as_slice);
    (0..ADAPTERS)
        .map(|nr| {
            let (name, port) = (format!("adapter{nr}"), format!("ethernet1/{}", nr + 1));
            let found = rows.iter().any(|row| row["neighbor"] == *name && row["interface"] == *port);
            if found {
                Ok(format!("{name} on {port}"))
            } else {
                bail!("{port} has not found {name}: {table}")
            }
        })
        .collect()
}

/// What the guests of [`VMS`] have, each in its place, once all are active.
pub(crate) fn all() -> Result<Vec<Given>> {
    const PATIENCE: Duration = Duration::from_secs(10);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let tables = (0..ADAPTERS)
            .map(|nr| show(&topology::api(&format!("adapter{nr}")), "vnic"))
            .collect::<Result<Vec<_>>>()?;
        let rows: Vec<_> = tables.iter().filter_map(|table| table.as_array()).flatten().collect();
        let given = VMS.iter().map(|vm| {
            let row = rows.iter().find(|row| row["name"] == vm.name)?;
            let active = row["vif_state"] == "active";
            let vif = row["vif"].as_u64().and_then(|vif| u16::try_from(vif).ok()).filter(|_| active)?;
            let veth = row["veth"].as_u64().and_then(|veth| u32::try_from(veth).ok())?;
            Some(Given { vif, veth })
        });
        if let Some(given) = given.collect() {
            return Ok(given);
        }
        if Instant::now() > deadline {
            bail!("the vNICs were not all active within {} s: {rows:?}", PATIENCE.as_secs());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
