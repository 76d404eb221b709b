//! The configuration files of both daemons, section by section; in static mode unless the name says otherwise.

/// `[node]`; its API socket has its name. A switch also reads `NAME.cfg`. One worker, unless `NIV_WORKERS` says how many.
pub(crate) fn node(name: &str) -> String {
    let workers = std::env::var("NIV_WORKERS").unwrap_or_else(|_| "1".to_owned());
    let startup = if name.starts_with("vis") { format!("startup = \"{name}.cfg\"\n") } else { String::new() };
    format!(
        "[node]\nname = \"{name}\"\nstate_dir = \"state/{name}\"\napi = \"{name}.sock\"\nworkers = {workers}\n{startup}"
    )
}

/// `[[port]]` of a switch: an NIV link.
pub(crate) fn niv_port(number: u16, device: &str) -> String {
    format!(
        "\n[[port]]\nname = \"ethernet1/{number}\"\nmode = \"vntag\"\ndevice = \"{device}\"\nnegotiation = \"off\"\n"
    )
}

/// `[[port]]` of a switch: an NIV link that gives VIFs to whoever asks.
pub(crate) fn negotiated_port(number: u16, device: &str) -> String {
    format!("\n[[port]]\nname = \"ethernet1/{number}\"\nmode = \"vntag\"\ndevice = \"{device}\"\n")
}

/// `[[port]]` of a switch: an ordinary port.
pub(crate) fn port(number: u16, mode: &str, device: &str) -> String {
    format!("\n[[port]]\nname = \"ethernet1/{number}\"\nmode = \"{mode}\"\ndevice = \"{device}\"\n")
}

/// `[[link]]` of an adapter.
pub(crate) fn link(name: &str, device: &str) -> String {
    format!("\n[[link]]\nname = \"{name}\"\ndevice = \"{device}\"\nnegotiation = \"off\"\n")
}

/// `[[vnic]]` of an adapter, on `link0`; further keys are put behind it.
pub(crate) fn vnic(name: &str, device: &str, vif: u16, vlan: u16) -> String {
    format!(
        "\n[[vnic]]\nname = \"{name}\"\ndevice = \"{device}\"\nlink = \"link0\"\nvif = {vif}\nvlan = {vlan}\n"
    )
}

/// `[[link]]` of an adapter that asks its switch for VIFs.
pub(crate) fn negotiating_link(name: &str, device: &str) -> String {
    format!("\n[[link]]\nname = \"{name}\"\ndevice = \"{device}\"\n")
}

/// `[[vnic]]` of an adapter, on `link0`, which negotiates; further keys are put behind it.
pub(crate) fn negotiated_vnic(name: &str, device: &str, mac: &str) -> String {
    format!("\n[[vnic]]\nname = \"{name}\"\ndevice = \"{device}\"\nlink = \"link0\"\nmac = \"{mac}\"\n")
}

/// `[[list]]` of an adapter, on `link0`.
pub(crate) fn list(id: u16, members: &[u16]) -> String {
    format!("\n[[list]]\nlink = \"link0\"\nid = {id}\nmembers = {members:?}\n")
}

/// A vEth in an access VLAN.
pub(crate) fn vethernet(number: u32, vlan: u16, port: u16, channel: u16) -> String {
    format!(
        "interface vethernet {number}\n  switchport access vlan {vlan}\n  bind interface ethernet 1/{port} channel {channel}\n"
    )
}

/// A list of an NIV link.
pub(crate) fn vif_list(port: u16, id: u16, members: &str) -> String {
    format!("interface ethernet 1/{port}\n  vif-list {id} members {members}\n")
}
