//! What the adapter knows of its VIFs: parameters, the table from VIF to vNIC, and the lists.

use vntag::{ListId, VifId, VlanTag};

/// How a VIF treats 802.1Q tags toward its host (the values are those of the VIF_PARAMS TLV).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VlanMode {
    /// The default VLAN is stripped, other VLANs are delivered tagged.
    Trunk = 0,
    /// The default VLAN is stripped, other VLANs are dropped.
    #[default]
    Access = 1,
    /// Everything is delivered tagged.
    NativeTagged = 2,
}

/// The parameters of one VIF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VifParams {
    /// Treatment of 802.1Q tags toward the host.
    pub vlan_mode: VlanMode,
    /// The VLAN that is stripped toward the host.
    pub default_vlan: u16,
    /// Priority of frames that the host sends without a tag, 0 to 7.
    pub default_cos: u8,
    /// Bit n: frames of priority n may be sent.
    pub allowed_priorities: u8,
    /// Largest payload behind the Ethernet header, in octets.
    pub mtu: u16,
}

impl Default for VifParams {
    fn default() -> Self {
        Self {
            vlan_mode: VlanMode::Access,
            default_vlan: 1,
            default_cos: 0,
            allowed_priorities: 0xff,
            mtu: 1500,
        }
    }
}

/// What becomes of a frame's 802.1Q tag on its way to the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostTag {
    /// Delivered as it came.
    Keep,
    /// Taken off.
    Strip,
    /// Not this VIF's VLAN: the frame is dropped (I24).
    Refuse,
}

impl VifParams {
    /// Judges the 802.1Q tag of a downward frame for this VIF. A foreign peer may leave the tag out.
    #[must_use]
    pub fn host_tag(&self, tag: Option<VlanTag>) -> HostTag {
        let Some(tag) = tag else { return HostTag::Keep };
        match (self.vlan_mode, tag.vid()) {
            (VlanMode::NativeTagged, _) => HostTag::Keep,
            (_, vid) if vid == 0 || vid == self.default_vlan => HostTag::Strip,
            (VlanMode::Trunk, _) => HostTag::Keep,
            (VlanMode::Access, _) => HostTag::Refuse,
        }
    }
}

/// Slot of a vNIC in the worker's table.
pub type VnicSlot = u32;

/// Whether a VIF passes frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VifState {
    /// Assigned, but nothing passes (C12).
    Standby,
    /// Frames pass while the guest's rings are enabled.
    Active,
}

/// What stands behind a VIF id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VifEntry {
    /// The vNIC.
    pub vnic: VnicSlot,
    /// Whether frames pass.
    pub state: VifState,
}

/// From VIF to vNIC, for one link.
#[derive(Clone, Debug)]
pub struct VifTable(Box<[Option<VifEntry>; 4096]>);

impl Default for VifTable {
    fn default() -> Self {
        Self(Box::new([None; 4096]))
    }
}

impl VifTable {
    /// Assigns a VIF, or takes it away.
    pub fn set(&mut self, vif: VifId, entry: Option<VifEntry>) {
        self.0[usize::from(vif.get())] = entry;
    }

    /// A VIF, if it is assigned, passes nothing any more.
    pub fn stand_by(&mut self, vif: u32) {
        if let Some(Some(entry)) = self.0.get_mut(vif as usize) {
            entry.state = VifState::Standby;
        }
    }

    /// Takes every VIF of a vNIC away.
    pub fn forget(&mut self, vnic: VnicSlot) {
        self.0
            .iter_mut()
            .filter(|entry| entry.is_some_and(|entry| entry.vnic == vnic))
            .for_each(|entry| *entry = None);
    }

    /// What stands behind a VIF id as it came from the wire.
    #[must_use]
    #[inline]
    pub fn get(&self, vif: u32) -> Option<VifEntry> {
        self.0.get(vif as usize).copied().flatten()
    }
}

/// The VIF lists of one link, by id. Takes no memory until the first list is set.
#[derive(Clone, Debug, Default)]
pub struct Lists(Vec<Option<Box<[VifId]>>>);

impl Lists {
    /// Sets the members of a list, or takes it away. A member that is named twice is in it once: no VIF gets two
    /// copies (F10).
    pub fn set(&mut self, list: ListId, members: Option<Box<[VifId]>>) {
        let members = members.map(|members| {
            let mut members = members.into_vec();
            members.sort_unstable();
            members.dedup();
            members.into_boxed_slice()
        });
        if self.0.is_empty() {
            self.0 = vec![None; usize::from(ListId::MAX) + 1];
        }
        self.0[usize::from(list.get())] = members;
    }

    /// The members of a list id as it came from the wire.
    #[must_use]
    #[inline]
    pub fn get(&self, list: u32) -> Option<&[VifId]> {
        self.0.get(list as usize)?.as_deref()
    }
}
