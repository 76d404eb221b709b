//! What a guest can do wrong in a ring, each under its own name.

use link::PortCounter;
use niv_node::counter::Counter;

/// Which of the two rings of a queue pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The guest's transmit ring: frames from the guest.
    FromGuest,
    /// The guest's receive ring: frames to the guest.
    ToGuest,
}

macro_rules! faults {
    ($($(#[doc = $help:literal])+ $value:ident = $from:literal, $to:literal;)+) => {
        /// A reason to drop what a guest offered.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Fault { $($(#[doc = $help])+ $value),+ }

        impl Fault {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$value),+];

            /// The counter's name.
            #[must_use]
            pub const fn name(self, direction: Direction) -> &'static str {
                match (self, direction) {
                    $((Self::$value, Direction::FromGuest) => $from, (Self::$value, Direction::ToGuest) => $to,)+
                }
            }

            /// One line of help.
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self { $(Self::$value => concat!($($help),+)),+ }
            }
        }
    };
}

faults! {
    /// The available index jumped by more than the ring has; the ring stops until it is set up again.
    BadIndex = "rx_bad_index", "tx_bad_index";
    /// The guest's memory was cut off under the ring; the ring stops until it is set up again.
    LostMemory = "rx_lost_memory", "tx_lost_memory";
    /// A head, or the next descriptor, that the table does not have.
    BadDescriptor = "rx_bad_descriptor", "tx_bad_descriptor";
    /// A buffer outside the guest's memory.
    BadAddress = "rx_bad_address", "tx_bad_address";
    /// A chain of the wrong direction, or an indirect table that is not legal.
    BadChain = "rx_bad_chain", "tx_bad_chain";
    /// A chain with more descriptors than the ring has.
    ChainLoop = "rx_chain_loop", "tx_chain_loop";
    /// A chain too short for the virtio-net header.
    ShortHeader = "rx_short_header", "tx_short_header";
    /// A virtio-net header that asks for an offload which was not negotiated.
    BadHeader = "rx_bad_header", "tx_bad_header";
    /// More octets or pieces than a frame can have.
    Oversize = "rx_oversize", "tx_oversize";
    /// A frame longer than the buffer the guest gave for it.
    NoFit = "rx_no_fit", "tx_no_fit";
}

/// Everything counted for one ring. Written by whoever holds the ring's lock.
#[derive(Debug, Default)]
pub struct RingCounters {
    faults: [Counter; Fault::ALL.len()],
    /// Frames that passed.
    pub frames: Counter,
    /// Their octets, without virtio-net header.
    pub octets: Counter,
    /// Times the guest was told of used buffers.
    pub calls: Counter,
    /// Times the front end named another index to begin from than the one up to which the ring is used.
    pub resumed: Counter,
    /// Frames of a ring taken over from another process that this one may have sent already.
    pub uncertain: Counter,
    /// Buffers that another device had in flight and that went back to the guest empty.
    pub returned: Counter,
}

impl RingCounters {
    /// Counts a fault.
    #[cold]
    pub(crate) fn fault(&self, fault: Fault) {
        self.faults[fault as usize].add(1);
    }

    /// How often.
    #[must_use]
    pub fn faults(&self, fault: Fault) -> u64 {
        self.faults[fault as usize].get()
    }

    /// All faults together.
    #[must_use]
    pub fn faults_total(&self) -> u64 {
        self.faults.iter().map(Counter::get).sum()
    }

    /// As counters of a port.
    pub(crate) fn list(&self, direction: Direction) -> Vec<PortCounter> {
        let [frames, octets, calls] = match direction {
            Direction::FromGuest => ["rx_frames", "rx_octets", "rx_calls"],
            Direction::ToGuest => ["tx_frames", "tx_octets", "tx_calls"],
        };
        let mut list = vec![
            PortCounter { name: frames, value: self.frames.get(), help: "frames that passed this ring" },
            PortCounter { name: octets, value: self.octets.get(), help: "octets of these frames" },
            PortCounter { name: calls, value: self.calls.get(), help: "interrupts sent to the guest" },
        ];
        let [resumed, returned] = match direction {
            Direction::FromGuest => ["rx_resumed", "rx_returned"],
            Direction::ToGuest => ["tx_resumed", "tx_returned"],
        };
        let help = "times the ring went on where it was used up to, not where the front end said";
        list.push(PortCounter { name: resumed, value: self.resumed.get(), help });
        let help = "buffers that a device before this one had in flight, out of order: given back empty";
        list.push(PortCounter { name: returned, value: self.returned.get(), help });
        if direction == Direction::FromGuest {
            let help = "frames that an adapter which was killed may have sent already: perhaps sent twice";
            list.push(PortCounter { name: "rx_uncertain", value: self.uncertain.get(), help });
        }
        // A fault that this direction cannot have stays out of the list.
        let possible = |fault: Fault| match direction {
            Direction::FromGuest => fault != Fault::NoFit,
            Direction::ToGuest => true,
        };
        list.extend(Fault::ALL.iter().filter(|fault| possible(**fault)).map(|fault| PortCounter {
            name: fault.name(direction),
            value: self.faults(*fault),
            help: fault.help(),
        }));
        list
    }
}
