//! The table of neighbours: everybody who speaks LLDP on the port.

use super::event::NotPeer;
use super::{Config, SECOND};
use crate::ctl::Flags;
use crate::ethernet::Mac;
use crate::lldp::{Id, Lldp, NivTlv};

/// Neighbours kept on one port.
pub const MAX_NEIGHBORS: usize = 16;

/// What a neighbour is to us.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Standing {
    /// The NIV peer of the port, or the one we greet.
    Peer,
    /// Listed only, and why.
    Other(NotPeer),
}

/// A neighbour.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Neighbor {
    /// What it says about itself.
    pub lldp: Lldp,
    /// Its address on the link.
    pub mac: Mac,
    /// When it was first heard.
    pub since: u64,
    /// When its information expires.
    pub expires: u64,
    /// What it is to us.
    pub standing: Standing,
}

impl Neighbor {
    /// The name to show: the system's, or the chassis id.
    #[must_use]
    pub fn name(&self) -> String {
        self.lldp.system_name.clone().unwrap_or_else(|| self.lldp.chassis_id.to_string())
    }

    /// The NIV TLV of one who can be our peer; why not, otherwise.
    pub(super) fn candidate(&self, own: &Config) -> Result<NivTlv, NotPeer> {
        let niv = self.lldp.niv.ok_or(NotPeer::NoNiv)?.map_err(NotPeer::Unsupported)?;
        if niv.role != own.role.peer() {
            Err(NotPeer::SameRole)
        } else if !niv.flags.common(own.flags).contains(Flags::CONTROL) {
            Err(NotPeer::NoControl)
        } else {
            Ok(niv)
        }
    }

    /// Chassis and port, by which 802.1AB tells neighbours apart.
    pub(super) fn key(&self) -> Key {
        (self.lldp.chassis_id.clone(), self.lldp.port_id.clone())
    }
}

/// Chassis id and port id.
pub(super) type Key = (Id, Id);

/// The neighbours, in the order in which they came.
#[derive(Clone, Default, Debug)]
pub(super) struct Neighbors(Vec<Neighbor>);

impl Neighbors {
    pub(super) fn as_slice(&self) -> &[Neighbor] {
        &self.0
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Neighbor> {
        self.0.iter_mut()
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Neighbor> {
        self.0.iter().find(|neighbor| neighbor.key() == *key)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Takes note of a data unit with a TTL; says whether its sender is new, `None` if there is no room.
    pub(super) fn update(&mut self, now: u64, mac: Mac, lldp: Lldp) -> Option<bool> {
        let expires = now.saturating_add(u64::from(lldp.ttl) * SECOND);
        let key = (lldp.chassis_id.clone(), lldp.port_id.clone());
        if let Some(known) = self.0.iter_mut().find(|neighbor| neighbor.key() == key) {
            (known.lldp, known.mac, known.expires) = (lldp, mac, expires);
            return Some(false);
        }
        if self.0.len() >= MAX_NEIGHBORS {
            return None;
        }
        self.0.push(Neighbor { lldp, mac, since: now, expires, standing: Standing::Other(NotPeer::NoNiv) });
        Some(true)
    }

    pub(super) fn remove(&mut self, key: &Key) {
        self.0.retain(|neighbor| neighbor.key() != *key);
    }

    /// Drops those whose information is no longer true.
    pub(super) fn expire(&mut self, now: u64) {
        self.0.retain(|neighbor| neighbor.expires > now);
    }

    pub(super) fn next_expiry(&self) -> Option<u64> {
        self.0.iter().map(|neighbor| neighbor.expires).min()
    }
}
