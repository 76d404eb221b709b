//! Who is in the lab, and the configuration files that say so.
//!
//! ```text
//! vm1 -+
//! vm2 -+- adapter0 === link0 === ethernet1/1 -+
//! vm3 -+                                      +- vis0 - ethernet1/3 - tap - host, in a network namespace
//! vm4 --- adapter1 === link1 === ethernet1/2 -+
//! ```
//!
//! Everybody is in VLAN 10 and in 10.10.0.0/24. No VIF is written down anywhere: adapters ask for a vNIC's port by the
//! name of its profile, and the switch gives VIFs, interfaces and lists.

use super::paths::{RUN, STATE};
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The VLAN of everybody.
pub(crate) const VLAN: u16 = 10;

/// The port profile that says so.
pub(crate) const PROFILE: &str = "lab";

/// The switch's interface to the host.
pub(crate) const TAP: &str = "visup0";

/// The host behind the switch.
pub(crate) const HOST: &str = "10.10.0.100";

/// Octets of the network's address.
pub(crate) const PREFIX: u8 = 24;

/// The capture of the first link.
pub(crate) const CAPTURE: &str = "link0.pcapng";

/// A guest's place in the lab.
pub(crate) struct Vm {
    pub(crate) name: &'static str,
    pub(crate) adapter: usize,
    pub(crate) ip: &'static str,
    pub(crate) mac: &'static str,
}

/// The guests.
pub(crate) const VMS: [Vm; 4] = [
    Vm { name: "vm1", adapter: 0, ip: "10.10.0.1", mac: "52:54:00:0a:00:01" },
    Vm { name: "vm2", adapter: 0, ip: "10.10.0.2", mac: "52:54:00:0a:00:02" },
    Vm { name: "vm3", adapter: 0, ip: "10.10.0.3", mac: "52:54:00:0a:00:03" },
    Vm { name: "vm4", adapter: 1, ip: "10.10.0.4", mac: "52:54:00:0a:00:04" },
];

/// How many adapters there are; each has one link.
pub(crate) const ADAPTERS: usize = 2;

/// A guest's socket on its adapter.
pub(crate) fn vnic_socket(vm: &Vm) -> PathBuf {
    Path::new(RUN).join(format!("{}.sock", vm.name))
}

/// An adapter's link socket, which the switch serves.
pub(crate) fn link_socket(adapter: usize) -> PathBuf {
    Path::new(RUN).join(format!("link{adapter}.sock"))
}

/// The daemons, by name.
pub(crate) const NODES: [&str; 3] = ["vis0", "adapter0", "adapter1"];

/// The administrative socket of `vis0`, `adapter0` ...
pub(crate) fn api(node: &str) -> PathBuf {
    Path::new(RUN).join(format!("{node}.sock"))
}

/// Writes the configuration of switch and adapters.
pub(crate) fn write() -> Result<()> {
    let save =
        |name: &str, text: String| fs::write(name, text).with_context(|| format!("cannot write {name}"));
    save("vis.toml", switch_chassis())?;
    save("vis.cfg", switch_configuration())?;
    for adapter in 0..ADAPTERS {
        save(&format!("adapter{adapter}.toml"), adapter_toml(adapter))?;
    }
    Ok(())
}

fn switch_chassis() -> String {
    let mut text = format!(
        "# The switch's chassis: its ports. Everything else is in vis.cfg.\n\
         [node]\nname = \"vis0\"\nstate_dir = \"{STATE}/vis0\"\napi = \"{}\"\nstartup = \"vis.cfg\"\n",
        api("vis0").display()
    );
    for adapter in 0..ADAPTERS {
        let _ = write!(
            text,
            "\n[[port]]\nname = \"ethernet1/{}\"\nmode = \"vntag\"\ndevice = \"memif:{}\"\n",
            adapter + 1,
            link_socket(adapter).display()
        );
    }
    let _ = write!(
        text,
        "\n[[port]]\nname = \"ethernet1/{}\"\nmode = \"access\"\ndevice = \"tap:{TAP}\"\n",
        ADAPTERS + 1
    );
    text
}

fn switch_configuration() -> String {
    format!(
        "! What a vNIC gets that asks for \"{PROFILE}\", and where the host is.\n\
         port-profile {PROFILE}\n  switchport access vlan {VLAN}\n  state enabled\n\
         interface ethernet 1/{}\n  switchport access vlan {VLAN}\n",
        ADAPTERS + 1
    )
}

fn adapter_toml(adapter: usize) -> String {
    let capture = if adapter == 0 { format!("capture = \"{CAPTURE}\"\n") } else { String::new() };
    let mut text = format!(
        "[node]\nname = \"adapter{adapter}\"\nstate_dir = \"{STATE}/adapter{adapter}\"\napi = \"{}\"\n\n\
         [[link]]\nname = \"link{adapter}\"\ndevice = \"memif:{}\"\n{capture}",
        api(&format!("adapter{adapter}")).display(),
        link_socket(adapter).display()
    );
    for vm in VMS.iter().filter(|vm| vm.adapter == adapter) {
        let _ = write!(
            text,
            "\n[[vnic]]\nname = \"{}\"\ndevice = \"vhost-user:{}\"\nlink = \"link{adapter}\"\nmac = \"{}\"\n\
             vm = \"{}\"\nprofile = \"{PROFILE}\"\n",
            vm.name,
            vnic_socket(vm).display(),
            vm.mac,
            vm.name
        );
    }
    text
}
