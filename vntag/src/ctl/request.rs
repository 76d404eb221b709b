//! Requests with legal contents.

use super::fields::Fields;
use super::{
    Cause, EventCode, Header, InitialState, MAX_VIFS, Opcode, Pdu, Provisioning, Role, TlvType, VifParams,
    VifState, Vifs, Writer, Wrong,
};
use crate::ethernet::Mac;
use crate::legal::{ListId, VifId};

/// What one end asks of the other. Sets of VIFs are never empty, but for the members of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    /// A vNIC wants a VIF.
    VifCreate {
        /// The adapter's number of the vNIC.
        channel: u16,
        /// Who it is, what it wants.
        provisioning: Provisioning,
        /// The state it wants to begin in.
        initial: InitialState,
    },
    /// Standby to active.
    VifEnable {
        /// Which VIF.
        vif: VifId,
    },
    /// Active to standby.
    VifDisable {
        /// Which VIF.
        vif: VifId,
    },
    /// The VIF ends.
    VifDelete {
        /// Which VIF.
        vif: VifId,
    },
    /// State, parameters or both.
    VifSet {
        /// Which VIFs.
        vifs: Vifs,
        /// Their state from now on.
        state: Option<VifState>,
        /// Their parameters from now on.
        params: Option<VifParams>,
        /// Why.
        cause: Option<Cause>,
    },
    /// All members of a list; none deletes it.
    ListSet {
        /// Which list.
        list: ListId,
        /// Of the list after this.
        generation: u32,
        /// Its members.
        members: Vifs,
    },
    /// Members that come and go; together at most [`MAX_VIFS`], no VIF in both.
    ListMod {
        /// Which list.
        list: ListId,
        /// Of the list after this.
        generation: u32,
        /// Members that come.
        add: Vifs,
        /// Members that go.
        del: Vifs,
    },
    /// Reads a list's members, in rising order.
    ListGet {
        /// Which list.
        list: ListId,
        /// Only members over this one: how to go on after a response that has more.
        after: Option<VifId>,
    },
    /// Reads counters.
    StatsGet {
        /// Which VIF.
        vif: VifId,
    },
    /// Link state.
    LinkState {
        /// Which VIFs.
        vifs: Vifs,
        /// Up, or down.
        up: bool,
    },
    /// Something happened at the switch.
    Event {
        /// What.
        code: EventCode,
    },
    /// A guest announced itself after a move.
    Announce {
        /// Its VIF.
        vif: VifId,
        /// Its address: neither zero nor a group.
        mac: Mac,
    },
}

impl Request {
    /// Which operation.
    #[must_use]
    pub const fn opcode(&self) -> Opcode {
        match self {
            Self::VifCreate { .. } => Opcode::VIF_CREATE,
            Self::VifEnable { .. } => Opcode::VIF_ENABLE,
            Self::VifDisable { .. } => Opcode::VIF_DISABLE,
            Self::VifDelete { .. } => Opcode::VIF_DELETE,
            Self::VifSet { .. } => Opcode::VIF_SET,
            Self::ListSet { .. } => Opcode::LIST_SET,
            Self::ListMod { .. } => Opcode::LIST_MOD,
            Self::ListGet { .. } => Opcode::LIST_GET,
            Self::StatsGet { .. } => Opcode::STATS_GET,
            Self::LinkState { .. } => Opcode::LINK_STATE,
            Self::Event { .. } => Opcode::EVENT,
            Self::Announce { .. } => Opcode::ANNOUNCE,
        }
    }

    /// What is not allowed in it, as its reader would say.
    pub fn check(&self) -> Result<(), Wrong> {
        let wrong = |kind, why| Err(Wrong::Value { kind, why });
        match self {
            Self::VifSet { vifs, .. } | Self::LinkState { vifs, .. } if vifs.is_empty() => {
                wrong(TlvType::VIF_VECTOR, "no VIF")
            }
            Self::VifSet { state: None, params: None, .. } => Err(Wrong::Missing(TlvType::STATE)),
            Self::VifSet { params: Some(params), .. } => params.check(),
            Self::ListMod { add, del, .. } if add.len() + del.len() > MAX_VIFS => {
                wrong(TlvType::DEL, "more than 512 VIFs together with ADD")
            }
            Self::ListMod { add, del, .. } if add.iter().any(|id| del.contains(id)) => {
                wrong(TlvType::DEL, "a VIF that is in ADD too")
            }
            Self::Announce { mac, .. } if mac.is_group() || mac.is_zero() => {
                wrong(TlvType::MAC, "zero or a group address")
            }
            _ => Ok(()),
        }
    }

    pub(super) fn parse(pdu: &Pdu<'_>) -> Result<(Self, usize), Wrong> {
        let opcode = pdu.header.opcode;
        let expected = expected(opcode).ok_or(Wrong::Opcode(opcode))?;
        let fields = Fields::of(pdu, expected)?;
        let request = match opcode {
            Opcode::VIF_CREATE => Self::VifCreate {
                channel: fields.u16(TlvType::CHANNEL)?,
                provisioning: provisioning(&fields)?,
                initial: InitialState::parse(TlvType::INITIAL_STATE, fields.u8(TlvType::INITIAL_STATE)?)?,
            },
            Opcode::VIF_ENABLE => Self::VifEnable { vif: vif(&fields)? },
            Opcode::VIF_DISABLE => Self::VifDisable { vif: vif(&fields)? },
            Opcode::VIF_DELETE => Self::VifDelete { vif: vif(&fields)? },
            Opcode::VIF_SET => Self::VifSet {
                vifs: vifs(&fields, TlvType::VIF_VECTOR)?,
                state: match fields.optional(TlvType::STATE) {
                    None => None,
                    Some(_) => Some(VifState::parse(TlvType::STATE, fields.u8(TlvType::STATE)?)?),
                },
                params: fields.optional(TlvType::VIF_PARAMS).map(VifParams::parse).transpose()?,
                cause: fields.optional(TlvType::CAUSE).map(Cause::parse).transpose()?,
            },
            Opcode::LIST_SET => Self::ListSet {
                list: list(&fields)?,
                generation: fields.u32(TlvType::GENERATION)?,
                members: vifs(&fields, TlvType::VIF_VECTOR)?,
            },
            Opcode::LIST_MOD => Self::ListMod {
                list: list(&fields)?,
                generation: fields.u32(TlvType::GENERATION)?,
                add: Vifs::parse(TlvType::ADD, fields.optional(TlvType::ADD).unwrap_or_default())?,
                del: Vifs::parse(TlvType::DEL, fields.optional(TlvType::DEL).unwrap_or_default())?,
            },
            Opcode::LIST_GET => Self::ListGet {
                list: list(&fields)?,
                after: match fields.optional(TlvType::VIF) {
                    None => None,
                    Some(_) => Some(vif(&fields)?),
                },
            },
            Opcode::STATS_GET => Self::StatsGet { vif: vif(&fields)? },
            Opcode::LINK_STATE => {
                Self::LinkState { vifs: vifs(&fields, TlvType::VIF_VECTOR)?, up: fields.bool(TlvType::UP)? }
            }
            Opcode::EVENT => Self::Event { code: EventCode(fields.u16(TlvType::EVENT_CODE)?) },
            Opcode::ANNOUNCE => Self::Announce { vif: vif(&fields)?, mac: Mac(fields.array(TlvType::MAC)?) },
            other => return Err(Wrong::Opcode(other)),
        };
        request.check().map(|()| (request, fields.skipped))
    }

    /// The PDU.
    #[must_use]
    pub fn emit(&self, session: u32, seq: u16) -> Vec<u8> {
        let mut writer = Writer::new(&Header::request(self.opcode(), session, seq));
        match self {
            Self::VifCreate { channel, provisioning, initial } => {
                writer
                    .tlv(TlvType::CHANNEL, &channel.to_be_bytes())
                    .tlv(TlvType::PROVISIONING, provisioning.as_bytes())
                    .tlv(TlvType::INITIAL_STATE, &[initial.get()]);
            }
            Self::VifEnable { vif }
            | Self::VifDisable { vif }
            | Self::VifDelete { vif }
            | Self::StatsGet { vif } => {
                writer.tlv(TlvType::VIF, &vif.get().to_be_bytes());
            }
            Self::VifSet { vifs, state, params, cause } => {
                writer.tlv(TlvType::VIF_VECTOR, &vifs.octets());
                if let Some(state) = state {
                    writer.tlv(TlvType::STATE, &[state.get()]);
                }
                if let Some(params) = params {
                    writer.tlv(TlvType::VIF_PARAMS, &params.octets());
                }
                if let Some(cause) = cause {
                    writer.tlv(TlvType::CAUSE, &cause.octets());
                }
            }
            Self::ListSet { list, generation, members } => {
                writer
                    .tlv(TlvType::LIST, &list.get().to_be_bytes())
                    .tlv(TlvType::GENERATION, &generation.to_be_bytes())
                    .tlv(TlvType::VIF_VECTOR, &members.octets());
            }
            Self::ListMod { list, generation, add, del } => {
                writer
                    .tlv(TlvType::LIST, &list.get().to_be_bytes())
                    .tlv(TlvType::GENERATION, &generation.to_be_bytes())
                    .tlv(TlvType::ADD, &add.octets())
                    .tlv(TlvType::DEL, &del.octets());
            }
            Self::ListGet { list, after } => {
                writer.tlv(TlvType::LIST, &list.get().to_be_bytes());
                if let Some(after) = after {
                    writer.tlv(TlvType::VIF, &after.get().to_be_bytes());
                }
            }
            Self::LinkState { vifs, up } => {
                writer.tlv(TlvType::VIF_VECTOR, &vifs.octets()).tlv(TlvType::UP, &[u8::from(*up)]);
            }
            Self::Event { code } => {
                writer.tlv(TlvType::EVENT_CODE, &code.0.to_be_bytes());
            }
            Self::Announce { vif, mac } => {
                writer.tlv(TlvType::VIF, &vif.get().to_be_bytes()).tlv(TlvType::MAC, &mac.0);
            }
        }
        writer.finish()
    }
}

impl Opcode {
    /// Which end sends this request; `None` where both may, or nobody.
    #[must_use]
    pub const fn sender(self) -> Option<Role> {
        match self {
            Self::VIF_CREATE | Self::VIF_ENABLE | Self::VIF_DISABLE | Self::ANNOUNCE => Some(Role::Iv),
            Self::VIF_SET
            | Self::LIST_SET
            | Self::LIST_MOD
            | Self::LIST_GET
            | Self::STATS_GET
            | Self::EVENT => Some(Role::Vis),
            _ => None,
        }
    }
}

/// The TLVs of a request.
const fn expected(opcode: Opcode) -> Option<&'static [TlvType]> {
    type T = TlvType;
    Some(match opcode {
        Opcode::VIF_CREATE => &[T::CHANNEL, T::PROVISIONING, T::INITIAL_STATE],
        Opcode::VIF_ENABLE | Opcode::VIF_DISABLE | Opcode::VIF_DELETE | Opcode::STATS_GET => &[T::VIF],
        Opcode::VIF_SET => &[T::VIF_VECTOR, T::STATE, T::VIF_PARAMS, T::CAUSE],
        Opcode::LIST_SET => &[T::LIST, T::GENERATION, T::VIF_VECTOR],
        Opcode::LIST_MOD => &[T::LIST, T::GENERATION, T::ADD, T::DEL],
        Opcode::LIST_GET => &[T::LIST, T::VIF],
        Opcode::LINK_STATE => &[T::VIF_VECTOR, T::UP],
        Opcode::EVENT => &[T::EVENT_CODE],
        Opcode::ANNOUNCE => &[T::VIF, T::MAC],
        _ => return None,
    })
}

/// The VIF in a PDU.
pub(super) fn vif(fields: &Fields<'_>) -> Result<VifId, Wrong> {
    let kind = TlvType::VIF;
    VifId::new(fields.u16(kind)?).ok_or(Wrong::Value { kind, why: "0 or over 4094" })
}

/// A set of VIFs in a PDU.
pub(super) fn vifs(fields: &Fields<'_>, kind: TlvType) -> Result<Vifs, Wrong> {
    Vifs::parse(kind, fields.bytes(kind)?)
}

fn list(fields: &Fields<'_>) -> Result<ListId, Wrong> {
    let kind = TlvType::LIST;
    ListId::new(fields.u16(kind)?).ok_or(Wrong::Value { kind, why: "0 or over 16383" })
}

fn provisioning(fields: &Fields<'_>) -> Result<Provisioning, Wrong> {
    let kind = TlvType::PROVISIONING;
    Provisioning::parse(fields.bytes(kind)?).map_err(|fault| Wrong::Value { kind, why: fault.text() })
}
