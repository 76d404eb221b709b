use super::*;
use crate::engine::{VifState, VlanMode, VnicStats};
use firmware_sim::{Config, VnicConfig};
use vntag::ctl::session::{self, Session, SessionEvent};
use vntag::ctl::{self, Name, Request, Response, Role, Vifs};
use vntag::ethernet::Mac;
use vntag::uuid::Uuid;
use vntag::{ListId, VifId};

fn end(role: Role) -> session::Config {
    let name = Name::new("node").expect("a name");
    session::Config::new(role, 7, Mac([2, 0, 0, 0, 0, role.get()]), (Uuid([1; 16]), name), "link0")
}

/// Remembers what it was told; takes so many orders.
struct Hands {
    room: usize,
    orders: Vec<(Order, Option<OrderId>)>,
    carriers: Vec<Option<CarrierCause>>,
    notices: usize,
    stats: VnicStats,
}

impl Hands {
    fn new(room: usize) -> Self {
        Self { room, orders: vec![], carriers: vec![], notices: 0, stats: VnicStats::default() }
    }
}

impl Host for Hands {
    fn is_full(&self) -> bool {
        self.orders.len() >= self.room
    }

    fn apply(&mut self, order: Order, id: Option<OrderId>) {
        self.orders.push((order, id));
    }

    fn carrier(&mut self, vnic: VnicId, down: Option<CarrierCause>) {
        assert_eq!(vnic, VnicId(3));
        self.carriers.push(down);
    }

    fn counters(&self, vnic: VnicId) -> Option<Counters> {
        (vnic == VnicId(3)).then(|| afex_counters(&self.stats))
    }

    fn notice(&mut self, _: Notice) {
        self.notices += 1;
    }
}

/// A firmware with one vNIC, and a switch at the other end of its link.
struct Pair {
    firmware: Firmware,
    switch: Session,
    hands: Hands,
    now: u64,
}

impl Pair {
    fn new(room: usize) -> Self {
        let mut firmware = Firmware::new(Config::new(vec![end(Role::Iv)]));
        let config = VnicConfig {
            name: "vnic0".to_owned(),
            vm: None,
            channel: 1,
            uuid: Uuid([9; 16]),
            mac: Mac([2, 0, 0, 0, 0, 9]),
            profile: "default".to_owned(),
            link: LinkId(0),
            backup: None,
            incarnation: None,
        };
        firmware.set_vnic(0, VnicId(3), config).expect("a vNIC");
        firmware.handle_link(0, LinkId(0), true);
        let mut switch = Session::new(end(Role::Vis));
        switch.handle_link(0, true);
        Self { firmware, switch, hands: Hands::new(room), now: 0 }
    }

    /// Carries frames both ways until nobody has any; answers and returns what the switch got.
    fn run(&mut self, answer: impl Fn(&Request) -> Response) -> Vec<SessionEvent> {
        let (now, mut events) = (self.now, Vec::new());
        loop {
            carry_out(&mut self.firmware, 1, now, &mut self.hands);
            let sent = core::mem::take(&mut self.hands.orders);
            let mut quiet = sent.is_empty();
            for (order, id) in sent {
                if let Order::Send { link, frames } = &order {
                    assert_eq!(*link, 0);
                    frames.iter().for_each(|frame| assert!(self.switch.handle_frame(now, frame)));
                }
                if let Some(id) = id {
                    self.firmware.confirm(now, id);
                }
            }
            while let Some(event) = self.switch.poll_event() {
                if let SessionEvent::Request { id, request } = &event {
                    self.switch.respond(now, *id, Ok(answer(request))).expect("an answer");
                }
                events.push(event);
            }
            while let Some(frame) = self.switch.poll_transmit(now) {
                self.firmware.handle_frame(now, LinkId(0), &frame);
                quiet = false;
            }
            if quiet {
                return events;
            }
        }
    }
}

const PARAMS: ctl::VifParams = ctl::VifParams {
    mode: ctl::VlanMode::Trunk,
    cos: 3,
    vlan: 10,
    priorities: 0x0f,
    mtu: 9000,
    min_rate: 0,
    max_rate: 1,
};

fn vif() -> VifId {
    VifId::new(5).expect("a VIF")
}

fn create(_: &Request) -> Response {
    Response::VifCreate { vif: vif(), veth: 1, params: PARAMS }
}

#[test]
fn a_vnic_comes_up_over_hands_that_take_one_order_at_a_time() {
    let mut pair = Pair::new(1);
    let events = pair.run(create);
    let created = |event: &SessionEvent| {
        matches!(event, SessionEvent::Request { request: Request::VifCreate { channel: 1, .. }, .. })
    };
    assert_eq!(events.iter().filter(|event| created(event)).count(), 1);
    assert!(pair.hands.notices > 1);
    assert_eq!(pair.hands.carriers, []);
    let status = pair.firmware.vnic(VnicId(3)).expect("the vNIC");
    assert_eq!(status.vifs[0].vif, Some((vif(), 1)));
}

#[test]
fn the_switch_gets_the_counters_that_the_vnic_has() {
    let mut pair = Pair::new(64);
    pair.run(create);
    pair.hands.stats.rx_frames.add(7);
    pair.switch.request(pair.now, Request::StatsGet { vif: vif() }).expect("a session");
    while let Some(frame) = pair.switch.poll_transmit(pair.now) {
        pair.firmware.handle_frame(pair.now, LinkId(0), &frame);
    }
    let answered = pair.run(create).into_iter().find_map(|event| match event {
        SessionEvent::Response { result: Ok(Response::StatsGet { counters }), .. } => Some(counters.0[0]),
        _ => None,
    });
    assert_eq!(answered, Some(7));
}

#[test]
fn a_refusal_takes_the_carrier_down_and_an_order_names_the_slot() {
    let mut pair = Pair::new(64);
    pair.run(create);
    let request = Request::VifSet {
        vifs: Vifs::one(vif()),
        state: Some(ctl::VifState::Disabled),
        params: None,
        cause: None,
    };
    pair.switch.request(pair.now, request).expect("a session");
    while let Some(frame) = pair.switch.poll_transmit(pair.now) {
        pair.firmware.handle_frame(pair.now, LinkId(0), &frame);
    }
    carry_out(&mut pair.firmware, 1, pair.now, &mut pair.hands);
    assert!(matches!(pair.hands.carriers[..], [Some(CarrierCause::Disabled(_))]));
    let orders: Vec<_> = pair.hands.orders.iter().map(|(order, _)| order).collect();
    let [Order::SetVif { link: 0, vif: id, vnic: 3, state: VifState::Standby, params }] = orders[..] else {
        panic!("{} orders", orders.len());
    };
    assert_eq!((*id, params.vlan_mode, params.default_vlan), (vif(), VlanMode::Trunk, 10));
    assert_eq!((params.default_cos, params.allowed_priorities, params.mtu), (3, 0x0f, 9000));
}

#[test]
fn lists_keep_their_members() {
    let list = ListId::new(2).expect("a list");
    let set = firmware_sim::Order::SetList { link: LinkId(1), list, members: vec![vif()] };
    let Order::SetList { link: 1, list: id, members: Some(members) } = engine_order(set) else { panic!() };
    assert_eq!((id, &members[..]), (list, &[vif()][..]));
    let clear = firmware_sim::Order::ClearList { link: LinkId(1), list };
    assert!(matches!(engine_order(clear), Order::SetList { link: 1, members: None, .. }));
}

#[test]
fn counters_stand_where_afex_has_them() {
    let stats = VnicStats::default();
    stats.rx_frames.add(10);
    stats.rx_octets.add(1000);
    stats.rx_groups.count(&[0xff; 60], 1, 60);
    stats.rx_groups.count(&[1, 0, 0, 0, 0, 0], 1, 100);
    stats.rx_groups.count(&[0x52, 0, 0, 0, 0, 0], 1, 1);
    stats.rx_groups.count(&[], 1, 1);
    stats.tx_frames.add(2);
    stats.tx_octets.add(120);
    stats.drops[crate::engine::DropReason::HostPriority].add(4);
    stats.drops[crate::engine::DropReason::HostRingFull].add(5);
    let named: Vec<_> =
        Counters::NAMES.iter().zip(afex_counters(&stats).0).filter(|(_, value)| *value > 0).collect();
    let expected = [
        ("tx_unicast_frames", 8),
        ("tx_unicast_bytes", 840),
        ("tx_multicast_frames", 1),
        ("tx_multicast_bytes", 100),
        ("tx_broadcast_frames", 1),
        ("tx_broadcast_bytes", 60),
        ("tx_discarded", 4),
        ("rx_unicast_frames", 2),
        ("rx_unicast_bytes", 120),
        ("rx_dropped", 5),
    ];
    assert_eq!(named.iter().map(|(name, value)| (**name, *value)).collect::<Vec<_>>(), expected);
}

#[test]
fn what_was_is_taken_away_before_the_switch_is_asked_for_what_is_to_be() {
    let mut pair = Pair::new(64);
    pair.run(create);
    assert_eq!(pair.firmware.vnic(VnicId(3)).expect("it is there").vifs[0].vif, Some((vif(), 1)));
    // The switch restarts.
    pair.now += 1_000_000_000;
    pair.switch = Session::new(session::Config { boot_id: 8, ..end(Role::Vis) });
    pair.switch.handle_link(pair.now, true);
    let mut given = Vec::new();
    for _ in 0..10 {
        while let Some(frame) = pair.switch.poll_transmit(pair.now) {
            pair.firmware.handle_frame(pair.now, LinkId(0), &frame);
        }
        carry_out(&mut pair.firmware, 1, pair.now, &mut pair.hands);
        for (order, _) in core::mem::take(&mut pair.hands.orders) {
            if let Order::Send { frames, .. } = &order {
                frames.iter().for_each(|frame| assert!(pair.switch.handle_frame(pair.now, frame)));
            }
            given.push(order);
        }
    }
    let cleared = given.iter().position(|order| matches!(order, Order::ClearVif { .. }));
    let asks = |frame: &Vec<u8>| {
        let message = ctl::Message::parse(&frame[14..]);
        message
            .is_ok_and(|parsed| matches!(parsed.message.body, ctl::Body::Request(Request::VifCreate { .. })))
    };
    let asked = given.iter().position(|order| match order {
        Order::Send { frames, .. } => frames.iter().any(asks),
        _ => false,
    });
    assert!(cleared.is_some() && asked.is_some() && cleared < asked, "{cleared:?} {asked:?}");
}
