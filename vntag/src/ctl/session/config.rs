//! What a session is told about its own end.

use super::super::{Flags, Hello, Limits, MAX_PDU, Name, Role};
use crate::ethernet::{Mac, TYPE_VIF_CONTROL};
use crate::lldp::{Capabilities, Id, Lldp, NIV_OUI, NivTlv};
use crate::uuid::Uuid;

/// The most requests that may be outstanding: half of what the receiver keeps in mind.
pub const MAX_WINDOW: u16 = 128;

/// One end of one link. [`Config::new`] fills in the usual values; all fields may be changed before the session begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// This end.
    pub role: Role,
    /// Random at each start of the daemon.
    pub boot_id: u64,
    /// Source address of what is sent.
    pub mac: Mac,
    /// Which node; also the LLDP chassis id.
    pub node_uuid: Uuid,
    /// The node's name; also the LLDP system name.
    pub node_name: Name,
    /// The port's name; the LLDP port id.
    pub port_name: String,
    /// The port in words.
    pub port_description: String,
    /// What this end has room for.
    pub limits: Limits,
    /// Requests outstanding, each way; at most [`MAX_WINDOW`].
    pub window: u16,
    /// Milliseconds between HELLOs.
    pub interval_ms: u16,
    /// Octets this end takes in one frame.
    pub max_frame: u32,
    /// What this end can do. Without [`Flags::CONTROL`] there is discovery only.
    pub flags: Flags,
    /// EtherType of control PDUs.
    pub ethertype: u16,
    /// OUI of the NIV TLV.
    pub oui: [u8; 3],
    /// Requests that may wait for their turn.
    pub queue: usize,
}

impl Config {
    /// The usual values around what has none.
    #[must_use]
    pub fn new(
        role: Role,
        boot_id: u64,
        mac: Mac,
        (node_uuid, node_name): (Uuid, Name),
        port_name: &str,
    ) -> Self {
        Self {
            role,
            boot_id,
            mac,
            node_uuid,
            node_name,
            port_name: port_name.to_owned(),
            port_description: format!("NIV link, {role} end"),
            limits: Limits { vifs: 4094, lists: 4095, max_pdu: MAX_PDU as u16 },
            window: 16,
            interval_ms: 1000,
            max_frame: 9216,
            flags: Flags::CONTROL,
            ethertype: TYPE_VIF_CONTROL,
            oui: NIV_OUI,
            queue: 16_384,
        }
    }

    /// Values out of range are taken to its ends.
    pub(super) fn bounded(mut self) -> Self {
        self.window = self.window.clamp(1, MAX_WINDOW);
        self.interval_ms = self.interval_ms.max(Hello::MIN_INTERVAL_MS);
        self.limits.max_pdu = self.limits.max_pdu.max(Limits::MIN_PDU);
        self
    }

    pub(super) fn interval(&self) -> u64 {
        u64::from(self.interval_ms) * super::MS
    }

    pub(super) fn hello(&self) -> Hello {
        Hello {
            role: self.role,
            boot_id: self.boot_id,
            limits: self.limits,
            window: self.window,
            interval_ms: self.interval_ms,
            max_frame: self.max_frame,
            flags: self.flags,
            node_uuid: self.node_uuid,
            node_name: self.node_name.clone(),
        }
    }

    /// Our data unit; `ttl` 0 says that we are leaving.
    pub(super) fn lldp(&self, ttl: u16) -> Lldp {
        let capability = match self.role {
            Role::Iv => Capabilities::STATION,
            Role::Vis => Capabilities::BRIDGE,
        };
        let bare =
            Lldp::new(Id::local(&self.node_uuid.to_string()), Id::interface_name(&self.port_name), ttl);
        if ttl == 0 {
            return bare;
        }
        Lldp {
            port_description: Some(self.port_description.clone()),
            system_name: Some(self.node_name.as_str().to_owned()),
            capabilities: Some(Capabilities { supported: capability, enabled: capability }),
            niv: Some(Ok(NivTlv {
                role: self.role,
                boot_id: self.boot_id,
                vifs: self.limits.vifs,
                lists: self.limits.lists,
                flags: self.flags,
            })),
            ..bare
        }
    }
}
