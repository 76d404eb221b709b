//! Formats: no octets do harm, and what is read, written and read again is the same.

use crate::fuzz::corpus::worked_examples;
use vis_switch::control::{Identity, VethRecord};
use vntag::ctl::{Body, Message, Parsed, Pdu, Provisioning, Writer};
use vntag::ethernet::{ADDRESSES, HEADER, Mac, be16};
use vntag::lldp::{self, Lldp, NIV_OUI};
use vntag::{Direction, Etag, Head, Headers, NivTag, Outer, Untagged, Uuid, Vntag, check, splice};

pub(super) fn pdus() -> Vec<Vec<u8>> {
    let mut examples = worked_examples();
    examples.remove("LLDP");
    examples.into_values().collect()
}

pub(super) fn pdu(input: &[u8]) {
    let Ok(pdu) = Pdu::parse(input) else {
        assert!(Message::parse(input).is_err());
        return;
    };
    if pdu.fault().is_none() {
        let mut writer = Writer::new(&pdu.header);
        for tlv in pdu.tlvs() {
            let tlv = tlv.expect("no fault");
            writer.tlv(tlv.kind, tlv.value);
        }
        let again = writer.finish();
        assert_eq!(Some(again.as_slice()), input.get(..again.len()), "the view loses nothing");
    }
    match Message::parse(input) {
        Ok(Parsed { mut message, .. }) => {
            assert!(pdu.fault().is_none());
            if matches!(message.body, Body::Hello(_) | Body::HelloResponse(_)) {
                message.session = 0;
            }
            assert_eq!(Message::parse(&message.emit()), Ok(Parsed { message, skipped: 0 }));
        }
        Err(wrong) => assert!(!wrong.to_string().is_empty()),
    }
}

pub(super) fn lldp_units() -> Vec<Vec<u8>> {
    worked_examples().remove("LLDP").into_iter().map(|frame| frame[HEADER..].to_vec()).collect()
}

pub(super) fn lldp(input: &[u8]) {
    assert!(lldp::Tlvs::new(input).count() <= input.len());
    let Ok(unit) = Lldp::parse(input, NIV_OUI) else { return };
    let sent = unit.emit(NIV_OUI);
    let again = Lldp::parse(&sent, NIV_OUI).expect("what is sent is read");
    assert_eq!(again.emit(NIV_OUI), sent);
    assert_eq!((&again.chassis_id, &again.port_id), (&unit.chassis_id, &unit.port_id));
    assert_eq!((again.ttl, again.capabilities, again.others), (unit.ttl, unit.capabilities, 0));
    assert_eq!(again.niv, unit.niv.filter(Result::is_ok));
    for (again, text) in
        [(again.port_description, unit.port_description), (again.system_name, unit.system_name)]
    {
        // A text that was no UTF-8 may be too long afterwards, and is cut.
        assert_eq!(again.is_some(), text.is_some());
        let text = text.unwrap_or_default();
        assert!(text.starts_with(&again.unwrap_or_default()));
    }
}

pub(super) fn blobs() -> Vec<Vec<u8>> {
    let full = Provisioning::builder()
        .profile("web")
        .mac(Mac([0x52, 0x54, 0, 0, 0, 1]))
        .client_name("vm1")
        .port_name("vnic0")
        .client_uuid(Uuid([1; 16]))
        .host_uuid(Uuid([2; 16]))
        .incarnation(7)
        .os_type(2)
        .tlv(13, &[1, 2, 3]);
    [Provisioning::builder(), full].map(|blob| blob.build().expect("a blob").as_bytes().to_vec()).into()
}

pub(super) fn provisioning(input: &[u8]) {
    let Ok(blob) = Provisioning::parse(input) else { return };
    assert_eq!(blob.as_bytes(), input, "unchanged");
    let again = blob.tlvs().fold(Provisioning::builder(), |again, (kind, value)| again.tlv(kind, value));
    assert_eq!(again.build().as_ref(), Ok(&blob));
    let texts = [blob.profile(), blob.client_name()];
    assert!(texts.into_iter().flatten().all(|text| !text.chars().any(char::is_control)));
    let _ = (
        blob.mac(),
        blob.port_name(),
        blob.client_uuid(),
        blob.host_uuid(),
        blob.incarnation(),
        blob.os_type(),
    );
    assert!(!blob.to_string().chars().any(char::is_control));
}

pub(super) fn records() -> Vec<Vec<u8>> {
    let record = VethRecord {
        number: 7,
        identity: Identity { uuid: Uuid([0xab; 16]), mac: Mac([0x52, 0x54, 0, 0, 0, 1]) },
        profile: Some("web".to_owned()),
        channel: 3,
        port: "1/1".to_owned(),
        vnic: Some("vnic0".to_owned()),
        vm: Some("vm1".to_owned()),
        host: None,
        incarnation: Some(u64::MAX),
        created: 1_700_000_000,
    };
    vec![record.encode()]
}

pub(super) fn record(input: &[u8]) {
    match VethRecord::decode(input) {
        Ok(record) => {
            let again = VethRecord::decode(&record.encode());
            assert_eq!(again.expect("what is written is read"), record);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

pub(super) fn frames() -> Vec<Vec<u8>> {
    let addresses = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 0, 0, 1];
    let frame = |tag: &[u8]| [&addresses[..], tag, &[0x08, 0x06, 1, 2, 3, 4]].concat();
    let mut all = vec![
        frame(&[]),
        frame(&[0x81, 0, 0x20, 10]),
        frame(&[0x89, 0x26, 0, 0, 0, 5]),
        frame(&[0x89, 0x26, 0xc0, 1, 0, 5, 0x81, 0, 0, 10]),
        frame(&[0x89, 0x3f, 0x20, 0, 0x10, 5, 0, 0]),
    ];
    all.extend(worked_examples().remove("LLDP"));
    all
}

pub(super) fn frame(input: &[u8]) {
    let headers = Headers::parse(input);
    assert_eq!(headers.ethertype, be16(input, headers.at));
    for more in [0, 1, 1500] {
        for found in [check::up(input, input.len() + more), check::down(input, input.len() + more)] {
            assert_eq!(found.iter().count(), found.len());
        }
    }
    let _ = Untagged::of(input);
    match headers.outer {
        Some(Outer::Vntag(tag)) => {
            assert_eq!(Vntag::from_word(tag.word()), tag);
            if let Ok(etag) = tag.to_etag() {
                let direction = if tag.d() { Direction::Down } else { Direction::Up };
                assert!(etag.to_vntag(direction).is_ok_and(|back| back.to_etag() == Ok(etag)));
            }
        }
        Some(Outer::Etag(tag)) => {
            assert_eq!(Etag::from_bytes(tag.to_bytes()), tag);
            for direction in [Direction::Up, Direction::Down] {
                if let Ok(vntag) = tag.to_vntag(direction) {
                    assert!(vntag.to_etag().is_ok_and(|back| back.to_vntag(direction) == Ok(vntag)));
                }
            }
        }
        None => {}
    }
    legal::<Vntag>(input);
    legal::<Etag>(input);
    spliced(input);
}

/// Tags that are legal are written as they are read.
fn legal<T: NivTag>(frame: &[u8]) {
    if be16(frame, ADDRESSES) != Some(T::TPID) {
        return;
    }
    // With the type behind it that every tag has.
    let mut out = vec![0xa5; ADDRESSES + T::LEN + 2];
    if let Ok(tag) = T::parse_up(frame, ADDRESSES) {
        T::emit_up(tag, &mut out[ADDRESSES..ADDRESSES + T::LEN]);
        assert_eq!(T::parse_up(&out, ADDRESSES), Ok(tag));
    }
    if let Ok(tag) = T::parse_down(frame, ADDRESSES) {
        T::emit_down(tag, &mut out[ADDRESSES..ADDRESSES + T::LEN]);
        assert_eq!(T::parse_down(&out, ADDRESSES), Ok(tag));
    }
    let _ = T::has_stray_source(frame, ADDRESSES);
}

/// A tag that was put in and taken out leaves nothing behind.
fn spliced(frame: &[u8]) {
    let tag = [0x89, 0x26, 0, 0, 0, 5];
    let (mut with, mut without) = (vec![0; frame.len() + tag.len()], vec![0; frame.len()]);
    let put_in = splice::copy_with(frame, &tag, &mut with);
    assert_eq!(put_in, (frame.len() >= ADDRESSES).then_some(with.len()));
    if put_in.is_some() {
        assert_eq!(splice::copy_without(&with, tag.len(), &mut without), Some(frame.len()));
        assert_eq!(without, frame);
    }
    let mut head = Head::default();
    let taken = head.load(|room| {
        let taken = room.len().min(frame.len());
        room[..taken].copy_from_slice(&frame[..taken]);
        taken
    });
    let before = head.bytes().to_vec();
    if head.insert(&tag) {
        assert_eq!(head.bytes().len(), taken + tag.len());
        assert!(head.remove(tag.len()));
    }
    assert_eq!(head.bytes(), before);
}
