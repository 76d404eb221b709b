//! An adapter that says anything at all, in a session that is in order: it is refused or obeyed, it hurts nobody but
//! itself, and it fills nothing.

use super::adapter::{ACTIVE, vnic};
use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use vntag::ctl::{
    Cause, Counters, DESTINATION, InitialState, Opcode, Provisioning, Refusal, Request, Response, Status,
    Vifs,
};
use vntag::ethernet::TYPE_VIF_CONTROL;

/// What a link can have in mind of one adapter at most, of all kinds: VIFs and vEths, rows of refusals, requests.
const MOST: usize = 3 * 4094 + 1000;

#[derive(Clone, Debug)]
enum Say {
    /// A request, new or with a number that was used.
    Request(Request, bool),
    /// An answer to a request of the switch's, whether or not there is one.
    Response(u16, Result<Response, Refusal>, u8),
    /// A request with one octet changed.
    Damaged(Request, usize, u8),
    /// Octets.
    Octets(Vec<u8>),
    /// An LLDP data unit, or what could be one.
    Lldp(Vec<u8>),
    /// Nothing for some milliseconds.
    Wait(u64),
    /// The link flaps.
    Flap,
}

fn vif_id() -> impl Strategy<Value = VifId> {
    prop_oneof![8 => 1..12_u16, 1 => 1..=VifId::MAX].prop_map(vif)
}

fn blob() -> impl Strategy<Value = Provisioning> {
    let name = prop_oneof![Just("default".to_owned()), "[a-z]{0,3}", "\\PC{0,90}"];
    let tlvs = vec((0..20_u16, vec(any::<u8>(), 0..9)), 0..4);
    let incarnation = proptest::option::of(0..4_u64);
    (0..6_u8, 0..6_u8, name, incarnation, tlvs).prop_map(|(uuid, mac, name, incarnation, tlvs)| {
        let blob = Provisioning::builder().client_uuid(Uuid([uuid; 16])).mac(Mac([2, 0, 0, 0, 0, mac]));
        let blob = incarnation.map_or(blob.clone(), |number| blob.incarnation(number));
        let more =
            tlvs.iter().fold(blob.clone().profile(&name), |blob, (kind, value)| blob.tlv(*kind, value));
        more.build().or_else(|_| blob.build()).expect("a blob")
    })
}

fn request() -> impl Strategy<Value = Request> {
    let initial = prop_oneof![Just(InitialState::Standby), Just(ACTIVE)];
    let channel = prop_oneof![4 => 0..6_u16, 1 => any::<u16>()];
    let vifs = || vec(vif_id(), 1..5).prop_map(|ids| Vifs::new(ids).expect("few"));
    prop_oneof![
        6 => (channel, blob(), initial).prop_map(|(channel, provisioning, initial)| {
            Request::VifCreate { channel, provisioning, initial }
        }),
        3 => vif_id().prop_map(|vif| Request::VifEnable { vif }),
        2 => vif_id().prop_map(|vif| Request::VifDisable { vif }),
        2 => vif_id().prop_map(|vif| Request::VifDelete { vif }),
        1 => (vifs(), any::<bool>()).prop_map(|(vifs, up)| Request::LinkState { vifs, up }),
        1 => vif_id().prop_map(|vif| Request::Announce { vif, mac: Mac([2; 6]) }),
        // The switch's own, thrown back.
        1 => vif_id().prop_map(|vif| Request::StatsGet { vif }),
        1 => vifs().prop_map(|vifs| Request::VifSet { vifs, state: Some(vntag::ctl::VifState::Deleted), params: None, cause: None }),
    ]
}

fn response() -> impl Strategy<Value = Result<Response, Refusal>> {
    let refusal = (0..12_u16, "\\PC{0,9}").prop_map(|(status, text)| Refusal {
        status: Status(status),
        cause: Some(Cause::new(status, &text)),
    });
    prop_oneof![
        Just(Ok(Response::VifSet)),
        Just(Ok(Response::VifDelete)),
        Just(Ok(Response::ListSet)),
        Just(Ok(Response::ListMod)),
        Just(Ok(Response::Event)),
        Just(Ok(Response::LinkState)),
        Just(Ok(Response::StatsGet { counters: Counters::default() })),
        refusal.prop_map(Err),
    ]
}

fn say() -> impl Strategy<Value = Say> {
    prop_oneof![
        12 => (request(), any::<bool>()).prop_map(|(request, again)| Say::Request(request, again)),
        6 => (1..40_u16, response(), any::<u8>()).prop_map(|(seq, result, opcode)| Say::Response(seq, result, opcode)),
        2 => (request(), any::<usize>(), any::<u8>()).prop_map(|(request, at, to)| Say::Damaged(request, at, to)),
        1 => vec(any::<u8>(), 0..80).prop_map(Say::Octets),
        1 => vec(any::<u8>(), 0..80).prop_map(Say::Lldp),
        3 => (0..3000_u64).prop_map(Say::Wait),
        1 => Just(Say::Flap),
    ]
}

fn frame(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&DESTINATION.0[..], &[2, 0, 0, 0, 0, 1], &ethertype.to_be_bytes(), payload].concat()
}

fn speak(world: &mut World, seq: &mut u16, what: Say) {
    let session = world.control.session(0).and_then(|session| session.peer()).map_or(0, |peer| peer.session);
    let mut next = |again: bool| {
        *seq = seq.wrapping_add(u16::from(!again));
        *seq
    };
    let pdu = match what {
        Say::Wait(time) => return world.run(time * MS),
        Say::Flap => {
            world.link(0, false);
            return world.link(0, true);
        }
        Say::Lldp(unit) => return world.control.handle_frame(world.now, 0, &frame(0x88cc, &unit)),
        Say::Request(request, again) => request.emit(session, next(again)),
        Say::Response(seq, Ok(response), _) => response.emit(session, seq),
        Say::Response(seq, Err(refusal), opcode) => refusal.emit(Opcode(2 + opcode % 12), session, seq),
        Say::Damaged(request, at, to) => {
            let mut pdu = request.emit(session, next(false));
            let at = at % pdu.len();
            pdu[at] = to;
            pdu
        }
        Say::Octets(octets) => octets,
    };
    world.control.handle_frame(world.now, 0, &frame(TYPE_VIF_CONTROL, &pdu));
    world.settle();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn anything_may_be_said(words in vec(say(), 0..150)) {
        let mut world = World::new();
        // Somebody else's, on another link.
        let other = Provisioning::builder().profile("default").mac(Mac([2, 0, 0, 0, 1, 1])).client_uuid(Uuid([9; 16]));
        let (number, veth) = world.create(1, 1, other, ACTIVE).expect("a VIF");
        world.adapters[0].silent = true;
        let mut seq = 100;
        for word in words {
            speak(&mut world, &mut seq, word);
            prop_assert!(world.control.footprint() < MOST);
            prop_assert_eq!(world.at(veth), Some((1, number)));
        }
        world.adapters[0].silent = false;
        world.restart_adapter(0);
        world.run(200 * SECOND);
        prop_assert_eq!(world.control.vifs(0).count(), 0);
        prop_assert_eq!(world.control.veths().count(), 1);
        prop_assert!(world.control.footprint() < 30, "{} things left", world.control.footprint());
    }
}

/// The property above would hold for an attacker whom nobody hears, too.
#[test]
fn what_is_said_is_heard() {
    let mut world = World::new();
    let provisioning = vnic(1).build().expect("a blob");
    let create = Request::VifCreate { channel: 1, provisioning, initial: ACTIVE };
    let mut seq = 100;
    speak(&mut world, &mut seq, Say::Request(create, false));
    assert_eq!(world.at(1), Some((0, 1)));
    speak(&mut world, &mut seq, Say::Request(Request::VifDisable { vif: vif(1) }, false));
    assert_eq!(world.at(1), None);
}

/// As many vNICs as there are numbers for, over and over: other links have their ids and vEths all the same.
#[test]
fn a_link_that_asks_for_everything_takes_it_from_nobody() {
    let mut world = World::new();
    let ask = |world: &mut World, number: u32| {
        let [_, a, b, c] = number.to_be_bytes();
        let mut uuid = Uuid([3; 16]);
        (uuid.0[0], uuid.0[1], uuid.0[2]) = (a, b, c);
        let blob = Provisioning::builder().profile("default").mac(Mac([2, 0, 0, a, b, c])).client_uuid(uuid);
        let provisioning = blob.build().expect("a blob");
        let request = Request::VifCreate { channel: number as u16, provisioning, initial: ACTIVE };
        world.adapters[0].try_ask(world.now, request);
    };
    for life in 0..4 {
        (0..9000).for_each(|number| ask(&mut world, life * 9000 + number));
        world.settle();
        assert_eq!(world.control.vifs(0).count(), 4094);
        assert_eq!(world.control.pending().count(), 4094, "of 4906");
        assert!(world.control.veths().count() <= 2 * 4094);
        assert_eq!(world.records.len(), world.control.veths().count());
        // It is lost for so long that its VIFs are not kept.
        world.link(0, false);
        world.run(70 * SECOND);
        world.restart_adapter(0);
        world.link(0, true);
        world.run(8 * SECOND);
    }
    let other = Provisioning::builder().profile("default").mac(Mac([2; 6])).client_uuid(Uuid([9; 16]));
    assert!(world.create(1, 1, other, ACTIVE).is_ok());
    assert!(world.control.footprint() < MOST, "{} things in mind", world.control.footprint());
    world.run(70 * SECOND);
    assert_eq!(world.control.veths().count(), 1, "nobody asks for the others any more");
}
