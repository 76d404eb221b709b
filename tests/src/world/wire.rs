//! A link with a length: what goes in at one end comes out at the other later, or never, or twice.

use super::{End, Machine};
use crate::random::Random;
use crate::weather::Weather;
use link::Port;
use link::pair::{Cable, Config};
use std::collections::BTreeMap;

/// The switch's end of a link.
pub const SWITCH: usize = 0;
/// The adapter's.
pub const ADAPTER: usize = 1;

/// A frame as a listener on the wire sees it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When it was sent.
    pub sent: u64,
    /// Which end sent it.
    pub from: usize,
    /// The frame.
    pub frame: Vec<u8>,
}

/// Two cables and what lies between them.
pub struct Wire {
    /// What was sent, since a test began to listen by putting something here.
    pub seen: Option<Vec<Seen>>,
    ends: [End; 2],
    cables: [Cable; 2],
    config: Config,
    /// What is on its way to each end, by the time of its arrival and the order in which it was sent.
    under_way: [BTreeMap<(u64, u64), Vec<u8>>; 2],
    /// How it treats frames.
    pub weather: Weather,
    /// It loses everything, and neither end is told.
    pub cut: bool,
    random: Random,
    sent: u64,
    now: u64,
}

impl Wire {
    /// A wire, and the ports to be plugged into the machines at its ends.
    ///
    /// # Panics
    /// Never: cables without events need nothing of the system.
    #[must_use]
    pub fn new(config: Config, weather: Weather, seed: u64) -> (Self, [Port; 2]) {
        let [a, b] = [0, 1].map(|_| config.open().expect("a pair without events needs nothing"));
        let wire = Self {
            seen: None,
            ends: [End::new(a.1), End::new(b.1)],
            cables: [a.2, b.2],
            config,
            under_way: [BTreeMap::new(), BTreeMap::new()],
            weather,
            cut: false,
            random: Random::new(seed),
            sent: 0,
            now: 0,
        };
        (wire, [a.0, b.0])
    }

    /// What was plugged in at one end is gone; something new is to be. Both ends see the wire come up with it.
    ///
    /// # Panics
    /// Never, as [`new`](Self::new).
    pub fn renew(&mut self, end: usize) -> Port {
        let (near, far, cable) = self.config.open().expect("a pair without events needs nothing");
        self.plug(false);
        (self.ends[end], self.cables[end]) = (End::new(far), cable);
        self.plug(true);
        near
    }

    /// Puts a frame on the wire that neither end has sent; it arrives at once.
    pub fn inject(&mut self, to: usize, frame: &[u8]) {
        self.sent += 1;
        self.under_way[to].insert((self.now, self.sent), frame.to_vec());
    }

    /// Both ends see it go down, and what is under way is lost; or both see it come up.
    pub fn plug(&mut self, up: bool) {
        for (cable, under_way) in self.cables.iter().zip(&mut self.under_way) {
            if up {
                cable.plug();
            } else {
                cable.unplug();
                under_way.clear();
            }
        }
    }
}

impl Machine for Wire {
    fn run(&mut self, now: u64) -> usize {
        self.now = now;
        let mut moved = 0;
        for (from, to) in [(0, 1), (1, 0)] {
            let frames = self.ends[from].received();
            moved += frames.len();
            if let Some(seen) = &mut self.seen {
                seen.extend(frames.iter().map(|frame| Seen { sent: now, from, frame: frame.clone() }));
            }
            for frame in frames.into_iter().filter(|_| !self.cut) {
                for after in self.weather.arrivals(&mut self.random) {
                    self.sent += 1;
                    self.under_way[to].insert((now + after, self.sent), frame.clone());
                }
            }
            while let Some(first) = self.under_way[to].first_entry().filter(|first| first.key().0 <= now) {
                // A full end leaves it on the wire.
                if !self.ends[to].send(first.get()) {
                    break;
                }
                first.remove();
                moved += 1;
            }
        }
        moved
    }

    fn deadline(&self) -> Option<u64> {
        let due = self.under_way.iter().filter_map(|frames| frames.keys().next().map(|(at, _)| *at));
        due.filter(|at| *at > self.now).min()
    }
}
