//! `docs/protocol.md` against the code: its blocks are read octet by octet, must be the messages that this file makes, and
//! must explain every field of them. `NIV_UPDATE_DOC=1` writes the blocks anew where the code has changed on purpose.

use std::collections::BTreeMap;
use std::path::PathBuf;

use vntag::ctl::provisioning::kind;
use vntag::ctl::*;
use vntag::ethernet::{HEADER, Mac, TYPE_LLDP, mac_at};
use vntag::lldp::{self, Capabilities, Id, Lldp, NivTlv};
use vntag::{ListId, Uuid, VifId};

const SESSION: u32 = 0x0000_000e;
const NODE: Uuid = Uuid([0xa0, 0, 0, 0, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 1]);
const INSTANCE: Uuid = Uuid([0xb0, 0, 0, 0, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 5]);
const GUEST: Mac = Mac([0x52, 0x54, 0, 0, 0, 1]);

fn vif(number: u16) -> VifId {
    VifId::new(number).expect("a VIF")
}

fn vifs(numbers: &[u16]) -> Vifs {
    Vifs::new(numbers.iter().copied().map(vif)).expect("a set")
}

fn hello(role: Role, boot_id: u64, name: &str) -> Hello {
    Hello {
        role,
        boot_id,
        limits: Limits { vifs: 4094, lists: 4095, max_pdu: 1500 },
        window: 16,
        interval_ms: 1000,
        max_frame: 9216,
        flags: Flags::CONTROL.with(Flags::SUPER_FRAMES),
        node_uuid: NODE,
        node_name: Name::new(name).expect("a name"),
    }
}

/// One message of every kind, in the order of the opcodes: request, response.
fn messages() -> Vec<(String, Message)> {
    let (vif, list) = (vif(5), ListId::new(1).expect("a list"));
    let mode = VlanMode::Access;
    let params = VifParams {
        mode,
        cos: 0,
        vlan: 10,
        priorities: 0xff,
        mtu: 1500,
        min_rate: 0,
        max_rate: 1_000_000_000,
    };
    let blob = Provisioning::builder().profile("web").mac(GUEST).client_uuid(INSTANCE).os_type(2);
    let provisioning = blob.build().expect("a blob");
    let requests = [
        Request::VifCreate { channel: 3, provisioning, initial: InitialState::Standby },
        Request::VifEnable { vif },
        Request::VifDisable { vif },
        Request::VifDelete { vif },
        Request::VifSet {
            vifs: vifs(&[5, 6]),
            state: Some(VifState::Disabled),
            params: None,
            cause: Some(Cause::new(1, "shutdown")),
        },
        Request::ListSet { list, generation: 1, members: vifs(&[5, 6, 7]) },
        Request::ListMod { list, generation: 2, add: vifs(&[8]), del: vifs(&[6]) },
        Request::ListGet { list, after: None },
        Request::StatsGet { vif },
        Request::LinkState { vifs: vifs(&[5]), up: true },
        Request::Event { code: EventCode::RETRY },
        Request::Announce { vif, mac: GUEST },
    ];
    let responses = [
        Response::VifCreate { vif, veth: 1, params },
        Response::VifEnable { params },
        Response::VifDisable,
        Response::VifDelete,
        Response::VifSet,
        Response::ListSet,
        Response::ListMod,
        Response::ListGet { generation: 2, members: vifs(&[5, 7, 8]), more: false },
        Response::StatsGet { counters: Counters(std::array::from_fn(|at| at as u64)) },
        Response::LinkState,
        Response::Event,
        Response::Announce,
    ];
    let mut all = vec![
        ("HELLO request".to_owned(), Body::Hello(hello(Role::Iv, 0x1122_3344_0000_0007, "adapter0")), 0, 1),
        (
            "HELLO response".to_owned(),
            Body::HelloResponse(hello(Role::Vis, 0x5566_7788_0000_0009, "vis0")),
            0,
            1,
        ),
    ];
    for (seq, (request, response)) in (1..).zip(requests.into_iter().zip(responses)) {
        let name = request.opcode().to_string();
        all.push((format!("{name} request"), Body::Request(request), SESSION, seq));
        all.push((format!("{name} response"), Body::Response(response), SESSION, seq));
    }
    let refusal = Refusal::with_cause(Status::UNKNOWN_PROFILE, 6, "no port-profile web");
    let body = Body::Refusal { opcode: Opcode::VIF_CREATE, refusal };
    all.push(("refusal".to_owned(), body, SESSION, 1));
    all.into_iter().map(|(name, body, session, seq)| (name, Message { session, seq, body })).collect()
}

fn lldp_unit() -> Lldp {
    let bridge = Capabilities { supported: Capabilities::BRIDGE, enabled: Capabilities::BRIDGE };
    let niv = NivTlv {
        role: Role::Vis,
        boot_id: 0x5566_7788_0000_0009,
        vifs: 4094,
        lists: 4095,
        flags: Flags::CONTROL,
    };
    Lldp {
        port_description: Some("NIV link, VIS end".into()),
        system_name: Some("vis0".into()),
        capabilities: Some(bridge),
        niv: Some(Ok(niv)),
        ..Lldp::new(Id::local(&NODE.to_string()), Id::interface_name("ethernet1/1"), 120)
    }
}

/// Octets with an explanation at each field, at most twelve a line.
#[derive(Default)]
struct Rows(String);

impl Rows {
    fn row(&mut self, octets: &[u8], text: &str) {
        for (at, part) in octets.chunks(12).enumerate() {
            let hex = part.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().join(" ");
            let line = format!("{hex:<36}| {}", if at == 0 { text } else { "" });
            self.0.push_str(line.trim_end());
            self.0.push('\n');
        }
        if octets.is_empty() {
            let line = format!("{:<36}| {text}", "");
            self.0.push_str(&line);
            self.0.push('\n');
        }
    }

    /// Takes fields of these lengths off `octets`, one row each.
    fn fields(&mut self, mut octets: &[u8], fields: &[(usize, &str)]) {
        for (length, text) in fields {
            let (field, rest) = octets.split_at(*length);
            let number = field.iter().fold(0_u64, |number, octet| number << 8 | u64::from(*octet));
            self.row(field, &format!("  {text} {number}"));
            octets = rest;
        }
        assert!(octets.is_empty());
    }
}

fn pdu_rows(octets: &[u8]) -> String {
    let pdu = Pdu::parse(octets).expect("a PDU");
    let header = pdu.header;
    let mut rows = Rows::default();
    let kind = if header.response { "response" } else { "request" };
    rows.row(&octets[..1], &format!("version {}", header.version));
    rows.row(&octets[1..2], &format!("{} {kind}", header.opcode));
    rows.row(&octets[2..4], &format!("seq {}", header.seq));
    rows.row(&octets[4..6], &format!("status {}", header.status));
    rows.row(&octets[6..8], &format!("length {}", header.length));
    rows.row(&octets[8..12], &format!("session {:#x}", header.session));
    rows.row(&octets[12..16], "reserved");
    for tlv in pdu.tlvs() {
        let tlv = tlv.expect("a TLV");
        let head = [tlv.kind.0.to_be_bytes(), (tlv.value.len() as u16).to_be_bytes()].concat();
        rows.row(&head, &format!("{}, {} octets", tlv.kind, tlv.value.len()));
        value_rows(&mut rows, tlv);
    }
    rows.0
}

fn value_rows(rows: &mut Rows, tlv: Tlv<'_>) {
    let value = tlv.value;
    let number = || value.iter().fold(0_u64, |number, octet| number << 8 | u64::from(*octet));
    let text = match tlv.kind {
        TlvType::ROLE => Role::new(value[0]).expect("a role").to_string(),
        TlvType::INITIAL_STATE => InitialState::new(value[0]).expect("a state").to_string(),
        TlvType::STATE => VifState::new(value[0]).expect("a state").to_string(),
        TlvType::FLAGS => Flags(number() as u16).to_string(),
        TlvType::BOOT_ID => format!("{:#018x}", number()),
        TlvType::NODE_UUID => Uuid(value.try_into().expect("16 octets")).to_string(),
        TlvType::NODE_NAME => String::from_utf8_lossy(value).into_owned(),
        TlvType::MAC => mac_at(value, 0).expect("an address").to_string(),
        TlvType::VIF_VECTOR | TlvType::ADD | TlvType::DEL => {
            let numbers = value.chunks(2).map(|word| u16::from_be_bytes([word[0], word[1]]).to_string());
            format!("VIFs {}", numbers.collect::<Vec<_>>().join(", "))
        }
        TlvType::LIMITS => return rows.fields(value, &[(2, "VIFs"), (2, "lists"), (2, "maximum PDU")]),
        TlvType::VIF_PARAMS => {
            let mode = VlanMode::new(value[0]).expect("a mode");
            rows.row(&value[..1], &format!("  VLAN mode {mode}"));
            rows.row(&value[1..2], &format!("  default CoS {}", value[1]));
            let fields =
                [(2, "default VLAN"), (1, "allowed priorities, a bit each:"), (1, "reserved"), (2, "MTU")];
            rows.fields(&value[2..8], &fields);
            return rows.fields(&value[8..], &[(8, "minimum rate, bit/s:"), (8, "maximum rate, bit/s:")]);
        }
        TlvType::CAUSE => {
            rows.fields(&value[..2], &[(2, "code")]);
            return rows.row(&value[2..], &format!("  \"{}\"", String::from_utf8_lossy(&value[2..])));
        }
        TlvType::COUNTERS => {
            let names: Vec<_> = Counters::NAMES.iter().map(|name| (8, *name)).collect();
            return rows.fields(value, &names);
        }
        TlvType::PROVISIONING => return blob_rows(rows, value),
        _ => number().to_string(),
    };
    rows.row(value, &format!("  {text}"));
}

fn blob_rows(rows: &mut Rows, blob: &[u8]) {
    rows.row(&blob[..3], "  OUI");
    rows.fields(&blob[3..12], &[(1, "type"), (4, "length"), (4, "TLVs")]);
    for (number, value) in Provisioning::parse(blob).expect("a blob").tlvs() {
        let head = [number.to_be_bytes(), (value.len() as u16).to_be_bytes()].concat();
        let name = kind::name(number).expect("a known type");
        rows.row(&head, &format!("    {name}, {} octets", value.len()));
        let text = match number {
            kind::CLIENT_MAC => mac_at(value, 0).expect("an address").to_string(),
            kind::OS_TYPE => "2, Linux".to_owned(),
            _ => format!("\"{}\" and a NUL", String::from_utf8_lossy(value).trim_end_matches('\0')),
        };
        rows.row(value, &format!("      {text}"));
    }
}

fn lldp_frame() -> Vec<u8> {
    let unit = lldp_unit().emit(lldp::NIV_OUI);
    [&DESTINATION.0[..], &[0x02, 0, 0, 0, 0, 2], &TYPE_LLDP.to_be_bytes(), &unit].concat()
}

fn lldp_rows(frame: &[u8]) -> String {
    let mut rows = Rows::default();
    rows.row(&frame[..6], "to the nearest bridge");
    rows.row(&frame[6..12], "from");
    rows.row(&frame[12..14], "LLDP");
    for tlv in lldp::Tlvs::new(&frame[HEADER..]) {
        let tlv = tlv.expect("a TLV");
        let (value, name) = (tlv.value, lldp::kind::name(tlv.kind).expect("a known type"));
        let head = (u16::from(tlv.kind) << 9 | value.len() as u16).to_be_bytes();
        rows.row(&head, &format!("{name} (type {}), {} octets", tlv.kind, value.len()));
        match tlv.kind {
            lldp::kind::CHASSIS_ID | lldp::kind::PORT_ID => {
                rows.fields(&value[..1], &[(1, "sub-type")]);
                rows.row(&value[1..], &format!("  \"{}\"", String::from_utf8_lossy(&value[1..])));
            }
            lldp::kind::TTL => rows.fields(value, &[(2, "seconds")]),
            lldp::kind::CAPABILITIES => rows.fields(value, &[(2, "can do"), (2, "does")]),
            lldp::kind::ORGANIZATION => {
                rows.row(&value[..3], "  OUI of the NIV TLV");
                rows.fields(&value[3..6], &[(1, "sub-type"), (1, "version"), (1, "role (1 IV, 2 VIS):")]);
                rows.row(&value[6..14], "  boot id");
                rows.fields(&value[14..], &[(2, "VIFs"), (2, "lists"), (2, "flags")]);
            }
            _ => rows.row(value, &format!("  \"{}\"", String::from_utf8_lossy(value))),
        }
    }
    rows.row(&[0, 0], "End");
    rows.0
}

fn document() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol.md")
}

/// The blocks fenced as ```` ```octets NAME ````, by name.
fn blocks(text: &str) -> BTreeMap<String, String> {
    let mut blocks = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(name) = line.strip_prefix("```octets ") else { continue };
        let block: String =
            lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
        assert!(blocks.insert(name.to_owned(), block).is_none(), "{name} twice");
    }
    blocks
}

/// The octets left of the bars.
fn octets(block: &str) -> Vec<u8> {
    let hex = block.lines().filter_map(|line| line.split('|').next());
    let octets = hex.flat_map(str::split_whitespace);
    octets.map(|octet| u8::from_str_radix(octet, 16).expect("two hexadecimal digits")).collect()
}

#[test]
fn the_document_shows_what_the_code_sends() {
    let mut wanted: BTreeMap<String, String> =
        messages().into_iter().map(|(name, message)| (name, pdu_rows(&message.emit()))).collect();
    wanted.insert("LLDP".into(), lldp_rows(&lldp_frame()));
    let mut text = std::fs::read_to_string(document()).expect("docs/protocol.md");
    let mut shown = blocks(&text);
    if std::env::var_os("NIV_UPDATE_DOC").is_some() {
        for (name, block) in &wanted {
            let fence = format!("```octets {name}\n");
            let old = shown.get(name).unwrap_or_else(|| panic!("no block `{name}` in the document"));
            text = text.replace(&format!("{fence}{old}"), &format!("{fence}{block}"));
        }
        std::fs::write(document(), &text).expect("docs/protocol.md");
        shown = blocks(&text);
    }
    assert_eq!(shown.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
    for (name, block) in &shown {
        assert_eq!(block, &wanted[name], "{name}; NIV_UPDATE_DOC=1 writes it anew");
    }
    for (name, message) in messages() {
        let parsed = Message::parse(&octets(&shown[&name]));
        assert_eq!(parsed, Ok(Parsed { message, skipped: 0 }), "{name}");
    }
    let frame = octets(&shown["LLDP"]);
    assert_eq!(Lldp::parse(&frame[HEADER..], lldp::NIV_OUI), Ok(lldp_unit()));
}

#[test]
fn every_opcode_is_shown_both_ways() {
    let names: Vec<String> = messages().into_iter().map(|(name, _)| name).collect();
    for opcode in Opcode::ALL {
        for way in ["request", "response"] {
            assert!(names.contains(&format!("{opcode} {way}")), "{opcode} {way}");
        }
    }
}
