//! A VIF, and what is known of its adapter's view of it.

use super::life::Standing;
use super::record::Identity;
use crate::config::running::ProfileName;
use vntag::VifId;
use vntag::ctl::session::{RequestId, Token};
use vntag::ctl::{InitialState, Opcode, Provisioning, VifParams, VifState};
use vntag::ethernet::Mac;
use vntag::uuid::Uuid;

/// A VIF: index of the port, id there.
pub(super) type VifKey = (usize, VifId);

/// The most characters of a name that an adapter gives, for people.
const MAX_NAME: usize = 63;

/// Who asks for a VIF, and what it wants: the contents of a provisioning blob.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Claimant {
    pub(super) identity: Identity,
    /// The adapter's number of the vNIC.
    pub(super) channel: u16,
    /// Node of the adapter.
    pub(super) node: Uuid,
    pub(super) profile: Option<ProfileName>,
    pub(super) vnic: Option<String>,
    pub(super) vm: Option<String>,
    pub(super) host: Option<Uuid>,
    pub(super) incarnation: Option<u64>,
}

impl Claimant {
    /// Reads who asks; why this is nobody, otherwise.
    pub(super) fn read(channel: u16, node: Uuid, blob: &Provisioning) -> Result<Self, &'static str> {
        let uuid = blob.client_uuid().ok_or("no instance UUID in the request")?;
        let mac: Mac = blob.mac().ok_or("no MAC address in the request")?;
        if mac.is_group() || mac.is_zero() {
            return Err("the MAC address in the request cannot be a vNIC's");
        }
        Ok(Self {
            identity: Identity { uuid, mac },
            channel,
            node,
            profile: blob.profile().and_then(ProfileName::new),
            vnic: blob.port_name().map(shown),
            vm: blob.client_name().map(shown),
            host: blob.host_uuid(),
            incarnation: blob.incarnation(),
        })
    }

    /// Whether both are the same vNIC of the same adapter, perhaps on different links.
    pub(super) fn is_vnic(&self, other: &Self) -> bool {
        self.node == other.node && self.channel == other.channel
    }

    /// Whether this one goes before `holder`: it came later, or it is the other VIF of the same vNIC (`backup`), whose
    /// adapter knows best which of its links it wants.
    pub(super) fn supersedes(&self, port: usize, holder: &Self, holder_port: usize) -> bool {
        self.incarnation > holder.incarnation || (self.is_vnic(holder) && port != holder_port)
    }
}

/// A name for people: no control characters, not endless.
pub(super) fn shown(name: &str) -> String {
    name.chars()
        .take(MAX_NAME)
        .map(|letter| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter })
        .collect()
}

/// What a request to the adapter about VIFs was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Telling {
    pub(super) state: Option<VifState>,
    pub(super) params: Option<VifParams>,
    pub(super) uplink: Option<bool>,
    /// A request of the adapter's about the same VIF was answered meanwhile. Nobody knows which of both it heeded last.
    pub(super) crossed: bool,
}

/// A VIF.
#[derive(Debug)]
pub(super) struct Vif {
    pub(super) claimant: Claimant,
    /// The vEth it belongs to; none while it is being taken back.
    pub(super) veth: Option<u32>,
    pub(super) standing: Standing,
    pub(super) since: u64,
    /// The state that the adapter last asked for.
    pub(super) wish: InitialState,
    /// The create or enable that waits for a claim to be decided.
    pub(super) claim: Option<(RequestId, Opcode)>,
    /// A refused claim was told in the log.
    pub(super) claim_told: bool,
    /// The create or enable that is answered, but whose answer was not sent yet. Until then the adapter does not know the VIF,
    /// or would take the answer for what was said last.
    pub(super) granting: Option<RequestId>,
    /// When its create was answered, as long as the adapter has not shown that it has heard the answer: it may have given us up
    /// before that came, without our noticing.
    pub(super) unproven: Option<u64>,
    /// The adapter's state as far as we know; `None` where a loss hid what became of a request.
    pub(super) state: Option<VifState>,
    /// Likewise its parameters.
    pub(super) params: Option<VifParams>,
    /// Likewise what it thinks of the network behind us.
    pub(super) uplink: Option<bool>,
    /// The request about it that is on its way, and what the adapter will know when it is answered.
    pub(super) asking: Option<(Token, Telling)>,
    /// The adapter's session in which it was last heard of: [`Link::epoch`](super::link::Link::epoch).
    pub(super) heard: u64,
}

impl Vif {
    /// One that is about to get its first standing.
    pub(super) fn new(now: u64, veth: u32, claimant: Claimant, heard: u64) -> Self {
        Self {
            claimant,
            veth: Some(veth),
            standing: Standing::Standby,
            since: now,
            wish: InitialState::Standby,
            claim: None,
            claim_told: false,
            granting: None,
            unproven: None,
            state: None,
            params: None,
            uplink: None,
            asking: None,
            heard,
        }
    }

    /// The adapter begins anew with it, in this state.
    pub(super) fn begins(&mut self, state: VifState) {
        self.state = Some(state);
        self.cross();
    }

    /// The answer to a request of the adapter's says that it is in this state. What the adapter was told before may be news to
    /// it when it made the request: one that is disabled stays so until it is told otherwise.
    pub(super) fn becomes(&mut self, state: VifState) {
        let open = |state: &VifState| matches!(state, VifState::Standby | VifState::Active);
        self.state = self.state.filter(open).map(|_| state);
        self.cross();
    }

    fn cross(&mut self) {
        if let Some((_, telling)) = &mut self.asking {
            telling.crossed = true;
        }
    }

    /// A request about it was answered. Where that does not say what the adapter knows now, it is told again.
    pub(super) fn told(&mut self, telling: Telling, done: bool) {
        let known = done && !telling.crossed;
        if telling.state.is_some() {
            self.state = telling.state.filter(|_| known);
        }
        if telling.params.is_some() {
            self.params = telling.params.filter(|_| known);
        }
        if telling.uplink.is_some() {
            self.uplink = telling.uplink.filter(|_| known);
        }
    }
}
