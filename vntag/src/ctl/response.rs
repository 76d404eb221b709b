//! Responses with legal contents.

use super::fields::Fields;
use super::request::{vif, vifs};
use super::{Cause, Counters, Header, Opcode, Pdu, Status, TlvType, VifParams, Vifs, Writer, Wrong};
use crate::legal::VifId;

/// Something was done (status OK): it is in effect in every worker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Response {
    /// The vNIC has a VIF.
    VifCreate {
        /// Its VIF.
        vif: VifId,
        /// The number of the vEth it is bound to.
        veth: u32,
        /// How it treats its traffic.
        params: VifParams,
    },
    /// The VIF is active.
    VifEnable {
        /// How it treats its traffic.
        params: VifParams,
    },
    /// The VIF is in standby.
    VifDisable,
    /// There is no such VIF any more.
    VifDelete,
    /// State and parameters are set.
    VifSet,
    /// The list is set.
    ListSet,
    /// The list is changed.
    ListMod,
    /// Members of a list.
    ListGet {
        /// The list's.
        generation: u32,
        /// The first of those asked for, in rising order.
        members: Vifs,
        /// There are others after them.
        more: bool,
    },
    /// Counters of a VIF.
    StatsGet {
        /// They.
        counters: Counters,
    },
    /// Link state taken note of.
    LinkState,
    /// Event taken note of.
    Event,
    /// Announcement taken note of.
    Announce,
}

/// Something was not done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Why, by its class; not OK.
    pub status: Status,
    /// Why, in more words. Left out by ends that have nothing to add.
    pub cause: Option<Cause>,
}

impl Refusal {
    /// Without further words.
    #[must_use]
    pub const fn of(status: Status) -> Self {
        Self { status, cause: None }
    }

    /// With words for people.
    #[must_use]
    pub fn with_cause(status: Status, code: u16, text: &str) -> Self {
        Self { status, cause: Some(Cause::new(code, text)) }
    }

    pub(super) fn parse(pdu: &Pdu<'_>) -> Result<(Self, usize), Wrong> {
        let fields = Fields::of(pdu, &[TlvType::CAUSE])?;
        let cause = fields.optional(TlvType::CAUSE).map(Cause::parse).transpose()?;
        Ok((Self { status: pdu.header.status, cause }, fields.skipped))
    }

    /// The PDU that says so. OK, which is no refusal, becomes ERROR.
    #[must_use]
    pub fn emit(&self, opcode: Opcode, session: u32, seq: u16) -> Vec<u8> {
        let status = if self.status == Status::OK { Status::ERROR } else { self.status };
        let mut writer = Writer::new(&Header::response(opcode, session, seq, status));
        if let Some(cause) = &self.cause {
            writer.tlv(TlvType::CAUSE, &cause.octets());
        }
        writer.finish()
    }
}

impl Response {
    /// Which operation.
    #[must_use]
    pub const fn opcode(&self) -> Opcode {
        match self {
            Self::VifCreate { .. } => Opcode::VIF_CREATE,
            Self::VifEnable { .. } => Opcode::VIF_ENABLE,
            Self::VifDisable => Opcode::VIF_DISABLE,
            Self::VifDelete => Opcode::VIF_DELETE,
            Self::VifSet => Opcode::VIF_SET,
            Self::ListSet => Opcode::LIST_SET,
            Self::ListMod => Opcode::LIST_MOD,
            Self::ListGet { .. } => Opcode::LIST_GET,
            Self::StatsGet { .. } => Opcode::STATS_GET,
            Self::LinkState => Opcode::LINK_STATE,
            Self::Event => Opcode::EVENT,
            Self::Announce => Opcode::ANNOUNCE,
        }
    }

    pub(super) fn parse(pdu: &Pdu<'_>) -> Result<(Self, usize), Wrong> {
        let opcode = pdu.header.opcode;
        let expected: &[TlvType] = match opcode {
            Opcode::VIF_CREATE => &[TlvType::VIF, TlvType::VETH, TlvType::VIF_PARAMS],
            Opcode::VIF_ENABLE => &[TlvType::VIF_PARAMS],
            Opcode::LIST_GET => &[TlvType::GENERATION, TlvType::VIF_VECTOR, TlvType::MORE],
            Opcode::STATS_GET => &[TlvType::COUNTERS],
            _ => &[],
        };
        let fields = Fields::of(pdu, expected)?;
        let params = || VifParams::parse(fields.bytes(TlvType::VIF_PARAMS)?);
        let response = match opcode {
            Opcode::VIF_CREATE => {
                Self::VifCreate { vif: vif(&fields)?, veth: fields.u32(TlvType::VETH)?, params: params()? }
            }
            Opcode::VIF_ENABLE => Self::VifEnable { params: params()? },
            Opcode::VIF_DISABLE => Self::VifDisable,
            Opcode::VIF_DELETE => Self::VifDelete,
            Opcode::VIF_SET => Self::VifSet,
            Opcode::LIST_SET => Self::ListSet,
            Opcode::LIST_MOD => Self::ListMod,
            Opcode::LIST_GET => Self::ListGet {
                generation: fields.u32(TlvType::GENERATION)?,
                members: vifs(&fields, TlvType::VIF_VECTOR)?,
                more: match fields.optional(TlvType::MORE) {
                    None => false,
                    Some(_) => fields.u8(TlvType::MORE)? != 0,
                },
            },
            Opcode::STATS_GET => {
                Self::StatsGet { counters: Counters::parse(fields.bytes(TlvType::COUNTERS)?)? }
            }
            Opcode::LINK_STATE => Self::LinkState,
            Opcode::EVENT => Self::Event,
            Opcode::ANNOUNCE => Self::Announce,
            other => return Err(Wrong::Opcode(other)),
        };
        Ok((response, fields.skipped))
    }

    /// The PDU.
    #[must_use]
    pub fn emit(&self, session: u32, seq: u16) -> Vec<u8> {
        let mut writer = Writer::new(&Header::response(self.opcode(), session, seq, Status::OK));
        match self {
            Self::VifCreate { vif, veth, params } => {
                writer
                    .tlv(TlvType::VIF, &vif.get().to_be_bytes())
                    .tlv(TlvType::VETH, &veth.to_be_bytes())
                    .tlv(TlvType::VIF_PARAMS, &params.octets());
            }
            Self::VifEnable { params } => {
                writer.tlv(TlvType::VIF_PARAMS, &params.octets());
            }
            Self::ListGet { generation, members, more } => {
                writer
                    .tlv(TlvType::GENERATION, &generation.to_be_bytes())
                    .tlv(TlvType::VIF_VECTOR, &members.octets());
                if *more {
                    writer.tlv(TlvType::MORE, &[1]);
                }
            }
            Self::StatsGet { counters } => {
                writer.tlv(TlvType::COUNTERS, &counters.octets());
            }
            Self::VifDisable
            | Self::VifDelete
            | Self::VifSet
            | Self::ListSet
            | Self::ListMod
            | Self::LinkState
            | Self::Event
            | Self::Announce => {}
        }
        writer.finish()
    }
}
