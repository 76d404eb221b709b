//! What can be asked of the firmware.

use vntag::ctl::session::Session;
use vntag::ctl::{Status, VifParams};
use vntag::{ListId, VifId};

use super::{Firmware, LinkId, VnicId};
use crate::config::VnicConfig;
use crate::fault::FaultPlan;
use crate::life::Phase;
use crate::output::CarrierCause;

/// What the firmware counts beside its sessions.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct FirmwareCounters {
    /// Requests that the switch refused, or the fault plan.
    pub fw_refused: u64,
    /// Faults of the plan applied to requests of the switch.
    pub fw_faults: u64,
    /// Answers that came when the session that had asked was over.
    pub fw_answers_unwanted: u64,
    /// Frames not taken because nobody fetched the outputs.
    pub fw_outputs_full: u64,
    /// Times the switch was lost for longer than the hold time.
    pub fw_hold_expired: u64,
}

impl FirmwareCounters {
    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("fw_refused", self.fw_refused),
            ("fw_faults", self.fw_faults),
            ("fw_answers_unwanted", self.fw_answers_unwanted),
            ("fw_outputs_full", self.fw_outputs_full),
            ("fw_hold_expired", self.fw_hold_expired),
        ]
        .into_iter()
    }
}

/// A VIF, as it is shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VifStatus {
    /// On this link.
    pub link: LinkId,
    /// Where it stands.
    pub phase: Phase,
    /// Since when.
    pub since: u64,
    /// Its id, and the number of the vEth, once they are known.
    pub vif: Option<(VifId, u32)>,
    /// How the switch wants its traffic treated, once that is known.
    pub params: Option<VifParams>,
    /// Why it is not as wanted: the status of the refusal, and words.
    pub cause: Option<(Status, String)>,
    /// Creates refused in a row.
    pub tries: u32,
}

/// A vNIC, as it is shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VnicStatus {
    /// What it was told.
    pub config: VnicConfig,
    /// The guest's rings are enabled.
    pub rings: bool,
    /// Why the carrier is down; `None` when it is up.
    pub down: Option<CarrierCause>,
    /// Since when the carrier is as it is.
    pub carrier_since: u64,
    /// Its VIFs, the preferred one first.
    pub vifs: Vec<VifStatus>,
}

impl Firmware {
    /// A vNIC.
    #[must_use]
    pub fn vnic(&self, id: VnicId) -> Option<VnicStatus> {
        let vnic = self.vnics.get(&id)?;
        let vifs = self.keys_of(id).into_iter().filter_map(|key| {
            let vif = self.vifs.get(&key)?;
            Some(VifStatus {
                link: key.1,
                phase: vif.phase,
                since: vif.since,
                vif: vif.granted.map(|granted| (granted.vif, granted.veth)),
                params: vif.granted.map(|granted| granted.params),
                cause: vif.cause.clone(),
                tries: vif.tries,
            })
        });
        Some(VnicStatus {
            config: vnic.config.clone(),
            rings: vnic.rings,
            down: vnic.carrier.down.clone(),
            carrier_since: vnic.carrier.since,
            vifs: vifs.collect(),
        })
    }

    /// Whether there is this vNIC.
    #[must_use]
    pub fn has_vnic(&self, id: VnicId) -> bool {
        self.vnics.contains_key(&id)
    }

    /// All vNICs, rising.
    pub fn vnics(&self) -> impl Iterator<Item = VnicId> {
        self.vnics.keys().copied()
    }

    /// The session of a link: state, neighbours, peer, counters.
    #[must_use]
    pub fn session(&self, link: LinkId) -> Option<&Session> {
        self.links.get(usize::from(link.0)).map(|link| &link.session)
    }

    /// A list: its generation and members.
    #[must_use]
    pub fn list(&self, link: LinkId, list: ListId) -> Option<(u32, Vec<VifId>)> {
        self.links.get(usize::from(link.0))?.lists.get(list)
    }

    /// The lists of a link, rising: ids, generations, members.
    pub fn lists(&self, link: LinkId) -> impl Iterator<Item = (ListId, u32, Vec<VifId>)> {
        self.links.get(usize::from(link.0)).into_iter().flat_map(|link| link.lists.iter())
    }

    /// The fault plan at work.
    #[must_use]
    pub const fn faults(&self) -> &FaultPlan {
        self.faults.plan()
    }

    /// What was counted.
    #[must_use]
    pub const fn counters(&self) -> &FirmwareCounters {
        &self.counters
    }

    /// How many things the firmware keeps in mind, of all kinds: what tests hold against a bound.
    #[must_use]
    pub fn footprint(&self) -> usize {
        self.vnics.len()
            + self.vifs.len()
            + self.owners.len()
            + self.channels.len()
            + self.asked.len()
            + self.deferred.len()
            + self.unconfirmed.len()
            + self.barriers.len()
            + self.late.len()
            + self.timers.len()
            + self.outputs.len()
            + self.links.iter().map(|link| link.lists.len()).sum::<usize>()
    }
}
