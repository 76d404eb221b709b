//! What the adapter has: its links and vNICs with their monitors and counters, as the admin commands see them.

use crate::engine::{LinkStats, Stats, VifParams, VnicStats};
use link::Monitor;
use std::path::PathBuf;
use std::sync::Arc;
use vntag::VifId;
use vntag::ethernet::Mac;

/// Everything there is to show.
pub struct Inventory {
    /// Name of this adapter.
    pub name: String,
    /// The links, in the order of the configuration.
    pub links: Vec<LinkEntry>,
    /// The vNICs, in the order of the configuration.
    pub vnics: Vec<VnicEntry>,
    /// The sums of all counters.
    pub stats: Arc<Stats>,
}

/// One link.
pub struct LinkEntry {
    /// Its name.
    pub name: String,
    /// Its device, as written.
    pub device: String,
    /// State and counters of the device.
    pub monitor: Arc<dyn Monitor>,
    /// Its counters.
    pub stats: Arc<LinkStats>,
    /// Lists on this link: id and members.
    pub lists: Vec<(u16, Vec<u16>)>,
}

/// One vNIC.
pub struct VnicEntry {
    /// Its name.
    pub name: String,
    /// Its device, as written.
    pub device: String,
    /// The socket a guest connects to, where the device is vhost-user; and whether we connect instead.
    pub socket: Option<(PathBuf, bool)>,
    /// State and counters of the device.
    pub monitor: Arc<dyn Monitor>,
    /// Its counters.
    pub stats: Arc<VnicStats>,
    /// Index of its link.
    pub link: usize,
    /// Its VIF on that link.
    pub vif: VifId,
    /// The parameters of the VIF.
    pub params: VifParams,
    /// The address the guest should use.
    pub mac: Option<Mac>,
    /// The port profile it asks for.
    pub profile: Option<String>,
    /// The virtual machine it belongs to.
    pub vm: Option<String>,
    /// Queue pairs.
    pub queues: u16,
}
