//! What the mailbox needs of a vNIC.

use vntag::ctl::Provisioning;
use vntag::ethernet::Mac;

use super::{Firmware, VnicId};
use crate::mailbox::{Device, NotifyBlock};

impl Firmware {
    /// The driver wants VIFs with this blob, or with the one there is; or, with `Some(false)`, none.
    pub(crate) fn provision(
        &mut self,
        now: u64,
        id: VnicId,
        blob: Option<Provisioning>,
        wanted: Option<bool>,
    ) {
        if let Some(vnic) = self.vnics.get_mut(&id) {
            vnic.provisioned = wanted.unwrap_or(true);
            if let Some(blob) = blob {
                vnic.provisioning = blob;
            }
            self.refresh(now, id);
        }
        self.turn(now);
    }

    pub(crate) fn vnic_mac(&self, id: VnicId) -> Option<Mac> {
        self.vnics.get(&id).map(|vnic| vnic.config.mac)
    }

    pub(crate) fn device(&mut self, id: VnicId) -> Option<&mut Device> {
        self.vnics.get_mut(&id).map(|vnic| &mut vnic.device)
    }

    pub(crate) fn device_of(&self, id: VnicId) -> Option<&Device> {
        self.vnics.get(&id).map(|vnic| &vnic.device)
    }

    pub(crate) fn notify_contents(&self, id: VnicId) -> Option<NotifyBlock> {
        let carrier = &self.vnics.get(&id)?.carrier;
        let mut vifs = self.keys_of(id).into_iter().filter_map(|key| self.vifs.get(&key)?.granted);
        Some(NotifyBlock {
            link_up: carrier.down.is_none(),
            link_down_count: carrier.downs,
            mtu: vifs.next().map(|granted| granted.params.mtu),
        })
    }
}
