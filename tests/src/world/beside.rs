//! A guest that may break every rule of its rings, at the real data path, and beside it, on the same worker and the same link,
//! one that keeps them: which loses no frame, whatever the other one does.

use super::frames::{down, frame, mac, up};
use crate::driver::{Features, NetDriver, VirtualNic};
use link::pair::Config;
use link::{BURST, OutFrame, Port, RxBurst, RxQueue, TxQueue};
use niv_adapter::engine::{Datapath, LinkSetup, Order, Stats, VifParams, VifState, VlanMode, VnicSetup};
use niv_node::worker::Worker;
use vntag::{VifId, Vntag};

/// The VIF of the guest that may break rules, and the number of its station.
pub const LIAR: u16 = 1;
/// Those of the other one.
const HEALTHY: u16 = 2;
/// The station behind the link.
pub const FAR: u16 = 9;
/// Turns after which the worker must have nothing left to do.
const TURNS: usize = 4096;

/// Both guests at their worker, and the far end of its link.
pub struct Beside {
    worker: Datapath<Vntag>,
    stats: Stats,
    peer: Port,
    healthy: NetDriver,
    /// Frames that the healthy guest has exchanged.
    exchanged: u16,
}

impl Beside {
    /// The queues of the guest that may break rules, and what is put around the queue of the link.
    ///
    /// # Panics
    /// When there is no memory.
    pub fn new(
        (rx, tx): (impl RxQueue + 'static, impl TxQueue + 'static),
        around: impl FnOnce(Box<dyn TxQueue>) -> Box<dyn TxQueue>,
    ) -> Self {
        let config = Config { capacity: 1024, max_frame: 1 << 17, ..Config::default() };
        let (near, peer, _) = config.open().expect("a pair");
        let link = around(near.tx.into_iter().next().expect("a pair has a queue"));
        let stats = Stats::default();
        let mut worker = Datapath::new(vec![LinkSetup { rx: near.rx, tx: link, punt: None }], &stats, None);
        let features = Features { queue_size: 16, ..Features::default() };
        let (healthy, good_rx, good_tx) = VirtualNic::ends(features).expect("a guest");
        let (rx, tx): (Box<dyn RxQueue>, Box<dyn TxQueue>) = (Box::new(rx), Box::new(tx));
        for (slot, vif, rx, tx) in [(0, LIAR, rx, tx), (1, HEALTHY, good_rx, good_tx)] {
            worker.apply(Order::AddVnic(
                slot,
                VnicSetup { rx: vec![rx], tx: vec![tx], stats: stats.add_vnic() },
            ));
            let vif = VifId::new(vif).expect("a VIF");
            let params = VifParams { vlan_mode: VlanMode::Access, ..VifParams::default() };
            worker.apply(Order::SetVif { link: 0, vif, vnic: slot, state: VifState::Active, params });
        }
        Self { worker, stats, peer, healthy, exchanged: 0 }
    }

    /// Sends a frame with this payload down the link, to the guest that may break rules; on its way with the next
    /// [`run`](Self::run). Gives the frame as its guest is to get it.
    pub fn send(&mut self, payload: &[u8]) -> Vec<u8> {
        self.send_to(LIAR, payload)
    }

    fn send_to(&mut self, vif: u16, payload: &[u8]) -> Vec<u8> {
        let sent = frame(mac(vif), mac(FAR));
        let tagged = sent.clone().vntag(down(vif.into())).vlan(1, 0).payload(0x88b5, payload);
        let taken = self.peer.tx[0].send(0, &[OutFrame::private(&tagged)]);
        assert_eq!((taken.frames, taken.refused), (1, 0), "the link has room");
        sent.payload(0x88b5, payload)
    }

    /// Lets the worker work until there is nothing to do. The healthy guest exchanges a frame with the far end meanwhile.
    /// Gives what the other one sent, as it sent it.
    ///
    /// # Panics
    /// Where the healthy guest lost a frame, the worker does not come to rest, a frame is unaccounted for or longer than it may
    /// be, or one has a VIF that its sender does not have.
    pub fn run(&mut self) -> Vec<Vec<u8>> {
        self.exchanged = self.exchanged.wrapping_add(1);
        let payload = self.exchanged.to_be_bytes().repeat(23);
        self.healthy.reclaim();
        let sent = frame(mac(FAR), mac(HEALTHY)).payload(0x88b5, &payload);
        assert!(self.healthy.queue(&sent), "the healthy guest's ring has room");
        self.healthy.flush();
        let answer = self.send_to(HEALTHY, &payload);

        self.worker.wake_all();
        let done = (0..TURNS).any(|turn| self.worker.turn(turn as u64).moved == 0);
        assert!(done, "the worker always finds something to do");
        let balance = self.stats.balance();
        assert!(balance.holds(), "{balance:?}");

        let (mut lies, mut arrived) = (Vec::new(), 0);
        for frame in self.ascended() {
            let (tag, untagged) = untagged(&frame);
            if tag == up(HEALTHY.into()) {
                arrived += 1;
                assert_eq!(untagged, sent, "the healthy guest's frame as it was sent");
            } else {
                assert_eq!(tag, up(LIAR.into()), "nobody's VIF");
                // Rule I6: the MTU, and a tag, which a guest may have filled otherwise.
                let payload = untagged.len() - 14;
                assert!(payload <= usize::from(VifParams::default().mtu) + 4, "{payload} octets on the link");
                lies.push(untagged);
            }
        }
        assert_eq!(arrived, 1, "frames of the healthy guest");
        assert_eq!(self.healthy.poll(), Some(answer), "the frame to the healthy guest");
        assert_eq!(self.healthy.poll(), None);
        lies
    }

    /// What came up the link.
    fn ascended(&mut self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        loop {
            let mut burst = RxBurst::new();
            self.peer.rx[0].recv(0, BURST, &mut burst);
            let lent = burst.len();
            frames.extend(burst.iter().map(|frame| frame.data.to_vec()));
            drop(burst);
            self.peer.rx[0].release(lent);
            if lent == 0 {
                return frames;
            }
        }
    }
}

/// The word of an upward frame's VNTag, and the frame without it and without the 802.1Q tag that is behind each.
fn untagged(frame: &[u8]) -> (u32, Vec<u8>) {
    assert_eq!((&frame[12..14], &frame[18..20]), (&[0x89, 0x26][..], &[0x81, 0x00][..]));
    let tag = u32::from_be_bytes([frame[14], frame[15], frame[16], frame[17]]);
    // The guest's own tag, where it has one, takes the place of the one that says nothing.
    let behind = if frame[20..22] == [0, 0] { 22 } else { 18 };
    (tag, [&frame[..12], &frame[behind..]].concat())
}
