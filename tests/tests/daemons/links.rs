//! What an NIV link between two daemons may be, and what a stranger sees of it.

use super::net::{Net, Tcpdump};
use super::place::Place;
use super::testpmd::Testpmd;
use std::path::PathBuf;

/// What a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// A memif between both daemons.
    Memif,
    /// A veth.
    Veth,
    /// DPDK's end of a memif at the adapter, and from there a veth to the switch.
    DpdkAtAdapter,
    /// A veth from the adapter, and from there DPDK's end of a memif at the switch.
    DpdkAtSwitch,
}

impl Over {
    pub(crate) const ALL: [Self; 4] = [Self::Memif, Self::Veth, Self::DpdkAtAdapter, Self::DpdkAtSwitch];

    /// What it needs.
    pub(crate) const PROGRAMS: [&str; 5] = ["ip", "tcpdump", "tshark", "dpdk-testpmd", "stdbuf"];
}

/// The file that a memif's frames go to, which the adapter writes.
const OURS: &str = "link0.pcapng";

/// Octets of a frame that a link carries, without its Ethernet header.
const MTU: usize = 1510;

/// A link. It takes its interfaces with it.
pub(crate) struct Link {
    /// Its device at the switch and at the adapter.
    pub(crate) devices: [String; 2],
    /// Further keys of the link at the adapter.
    pub(crate) keys: String,
    over: Over,
    /// Both ends of the veth: a daemon's, and the other one.
    veth: Option<[String; 2]>,
    running: Option<(Tcpdump, Option<Testpmd>)>,
    _net: Net,
}

impl Link {
    /// Its interfaces.
    pub(crate) fn lay(over: Over) -> Self {
        let mut net = Net::default();
        let memif = || "memif:link0.sock".to_owned();
        let packet = |interface: &String| format!("packet:{interface}");
        let veth = (over != Over::Memif).then(|| net.veth(MTU));
        let devices = match (over, &veth) {
            (Over::Veth, Some([a, b])) => [packet(a), packet(b)],
            (Over::DpdkAtAdapter, Some([a, _])) => [packet(a), memif()],
            (Over::DpdkAtSwitch, Some([a, _])) => [memif(), packet(a)],
            _ => [memif(), memif()],
        };
        let keys = if over == Over::Memif { format!("capture = \"{OURS}\"\n") } else { String::new() };
        Self { devices, keys, over, veth, running: None, _net: net }
    }

    /// What belongs to it beside the daemons, which run: DPDK, and who looks.
    pub(crate) fn begin(&mut self, place: &Place) {
        let Some([seen, peer]) = &self.veth else { return };
        let tcpdump = Tcpdump::on(seen, place.path("link0.pcap"));
        let role = match self.over {
            Over::DpdkAtAdapter => Some("server"),
            Over::DpdkAtSwitch => Some("client"),
            Over::Memif | Over::Veth => None,
        };
        self.running = Some((tcpdump, role.map(|role| Testpmd::bridge(place, role, peer))));
    }

    /// Ends the looking; what was seen. The adapter has ended.
    pub(crate) fn seen(&mut self, place: &Place) -> PathBuf {
        match self.running.take() {
            Some((tcpdump, _)) => tcpdump.end(),
            None => place.path(OURS),
        }
    }
}
