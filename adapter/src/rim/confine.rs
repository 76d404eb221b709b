//! What the adapter needs of its host, for its sandbox.

use crate::config::{AdapterConfig, Attachment, VnicConfig};
use crate::vhost::LinkSignal;
use link::{Role, Uses};
use niv_node::sandbox::{Needs, Policy};

/// What the configuration needs, and no more.
#[must_use]
pub fn policy(config: &AdapterConfig) -> Policy {
    let mut policy = Policy::of(&config.node);
    for link in &config.links {
        policy.add(&needs(link.options.uses(Role::Client)));
    }
    config.vnics.iter().for_each(|config| policy.add(&vnic(config)));
    policy
}

/// What a vNIC needs.
pub(super) fn vnic(config: &VnicConfig) -> Needs {
    let signal = match &config.attachment {
        Attachment::Negotiated { link_signal, .. } => link_signal,
        Attachment::Static { .. } => &LinkSignal::None,
    };
    let mut needs = needs(config.options.uses(Role::Client));
    // QEMU's monitor belongs to QEMU's user.
    needs.connects |= matches!(signal, LinkSignal::Qmp(_));
    needs.group = config.socket_group.is_some();
    needs
}

fn needs(uses: Uses) -> Needs {
    let Uses { listens, writes, abstract_names, connects, tap, packet, xdp } = uses;
    let listens = listens.into_iter().collect();
    Needs { listens, writes, abstract_names, connects, tap, packet, xdp, group: false }
}
