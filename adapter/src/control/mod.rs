//! Between the firmware and the data path: what the one says, in the words of the other.
//!
//! ```text
//!                 frames, link state, rings              orders, frames
//!   data path ────────────────────────────► Firmware ────────────────────► data path
//!   front door                                  │       carrier
//!   commands                                    └────────────────────────► front door, log
//! ```
//!
//! Pure, like the firmware itself: whoever owns both (the rim, or a virtual world) is the [`Host`] that carries out what
//! [`carry_out`] brings. A vNIC has one number for both: its slot in the data path is its [`VnicId`].

mod translate;

pub use translate::{afex_counters, engine_order, engine_params};

use crate::engine::Order;
use firmware_sim::{CarrierCause, Firmware, LinkId, Notice, OrderId, Output, VnicId};
use vntag::ctl::Counters;

/// Control frames that one [`Order::Send`] carries at the most.
const SENDING: usize = 64;

/// Carries out what the firmware wants.
pub trait Host {
    /// No more orders can be taken for now: [`carry_out`] leaves the rest for its next call.
    fn is_full(&self) -> bool;

    /// To the data path, after all that were given before. One with an id is
    /// [confirmed](Firmware::confirm) when it is in effect in every worker.
    fn apply(&mut self, order: Order, id: Option<OrderId>);

    /// A guest's carrier changes.
    fn carrier(&mut self, vnic: VnicId, down: Option<CarrierCause>);

    /// What a vNIC has counted; `None` if it has gone.
    fn counters(&self, vnic: VnicId) -> Option<Counters>;

    /// Something for the log.
    fn notice(&mut self, notice: Notice);
}

/// Has everything done that the firmware wants, on all its `links`. To be called after each input to it, and at its
/// [next deadline](Firmware::next_deadline).
///
/// Frames follow the orders that were given before them: a switch that is asked for a new VIF must not meet a data path
/// that still has the former one.
pub fn carry_out(firmware: &mut Firmware, links: u16, now: u64, host: &mut impl Host) {
    loop {
        let mut ordered = false;
        while !host.is_full()
            && let Some(output) = firmware.poll_output()
        {
            ordered = true;
            match output {
                Output::Order(id, order) => host.apply(engine_order(order), Some(id)),
                Output::Carrier { vnic, down } => host.carrier(vnic, down),
                Output::Stats { id, vnic, .. } => {
                    firmware.stats(now, id, host.counters(vnic).unwrap_or_default());
                }
                Output::Notice(notice) => host.notice(notice),
            }
        }
        for link in (0..links).map(LinkId) {
            send(firmware, link, now, host);
        }
        // Whoever is asked for frames may want something else done.
        if !ordered {
            return;
        }
    }
}

/// Has the frames sent that wait for a link.
fn send(firmware: &mut Firmware, link: LinkId, now: u64, host: &mut impl Host) {
    while !host.is_full() {
        let frames = core::iter::from_fn(|| firmware.poll_transmit(now, link)).take(SENDING);
        let frames: Vec<Vec<u8>> = frames.collect();
        if frames.is_empty() {
            return;
        }
        host.apply(Order::Send { link: usize::from(link.0), frames }, None);
    }
}

#[cfg(test)]
mod tests;
