//! A vNIC's queues are exchanged and its groups counted. What becomes of frames is tested from outside, in worlds.

use super::*;
use ::link::pair::pair;
use ::link::{OutFrame, Port, RxBurst};
use vntag::Vntag;

fn all(port: &mut Port) -> Vec<Vec<u8>> {
    let mut burst = RxBurst::new();
    port.rx[0].recv(0, BURST, &mut burst);
    let frames: Vec<_> = burst.iter().map(|frame| frame.data.to_vec()).collect();
    drop(burst);
    port.rx[0].release(frames.len());
    frames
}

fn frame(destination: u8) -> [u8; 60] {
    let mut frame = [0; 60];
    frame[..6].fill(destination);
    (frame[6], frame[12]) = (2, 8);
    frame
}

struct Bed {
    datapath: Datapath<Vntag>,
    stats: Arc<VnicStats>,
    switch: Port,
}

impl Bed {
    fn new() -> Self {
        let (near, switch, _cable) = pair(64);
        let sums = Stats::default();
        let tx = near.tx.into_iter().next().expect("a queue");
        let datapath = Datapath::new(vec![LinkSetup { rx: near.rx, tx, punt: None }], &sums, None);
        Self { datapath, stats: sums.add_vnic(), switch }
    }

    /// The vNIC gets these queues; the guest's ends of them.
    fn plug(&mut self, order: fn(VnicSlot, VnicSetup) -> Order) -> Port {
        let (near, guest, _cable) = pair(64);
        let setup = VnicSetup { rx: near.rx, tx: near.tx, stats: Arc::clone(&self.stats) };
        self.datapath.apply(order(0, setup));
        guest
    }

    fn turn(&mut self) {
        self.datapath.wake_all();
        while self.datapath.turn(0).moved > 0 {}
    }
}

#[test]
fn a_vnic_with_other_queues_keeps_its_vif() {
    let mut bed = Bed::new();
    let mut first = bed.plug(Order::AddVnic);
    let vif = VifId::new(5).expect("a VIF");
    let (state, params) = (VifState::Active, VifParams::default());
    bed.datapath.apply(Order::SetVif { link: 0, vif, vnic: 0, state, params });
    let mut second = bed.plug(Order::SetQueues);
    assert!(bed.datapath.events_changed());
    for (guest, frames) in [(&mut first, 0), (&mut second, 1)] {
        guest.tx[0].send(0, &[OutFrame::private(&frame(4))]);
        bed.turn();
        assert_eq!(all(&mut bed.switch).len(), frames, "of what the guest sent");
    }
    // Toward the guest: VNTag to VIF 5, d = 1.
    let down = [&frame(4)[..12], &[0x89, 0x26, 0x80, 5, 0, 0], &frame(4)[12..]].concat();
    bed.switch.tx[0].send(0, &[OutFrame::private(&down)]);
    bed.turn();
    assert_eq!((all(&mut first).len(), all(&mut second)), (0, vec![frame(4).to_vec()]));
    assert_eq!((bed.stats.rx_frames.get(), bed.stats.tx_frames.get()), (1, 1));

    bed.datapath.apply(Order::SetQueues(7, VnicSetup { rx: vec![], tx: vec![], stats: Arc::default() }));
    bed.datapath.apply(Order::RemoveVnic(0));
    second.tx[0].send(0, &[OutFrame::private(&frame(4))]);
    bed.turn();
    assert_eq!(all(&mut bed.switch).len(), 0);
}

#[test]
fn groups_are_counted_apart_both_ways() {
    let mut bed = Bed::new();
    let mut guest = bed.plug(Order::AddVnic);
    let vif = VifId::new(5).expect("a VIF");
    let (state, params) = (VifState::Active, VifParams::default());
    bed.datapath.apply(Order::SetVif { link: 0, vif, vnic: 0, state, params });
    for destination in [4, 1, 0xff, 0xff] {
        let up = frame(destination);
        guest.tx[0].send(0, &[OutFrame::private(&up)]);
        let down = [&up[..12], &[0x89, 0x26, 0x80, 5, 0, 0], &up[12..]].concat();
        bed.switch.tx[0].send(0, &[OutFrame::private(&down)]);
    }
    bed.turn();
    for groups in [&bed.stats.rx_groups, &bed.stats.tx_groups] {
        assert_eq!((groups.multicast_frames.get(), groups.multicast_octets.get()), (1, 60));
        assert_eq!((groups.broadcast_frames.get(), groups.broadcast_octets.get()), (2, 120));
    }
}
