//! `decode`: control PDUs and LLDP in an untagged frame, as one JSON value; the line for people is written from it.

use serde_json::{Map, Value, json};
use vntag::ctl::provisioning::kind;
use vntag::ctl::{
    DESTINATION, Flags, InitialState, Message, Pdu, Provisioning, Role, Tlv, TlvType, VifState, VlanMode,
};
use vntag::ethernet::{HEADER, TYPE_LLDP, TYPE_VIF_CONTROL, be16, mac_at};
use vntag::lldp::{self, Id, Lldp, NIV_OUI, NivTlv};
use vntag::{Headers, Uuid};

/// What an untagged frame says.
pub(crate) enum Control {
    /// A control PDU.
    Ctl(Value),
    /// An LLDP data unit.
    Lldp(Value),
}

impl Control {
    /// `None` for every other frame.
    pub(crate) fn of(frame: &[u8], headers: &Headers) -> Option<Self> {
        if headers.outer.is_some() || headers.vlan.is_some() {
            return None;
        }
        let payload = frame.get(HEADER..)?;
        match be16(frame, HEADER - 2)? {
            TYPE_LLDP => Some(Self::Lldp(lldp_value(payload))),
            TYPE_VIF_CONTROL if mac_at(frame, 0) == Some(DESTINATION) => Some(Self::Ctl(ctl_value(payload))),
            _ => None,
        }
    }

    /// The value under the key `ctl`.
    pub(crate) const fn ctl(&self) -> Option<&Value> {
        match self {
            Self::Ctl(value) => Some(value),
            Self::Lldp(_) => None,
        }
    }

    /// The value under the key `lldp`.
    pub(crate) const fn lldp(&self) -> Option<&Value> {
        match self {
            Self::Lldp(value) => Some(value),
            Self::Ctl(_) => None,
        }
    }

    /// Lines for people.
    pub(crate) fn lines(&self) -> Vec<String> {
        let (Self::Ctl(value) | Self::Lldp(value)) = self;
        let mut lines = Vec::new();
        if let Some(op) = value.get("op") {
            let kind = if value["response"] == true { "response" } else { "request" };
            let fields = ["seq", "session", "status"].map(|name| format!("{name} {}", text(&value[name])));
            lines.push(format!("{} {kind}, {}", text(op), fields.join(", ")));
        }
        for tlv in value["tlvs"].as_array().into_iter().flatten() {
            let name = tlv.get("name").map_or_else(|| format!("TLV {}", tlv["type"]), text);
            lines.push(format!("  {name} {}", text(&tlv["value"])));
        }
        lines.extend(value.get("error").map(|error| format!("  error: {}", text(error))));
        lines
    }
}

/// A JSON value in words. A frame's text must not drive the terminal.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => {
            text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
        }
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| format!("{name} {}", text(value)));
            fields.collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

fn ctl_value(octets: &[u8]) -> Value {
    let pdu = match Pdu::parse(octets) {
        Ok(pdu) => pdu,
        Err(fault) => return json!({ "error": fault.to_string() }),
    };
    let header = pdu.header;
    let mut value = json!({
        "op": header.opcode.to_string(),
        "response": header.response,
        "seq": header.seq,
        "session": hex(&header.session.to_be_bytes()),
        "status": header.status.to_string(),
        "tlvs": pdu.tlvs().map_while(Result::ok).map(tlv_value).collect::<Vec<_>>(),
    });
    if let Err(wrong) = Message::parse(octets) {
        value["error"] = wrong.to_string().into();
    }
    value
}

fn tlv_value(tlv: Tlv<'_>) -> Value {
    named(tlv.kind.0.into(), tlv.kind.name(), typed(tlv).unwrap_or_else(|| octets(tlv.value)))
}

fn named(kind: u32, name: Option<&str>, value: Value) -> Value {
    let mut fields = Map::new();
    fields.insert("type".into(), kind.into());
    if let Some(name) = name {
        fields.insert("name".into(), name.into());
    }
    fields.insert("value".into(), value);
    fields.into()
}

/// The value as its type has it; `None` where it is not of that form.
fn typed(tlv: Tlv<'_>) -> Option<Value> {
    let Tlv { kind, value } = tlv;
    let word = || value.try_into().ok().map(u16::from_be_bytes);
    let octet = || <[u8; 1]>::try_from(value).ok().map(|[octet]| octet);
    Some(match kind {
        TlvType::ROLE => Role::new(octet()?)?.to_string().into(),
        TlvType::INITIAL_STATE => InitialState::new(octet()?)?.to_string().into(),
        TlvType::STATE => VifState::new(octet()?)?.to_string().into(),
        TlvType::MORE | TlvType::UP => octet()?.into(),
        TlvType::WINDOW
        | TlvType::INTERVAL
        | TlvType::CHANNEL
        | TlvType::VIF
        | TlvType::LIST
        | TlvType::EVENT_CODE => word()?.into(),
        TlvType::FLAGS => Flags(word()?).to_string().into(),
        TlvType::MAX_FRAME | TlvType::VETH | TlvType::GENERATION => {
            u32::from_be_bytes(value.try_into().ok()?).into()
        }
        TlvType::LIMITS => {
            let [vifs, lists, max_pdu] = words(value)?[..] else { return None };
            json!({ "vifs": vifs, "lists": lists, "max_pdu": max_pdu })
        }
        TlvType::VIF_VECTOR | TlvType::ADD | TlvType::DEL => words(value)?.into(),
        TlvType::NODE_UUID => Uuid(value.try_into().ok()?).to_string().into(),
        TlvType::NODE_NAME => std::str::from_utf8(value).ok()?.into(),
        TlvType::MAC => mac_at(value, 0).filter(|_| value.len() == 6)?.to_string().into(),
        TlvType::CAUSE => {
            let (code, text) = value.split_first_chunk()?;
            json!({ "code": u16::from_be_bytes(*code), "text": std::str::from_utf8(text).ok()? })
        }
        TlvType::VIF_PARAMS => params(value)?,
        TlvType::COUNTERS => {
            let (counters, rest) = value.as_chunks();
            let counters: Vec<u64> = counters.iter().map(|counter| u64::from_be_bytes(*counter)).collect();
            (rest.is_empty() && counters.len() == 16).then_some(counters)?.into()
        }
        TlvType::PROVISIONING => provisioning(value)?,
        _ => return None,
    })
}

fn params(value: &[u8]) -> Option<Value> {
    let octets: [u8; 24] = value.try_into().ok()?;
    let [mode, cos, v0, v1, priorities, _, m0, m1, rates @ ..] = octets;
    let (rates, _) = rates.as_chunks();
    let rates: Vec<u64> = rates.iter().map(|rate| u64::from_be_bytes(*rate)).collect();
    Some(json!({
        "mode": VlanMode::new(mode).map_or_else(|| mode.to_string(), |mode| mode.to_string()),
        "cos": cos,
        "vlan": u16::from_be_bytes([v0, v1]),
        "priorities": hex(&[priorities]),
        "mtu": u16::from_be_bytes([m0, m1]),
        "min_rate": rates.first()?,
        "max_rate": rates.last()?,
    }))
}

fn provisioning(value: &[u8]) -> Option<Value> {
    let blob = Provisioning::parse(value).ok()?;
    let mut fields = Map::new();
    for (number, value) in blob.tlvs() {
        let name = kind::name(number).map_or_else(|| format!("TLV {number}"), str::to_owned);
        let text = std::str::from_utf8(value).ok().map(|text| text.trim_end_matches('\0'));
        let shown = match (number, text) {
            (kind::CLIENT_MAC, _) => mac_at(value, 0)?.to_string().into(),
            (kind::INCARNATION, _) => blob.incarnation().into(),
            (kind::OS_TYPE, _) => blob.os_type().into(),
            (0..=12, Some(text)) if !text.chars().any(char::is_control) => text.into(),
            _ => octets(value),
        };
        fields.insert(name, shown);
    }
    Some(fields.into())
}

fn lldp_value(unit: &[u8]) -> Value {
    let tlvs = lldp::Tlvs::new(unit).map_while(Result::ok).map(|tlv| {
        let shown = lldp_typed(tlv).unwrap_or_else(|| octets(tlv.value));
        let niv = tlv.kind == lldp::kind::ORGANIZATION && lldp::niv_value(tlv.value, NIV_OUI).is_some();
        let name = if niv { Some("NIV") } else { lldp::kind::name(tlv.kind) };
        named(tlv.kind.into(), name, shown)
    });
    let mut value = json!({ "tlvs": tlvs.collect::<Vec<_>>() });
    match Lldp::parse(unit, NIV_OUI) {
        Err(fault) => value["error"] = fault.to_string().into(),
        Ok(Lldp { niv: Some(Err(fault)), .. }) => value["error"] = fault.to_string().into(),
        Ok(_) => {}
    }
    value
}

fn lldp_typed(tlv: lldp::Tlv<'_>) -> Option<Value> {
    let value = tlv.value;
    Some(match tlv.kind {
        lldp::kind::CHASSIS_ID | lldp::kind::PORT_ID => {
            let (subtype, id) = value.split_first()?;
            json!({ "subtype": subtype, "id": Id::new(*subtype, id)?.to_string() })
        }
        lldp::kind::TTL => be16(value, 0)?.into(),
        lldp::kind::PORT_DESCRIPTION | lldp::kind::SYSTEM_NAME | lldp::kind::SYSTEM_DESCRIPTION => {
            std::str::from_utf8(value).ok().filter(|text| !text.chars().any(char::is_control))?.into()
        }
        lldp::kind::CAPABILITIES => {
            let [supported, enabled] = words(value)?[..] else { return None };
            json!({ "supported": supported, "enabled": enabled })
        }
        lldp::kind::ORGANIZATION => {
            let niv = NivTlv::parse(lldp::niv_value(value, NIV_OUI)?).ok()?;
            json!({
                "role": niv.role.to_string(),
                "boot_id": hex(&niv.boot_id.to_be_bytes()),
                "vifs": niv.vifs,
                "lists": niv.lists,
                "flags": niv.flags.to_string(),
            })
        }
        _ => return None,
    })
}

fn words(value: &[u8]) -> Option<Vec<u16>> {
    let (words, rest) = value.as_chunks();
    rest.is_empty().then(|| words.iter().map(|word| u16::from_be_bytes(*word)).collect())
}

/// Octets nobody knows more about.
fn octets(value: &[u8]) -> Value {
    hex(value).into()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold("0x".to_owned(), |text, octet| format!("{text}{octet:02x}"))
}
