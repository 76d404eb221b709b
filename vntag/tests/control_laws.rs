//! Laws of the control formats: what is written is read back, and no octets whatever do harm.

mod common;

use common::Random;
use proptest::prelude::*;
use vntag::ctl::*;
use vntag::ethernet::Mac;
use vntag::lldp::{self, Capabilities, Id, Lldp, NivTlv};
use vntag::{ListId, Uuid, VifId};

fn vif() -> impl Strategy<Value = VifId> {
    (1..=VifId::MAX).prop_filter_map("a VIF", VifId::new)
}

fn list() -> impl Strategy<Value = ListId> {
    (1..=ListId::MAX).prop_filter_map("a list", ListId::new)
}

fn vifs(sizes: std::ops::Range<usize>) -> impl Strategy<Value = Vifs> {
    prop::collection::vec(vif(), sizes).prop_filter_map("a set", Vifs::new)
}

fn params() -> impl Strategy<Value = VifParams> {
    let mode = prop::sample::select(VlanMode::ALL);
    (mode, 0..8_u8, 1..=4094_u16, any::<u8>(), VifParams::MIN_MTU.., any::<u64>(), any::<u64>()).prop_map(
        |(mode, cos, vlan, priorities, mtu, a, b)| VifParams {
            mode,
            cos,
            vlan,
            priorities,
            mtu,
            min_rate: a.min(b),
            max_rate: a.max(b),
        },
    )
}

fn cause() -> impl Strategy<Value = Cause> {
    (any::<u16>(), any::<String>()).prop_map(|(code, text)| Cause::new(code, &text))
}

fn provisioning() -> impl Strategy<Value = Provisioning> {
    let unknown = prop::collection::vec((16..u16::MAX, prop::collection::vec(any::<u8>(), 0..40)), 0..4);
    ("[a-z]{0,40}", any::<[u8; 6]>(), any::<[u8; 16]>(), any::<u64>(), unknown).prop_filter_map(
        "a blob",
        |(profile, mac, uuid, incarnation, unknown)| {
            let blob = Provisioning::builder().profile(&profile).mac(Mac(mac)).client_uuid(Uuid(uuid));
            let blob = blob.incarnation(incarnation).os_type(2);
            unknown.iter().fold(blob, |blob, (kind, value)| blob.tlv(*kind, value)).build().ok()
        },
    )
}

fn request() -> impl Strategy<Value = Request> {
    let states = prop::sample::select(VifState::ALL);
    let initial = prop::sample::select(InitialState::ALL);
    let what = (prop::option::of(states), prop::option::of(params()), prop::option::of(cause()));
    prop_oneof![
        (any::<u16>(), provisioning(), initial).prop_map(|(channel, provisioning, initial)| {
            Request::VifCreate { channel, provisioning, initial }
        }),
        vif().prop_map(|vif| Request::VifEnable { vif }),
        vif().prop_map(|vif| Request::VifDisable { vif }),
        vif().prop_map(|vif| Request::VifDelete { vif }),
        (vifs(1..600), what).prop_map(|(vifs, (state, params, cause))| Request::VifSet {
            vifs,
            state,
            params,
            cause
        }),
        (list(), any::<u32>(), vifs(0..512)).prop_map(|(list, generation, members)| Request::ListSet {
            list,
            generation,
            members
        }),
        (list(), any::<u32>(), vifs(0..300), vifs(0..300))
            .prop_map(|(list, generation, add, del)| { Request::ListMod { list, generation, add, del } }),
        (list(), prop::option::of(vif())).prop_map(|(list, after)| Request::ListGet { list, after }),
        vif().prop_map(|vif| Request::StatsGet { vif }),
        (vifs(1..20), any::<bool>()).prop_map(|(vifs, up)| Request::LinkState { vifs, up }),
        any::<u16>().prop_map(|code| Request::Event { code: EventCode(code) }),
        (vif(), any::<[u8; 6]>()).prop_map(|(vif, mac)| Request::Announce { vif, mac: Mac(mac) }),
    ]
    .prop_filter("a legal request", |request| request.check().is_ok())
}

fn response() -> impl Strategy<Value = Response> {
    use Response as R;
    prop_oneof![
        (vif(), any::<u32>(), params()).prop_map(|(vif, veth, params)| R::VifCreate { vif, veth, params }),
        params().prop_map(|params| R::VifEnable { params }),
        prop::sample::select(vec![R::VifDisable, R::VifDelete, R::VifSet, R::ListSet, R::ListMod]),
        prop::sample::select(vec![R::LinkState, R::Event, R::Announce]),
        (any::<u32>(), vifs(0..512), any::<bool>()).prop_map(|(generation, members, more)| R::ListGet {
            generation,
            members,
            more
        }),
        any::<[u64; 16]>().prop_map(|counters| R::StatsGet { counters: Counters(counters) }),
    ]
}

fn hello() -> impl Strategy<Value = Hello> {
    let numbers =
        (any::<u64>(), any::<(u16, u16)>(), 256_u16.., 1_u16.., 10_u16.., any::<u32>(), any::<u16>());
    (prop::sample::select(Role::ALL), numbers, any::<[u8; 16]>(), "[a-zA-Zäöü0-9]{1,31}").prop_map(
        |(role, (boot_id, (vifs, lists), max_pdu, window, interval_ms, max_frame, flags), uuid, name)| {
            Hello {
                role,
                boot_id,
                limits: Limits { vifs, lists, max_pdu },
                window,
                interval_ms,
                max_frame,
                flags: Flags(flags),
                node_uuid: Uuid(uuid),
                node_name: Name::new(&name).expect("a name"),
            }
        },
    )
}

fn message() -> impl Strategy<Value = Message> {
    let opcodes = prop::sample::select(&Opcode::ALL[1..]);
    let refusal = (1..20_u16, prop::option::of(cause()), opcodes).prop_map(|(status, cause, opcode)| {
        Body::Refusal { opcode, refusal: Refusal { status: Status(status), cause } }
    });
    let body = prop_oneof![
        hello().prop_map(Body::Hello),
        hello().prop_map(Body::HelloResponse),
        request().prop_map(Body::Request),
        response().prop_map(Body::Response),
        refusal,
    ];
    (any::<u32>(), any::<u16>(), body).prop_map(|(session, seq, body)| {
        let hello = matches!(body, Body::Hello(_) | Body::HelloResponse(_));
        Message { session: if hello { 0 } else { session }, seq, body }
    })
}

fn lldp_unit() -> impl Strategy<Value = Lldp> {
    let id = || (any::<u8>(), prop::collection::vec(any::<u8>(), 1..255));
    let niv = (prop::sample::select(Role::ALL), any::<(u64, u16, u16, u16)>());
    let niv = niv.prop_map(|(role, (boot_id, vifs, lists, flags))| {
        Ok(NivTlv { role, boot_id, vifs, lists, flags: Flags(flags) })
    });
    let text = || prop::option::of("[ -~]{0,255}");
    let capabilities = any::<(u16, u16)>();
    let capabilities = capabilities.prop_map(|(supported, enabled)| Capabilities { supported, enabled });
    let parts = (id(), id(), any::<u16>(), text(), text(), prop::option::of(capabilities));
    (parts, prop::option::of(niv)).prop_map(
        |((chassis, port, ttl, port_description, system_name, capabilities), niv)| Lldp {
            port_description,
            system_name,
            capabilities,
            niv,
            ..Lldp::new(
                Id::new(chassis.0, &chassis.1).expect("an id"),
                Id::new(port.0, &port.1).expect("an id"),
                ttl,
            )
        },
    )
}

proptest! {
    #[test]
    fn a_message_written_is_read_back(message in message(), padding in 0..50_usize) {
        let mut octets = message.emit();
        prop_assert!(octets.len() <= MAX_PDU, "{}", octets.len());
        octets.resize(octets.len() + padding, 0);
        let parsed = Message::parse(&octets);
        prop_assert_eq!(parsed, Ok(Parsed { message, skipped: 0 }));
    }

    #[test]
    fn every_truncation_is_refused(message in message()) {
        let octets = message.emit();
        for len in 0..octets.len() {
            let malformed = matches!(Message::parse(&octets[..len]), Err(Wrong::Malformed(_)));
            prop_assert!(malformed, "{len} octets of {}", octets.len());
        }
    }

    #[test]
    fn unknown_tlvs_are_skipped_and_counted(message in message(), kind in 28..=u16::MAX, value: Vec<u8>) {
        let mut octets = message.emit();
        octets.extend(kind.to_be_bytes());
        octets.extend((value.len() as u16).to_be_bytes());
        octets.extend(&value);
        let length = (octets.len() - HEADER_LEN) as u16;
        octets[6..8].copy_from_slice(&length.to_be_bytes());
        let pdu = Pdu::parse(&octets).expect("a header");
        let last = pdu.tlvs().last().and_then(Result::ok).expect("a TLV");
        prop_assert_eq!((last.kind, last.value), (TlvType(kind), &value[..]));
        prop_assert_eq!(Message::parse(&octets), Ok(Parsed { message, skipped: 1 }));
    }

    #[test]
    fn the_view_loses_nothing(message in message()) {
        let octets = message.emit();
        let pdu = Pdu::parse(&octets).expect("a header");
        let mut writer = Writer::new(&pdu.header);
        for tlv in pdu.tlvs() {
            let tlv = tlv.expect("a TLV");
            writer.tlv(tlv.kind, tlv.value);
        }
        prop_assert_eq!(writer.finish(), octets);
    }

    #[test]
    fn an_lldp_unit_written_is_read_back(unit in lldp_unit()) {
        let unit = Lldp {
            port_description: unit.port_description.map(|text| text.trim_end_matches('\0').to_owned()),
            ..unit
        };
        prop_assert_eq!(Lldp::parse(&unit.emit(lldp::NIV_OUI), lldp::NIV_OUI), Ok(unit));
    }
}

/// Messages and LLDP units to mutate, drawn once.
fn seeds() -> Vec<Vec<u8>> {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut octets: Vec<Vec<u8>> = Vec::new();
    for _ in 0..300 {
        octets.push(message().new_tree(&mut runner).expect("a message").current().emit());
        octets.push(lldp_unit().new_tree(&mut runner).expect("a unit").current().emit(lldp::NIV_OUI));
        octets.push(provisioning().new_tree(&mut runner).expect("a blob").current().as_bytes().to_vec());
    }
    octets
}

fn mutated(mut octets: Vec<u8>, random: &mut Random) -> Vec<u8> {
    for _ in 0..=random.below(4) {
        let len = octets.len();
        match random.below(5) {
            0 => octets.truncate(random.below(len + 1)),
            1 if len > 0 => octets[random.below(len)] = random.next() as u8,
            2 if len > 0 => octets[random.below(len.min(40))] ^= 1 << random.below(8),
            3 if len > 0 => octets.insert(random.below(len), random.next() as u8),
            4 if len > 2 => drop(octets.drain(random.below(len - 1)..).next()),
            _ => octets = random.bytes(random.0 as usize % 200),
        }
    }
    octets
}

/// What is accepted must survive being written and read again; all else must be refused without a panic.
#[test]
fn no_octets_do_harm() {
    let random = &mut Random(0x88b5);
    let seeds = seeds();
    let (mut messages, mut units, mut blobs) = (0, 0, 0);
    for _ in 0..100_000 {
        let octets = mutated(seeds[random.below(seeds.len())].clone(), random);
        if let Ok(parsed) = Message::parse(&octets) {
            messages += 1;
            let again = Message::parse(&parsed.message.emit()).map(|parsed| parsed.message.body);
            assert_eq!(again, Ok(parsed.message.body), "{octets:02x?}");
        }
        if let Ok(pdu) = Pdu::parse(&octets) {
            let taken: usize = pdu.tlvs().map_while(Result::ok).map(|tlv| 4 + tlv.value.len()).sum();
            let whole = pdu.tlvs().all(|tlv| tlv.is_ok());
            assert!(if whole { taken == pdu.body().len() } else { taken < pdu.body().len() });
        }
        if let Ok(mut unit) = Lldp::parse(&octets, lldp::NIV_OUI) {
            units += 1;
            unit.others = 0;
            unit.niv = unit.niv.filter(Result::is_ok);
            let texts = [&unit.port_description, &unit.system_name];
            // Text that was not UTF-8 grows when what is shown instead is written.
            if texts.into_iter().flatten().all(|text| text.len() <= 255) {
                assert_eq!(Lldp::parse(&unit.emit(lldp::NIV_OUI), lldp::NIV_OUI), Ok(unit), "{octets:02x?}");
            }
        }
        if let Ok(blob) = Provisioning::parse(&octets) {
            blobs += 1;
            let fields = (blob.profile(), blob.mac(), blob.client_uuid(), blob.incarnation(), blob.os_type());
            assert!(!format!("{blob}{fields:?}").is_empty());
        }
    }
    assert!(messages > 1_000 && units > 1_000 && blobs > 1_000, "{messages} {units} {blobs}");
}
