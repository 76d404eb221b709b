//! Any number of workers at either end: what each gets, in which order, and what is counted is what one worker each does, however the
//! workers' turns fall.

use niv_adapter::engine::VifParams;
use niv_lab::model::switch::{ModelPort, ModelVlans};
use niv_lab::world::frames::{BROADCAST, frame, mac};
use niv_lab::world::{AdapterSpec, End, Machine, VirtualAdapter, VirtualSwitch, VnicSpec, settle};
use niv_node::counter::Balance;
use proptest::prelude::*;
use std::collections::BTreeMap;

const ADAPTERS: usize = 2;
/// Guests of each adapter.
const GUESTS: usize = 3;
const QUEUES: usize = 4;
/// Everybody's.
const VLAN: u16 = 2;
/// A station: a guest, or the host behind the switch, which is the last one.
const HOST: usize = ADAPTERS * GUESTS;
const STATIONS: usize = HOST + 1;

/// How many workers each adapter and the switch have.
type Workers = (usize, usize);

struct World {
    adapters: Vec<VirtualAdapter>,
    switch: VirtualSwitch,
    host: End,
    workers: Workers,
}

impl World {
    fn new(workers: Workers) -> Self {
        let vifs: Vec<u16> = (5..).take(GUESTS).collect();
        let params = VifParams { default_vlan: VLAN, ..VifParams::default() };
        let (mut adapters, mut ports) = (Vec::new(), Vec::new());
        for _ in 0..ADAPTERS {
            let (adapter, mut links) = VirtualAdapter::new(&AdapterSpec {
                links: 1,
                vnics: vifs.iter().map(|vif| VnicSpec { link: 0, vif: *vif, params }).collect(),
                lists: vec![(0, 1, vifs.clone())],
                workers: workers.0,
                link_queues: workers.0.max(workers.1),
                guest_queues: QUEUES,
                ..AdapterSpec::default()
            });
            adapters.push(adapter);
            let veths = vifs.iter().map(|vif| (*vif, ModelVlans::access(VLAN))).collect();
            ports.push((ModelPort::Niv { veths, lists: vec![(1, vifs.clone())] }, links.remove(0)));
        }
        let (near, far, _) = link::pair::pair(1024);
        ports.push((ModelPort::Wire(ModelVlans::access(VLAN)), End::new(near)));
        Self { adapters, switch: VirtualSwitch::of_workers(ports, workers.1), host: End::new(far), workers }
    }

    fn station(&mut self, station: usize) -> &mut End {
        match self.adapters.get_mut(station / GUESTS) {
            Some(adapter) => &mut adapter.guests[station % GUESTS],
            None => &mut self.host,
        }
    }

    fn settle(&mut self) {
        let mut machines: Vec<&mut dyn Machine> = vec![&mut self.switch];
        machines.extend(self.adapters.iter_mut().map(|adapter| adapter as &mut dyn Machine));
        settle(0, &mut machines);
    }

    /// Lets some worker, the `nth` of all, take one turn.
    fn turn(&mut self, nth: usize) {
        let (of_adapter, of_switch) = self.workers;
        match nth % (ADAPTERS * of_adapter + of_switch) {
            worker if worker < of_switch => self.switch.turn(worker, 0),
            worker => {
                let worker = worker - of_switch;
                self.adapters[worker / of_adapter].turn(worker % of_adapter, 0)
            }
        };
    }

    /// Everybody says who they are, one after the other.
    fn greet(&mut self) {
        for station in 0..STATIONS {
            assert!(self.station(station).send(&hello(station)));
            self.settle();
        }
        (0..STATIONS).for_each(|station| drop(self.station(station).received()));
    }

    fn balances(&self) -> Vec<Balance> {
        let adapters = self.adapters.iter().map(VirtualAdapter::balance);
        adapters.chain([self.switch.balance()]).collect()
    }
}

fn address(station: usize) -> [u8; 6] {
    mac(1 + station as u16)
}

fn hello(station: usize) -> Vec<u8> {
    frame(BROADCAST, address(station)).ipv4(46)
}

/// What somebody sends.
#[derive(Clone, Copy, Debug)]
struct Sent {
    from: usize,
    queue: usize,
    /// `STATIONS`: everybody.
    to: usize,
}

impl Sent {
    /// The frame, with its number.
    fn octets(self, number: usize) -> Vec<u8> {
        let to = if self.to == STATIONS { BROADCAST } else { address(self.to) };
        let mut payload = vec![self.from as u8, self.queue as u8];
        payload.extend((number as u32).to_be_bytes());
        payload.resize(46, 0);
        frame(to, address(self.from)).payload(0x88b5, &payload)
    }

    fn reaches(self, station: usize) -> bool {
        station != self.from && (self.to == STATIONS || self.to == station)
    }
}

/// Where a frame came from and its number.
fn read(octets: &[u8]) -> ((usize, usize), u32) {
    let [from, queue, number @ ..] = *octets[14..].first_chunk::<6>().expect("a frame of these tests");
    ((from.into(), queue.into()), u32::from_be_bytes(number))
}

/// Sends all that, each queue's in its order, while workers take turns as `dice` say.
fn run(workers: Workers, all: &[Sent], dice: &[u8]) -> Result<Vec<Balance>, TestCaseError> {
    let mut world = World::new(workers);
    world.greet();
    let mut dice = dice.iter().cycle().map(|die| usize::from(*die));
    for (number, sent) in all.iter().enumerate() {
        prop_assert!(world.station(sent.from).send_by(sent.queue, &sent.octets(number)));
        for _ in 0..dice.next().unwrap_or(0) % 3 {
            world.turn(dice.next().unwrap_or(0));
        }
    }
    world.settle();
    for station in 0..STATIONS {
        let mut came = Vec::new();
        for queue in world.station(station).received_by_queue() {
            let mut last: BTreeMap<(usize, usize), u32> = BTreeMap::new();
            for octets in queue {
                let (flow, number) = read(&octets);
                let before = last.insert(flow, number);
                prop_assert!(before < Some(number), "{flow:?}: {number} behind {before:?} at {station}");
                came.push(number);
            }
        }
        came.sort_unstable();
        let numbers = (0u32..).zip(all).filter(|(_, sent)| sent.reaches(station)).map(|(number, _)| number);
        prop_assert_eq!(came, numbers.collect::<Vec<_>>(), "what {} got", station);
    }
    prop_assert!(world.adapters.iter().all(|adapter| adapter.drops().is_empty()));
    prop_assert_eq!(world.switch.drops(), []);
    Ok(world.balances())
}

fn sent() -> impl Strategy<Value = Sent> {
    (0..STATIONS, 0..QUEUES, 0..=STATIONS)
        .prop_filter("nobody speaks to himself", |(from, _, to)| from != to)
        .prop_map(|(from, queue, to)| Sent { from, queue: if from == HOST { 0 } else { queue }, to })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: niv_lab::model::worlds() / 10, ..ProptestConfig::default() })]

    #[test]
    fn any_number_of_workers_does_what_one_does(
        workers in (1usize..4, 1usize..4),
        all in prop::collection::vec(sent(), 1..120),
        dice in prop::collection::vec(any::<u8>(), 8..200),
    ) {
        let one = run((1, 1), &all, &dice)?;
        let several = run(workers, &all, &dice)?;
        prop_assert_eq!(one, several);
    }
}

#[test]
fn eight_queue_pairs_of_one_vnic_are_spread_evenly() {
    const PAIRS: usize = 8;
    const EACH: usize = 16;
    for workers in [1, 2, 3, 4, 8] {
        let (mut adapter, mut links) = VirtualAdapter::new(&AdapterSpec {
            links: 1,
            vnics: vec![VnicSpec { link: 0, vif: 5, params: VifParams::default() }],
            workers,
            link_queues: workers,
            guest_queues: PAIRS,
            ..AdapterSpec::default()
        });
        for number in 0..EACH {
            for queue in 0..PAIRS {
                let sent = Sent { from: 0, queue, to: STATIONS };
                assert!(adapter.guests[0].send_by(queue, &sent.octets(number)));
            }
        }
        settle(0, &mut [&mut adapter]);
        let mut shares = adapter.received_by_worker();
        shares.sort_unstable();
        let pairs: Vec<u64> = shares.iter().map(|share| share / EACH as u64).collect();
        let (least, rest) = (PAIRS / workers, PAIRS % workers);
        let even = (0..workers).map(|nth| (least + usize::from(nth >= workers - rest)) as u64);
        assert_eq!(pairs, even.collect::<Vec<_>>(), "{workers} workers");
        // And each of them by a ring of its own.
        let came = links[0].received_by_queue();
        assert_eq!(came.iter().map(Vec::len).sum::<usize>(), PAIRS * EACH);
        assert!(came.iter().all(|queue| !queue.is_empty()), "{workers} workers");
    }
}

#[test]
fn each_worker_has_its_share() {
    let mut world = World::new((2, 3));
    world.greet();
    for round in 0..64 {
        for from in 0..HOST {
            for queue in 0..QUEUES {
                let to = (from + 1 + round) % HOST;
                if to != from {
                    assert!(world.station(from).send_by(queue, &Sent { from, queue, to }.octets(round)));
                }
            }
        }
        world.settle();
    }
    let shares: Vec<u64> = world.switch.all_counters().each().map(|one| one.received.get()).collect();
    let all: u64 = shares.iter().sum();
    // Two rings from each of two adapters: one worker has two of them.
    assert!(shares.iter().all(|share| *share > all / 5), "{shares:?}");
    for adapter in &world.adapters {
        let shares = adapter.received_by_worker();
        let all: u64 = shares.iter().sum();
        assert!(shares.iter().all(|share| *share > all / 3), "{shares:?}");
    }
}
