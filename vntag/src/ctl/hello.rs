//! HELLO: who an end is, and that it is there.

use super::fields::Fields;
use super::{Flags, Header, Limits, Name, Opcode, Pdu, Role, Status, TlvType, Writer, Wrong};
use crate::uuid::Uuid;

/// What each end says about itself, every interval, as request and as response alike.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hello {
    /// Its end of the link.
    pub role: Role,
    /// Random at each start.
    pub boot_id: u64,
    /// What it has room for.
    pub limits: Limits,
    /// Requests it takes before it has answered the first; at least 1.
    pub window: u16,
    /// Milliseconds between its HELLOs; at least [`Self::MIN_INTERVAL_MS`].
    pub interval_ms: u16,
    /// Octets it takes in one frame on this link.
    pub max_frame: u32,
    /// What it can do.
    pub flags: Flags,
    /// Which node.
    pub node_uuid: Uuid,
    /// The node's name.
    pub node_name: Name,
}

impl Hello {
    /// The shortest interval. Less would let a peer keep us busy with its absence.
    pub const MIN_INTERVAL_MS: u16 = 10;

    const TLVS: &[TlvType] = &[
        TlvType::ROLE,
        TlvType::BOOT_ID,
        TlvType::LIMITS,
        TlvType::WINDOW,
        TlvType::INTERVAL,
        TlvType::MAX_FRAME,
        TlvType::FLAGS,
        TlvType::NODE_UUID,
        TlvType::NODE_NAME,
    ];

    pub(super) fn parse(pdu: &Pdu<'_>) -> Result<(Self, usize), Wrong> {
        let fields = Fields::of(pdu, Self::TLVS)?;
        let wrong = |kind, why| Wrong::Value { kind, why };
        let name = core::str::from_utf8(fields.bytes(TlvType::NODE_NAME)?).ok().and_then(Name::new);
        let hello = Self {
            role: Role::parse(TlvType::ROLE, fields.u8(TlvType::ROLE)?)?,
            boot_id: fields.u64(TlvType::BOOT_ID)?,
            limits: Limits::parse(fields.array(TlvType::LIMITS)?)?,
            window: fields.u16(TlvType::WINDOW)?,
            interval_ms: fields.u16(TlvType::INTERVAL)?,
            max_frame: fields.u32(TlvType::MAX_FRAME)?,
            flags: Flags(fields.u16(TlvType::FLAGS)?),
            node_uuid: Uuid(fields.array(TlvType::NODE_UUID)?),
            node_name: name.ok_or(wrong(TlvType::NODE_NAME, "not 1 to 63 octets of text"))?,
        };
        if hello.window == 0 {
            return Err(wrong(TlvType::WINDOW, "0"));
        }
        if hello.interval_ms < Self::MIN_INTERVAL_MS {
            return Err(wrong(TlvType::INTERVAL, "under 10 ms"));
        }
        Ok((hello, fields.skipped))
    }

    /// The PDU. HELLO belongs to no session.
    #[must_use]
    pub fn emit(&self, response: bool, seq: u16) -> Vec<u8> {
        let header = if response {
            Header::response(Opcode::HELLO, 0, seq, Status::OK)
        } else {
            Header::request(Opcode::HELLO, 0, seq)
        };
        let mut writer = Writer::new(&header);
        writer
            .tlv(TlvType::ROLE, &[self.role.get()])
            .tlv(TlvType::BOOT_ID, &self.boot_id.to_be_bytes())
            .tlv(TlvType::LIMITS, &self.limits.octets())
            .tlv(TlvType::WINDOW, &self.window.to_be_bytes())
            .tlv(TlvType::INTERVAL, &self.interval_ms.to_be_bytes())
            .tlv(TlvType::MAX_FRAME, &self.max_frame.to_be_bytes())
            .tlv(TlvType::FLAGS, &self.flags.0.to_be_bytes())
            .tlv(TlvType::NODE_UUID, &self.node_uuid.0)
            .tlv(TlvType::NODE_NAME, self.node_name.as_str().as_bytes());
        writer.finish()
    }
}
