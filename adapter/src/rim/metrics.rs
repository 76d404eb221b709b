//! Everything that is counted, as OpenMetrics.

use super::adapter::{Adapter, VnicView};
use crate::engine::{LinkStats, VnicStats};
use crate::inventory::LinkEntry;
use firmware_sim::LinkId;
use link::{Monitor, PortState};
use niv_node::counter::Balance;
use niv_node::metrics::{Kind, Metrics};
use std::collections::BTreeMap;
use std::sync::Arc;

type Of<T> = fn(&T) -> u64;

const VNIC: [(&str, &str, Of<VnicStats>); 4] = [
    ("niv_vnic_rx_frames", "Frames taken from the guest", |c| c.rx_frames.get()),
    ("niv_vnic_rx_octets", "Octets taken from the guest", |c| c.rx_octets.get()),
    ("niv_vnic_tx_frames", "Frames delivered to the guest", |c| c.tx_frames.get()),
    ("niv_vnic_tx_octets", "Octets delivered to the guest", |c| c.tx_octets.get()),
];

const LINK: [(&str, &str, Of<LinkStats>); 8] = [
    ("niv_link_rx_frames", "Frames received from the switch", |c| c.rx_frames.get()),
    ("niv_link_rx_octets", "Octets received from the switch", |c| c.rx_octets.get()),
    ("niv_link_tx_frames", "Frames sent to the switch", |c| c.tx_frames.get()),
    ("niv_link_tx_octets", "Octets sent to the switch", |c| c.tx_octets.get()),
    ("niv_link_replicated", "Copies made for members of lists", |c| c.replicated.get()),
    ("niv_link_punted", "Control frames that control got", |c| c.punted.get()),
    ("niv_link_originated", "Frames that control gave to be sent", |c| c.originated.get()),
    ("niv_link_pruned", "List members left out as originators", |c| c.pruned.get()),
];

impl Adapter {
    /// Adds all of it to a page.
    pub(super) fn metrics(&self, metrics: &mut Metrics) {
        let vnics = self.vnics();
        let of_vnics: Vec<VnicStats> = vnics.iter().map(|view| view.entry.stats.total()).collect();
        let of_links: Vec<LinkStats> = self.links.iter().map(|link| link.stats.total()).collect();
        for (name, help, value) in VNIC {
            let mut family = metrics.family(name, Kind::Counter, help);
            for (view, counted) in vnics.iter().zip(&of_vnics) {
                family.sample(&[("vnic", &view.entry.config.name)], value(counted));
            }
        }
        for (name, help, value) in LINK {
            let mut family = metrics.family(name, Kind::Counter, help);
            for (entry, counted) in self.links.iter().zip(&of_links) {
                family.sample(&[("link", &entry.name)], value(counted));
            }
        }
        let workers: Vec<Balance> = self.stats.each().iter().map(|one| one.balance()).collect();
        let of_worker: [(&str, &str, Of<Balance>); 3] = [
            ("niv_worker_received_frames", "Frames that the worker took from guests and links", |c| {
                c.received
            }),
            ("niv_worker_sent_frames", "Frames and copies of the worker that guests and links took", |c| {
                c.sent
            }),
            ("niv_worker_dropped_frames", "Frames that the worker dropped", |c| c.dropped),
        ];
        for (name, help, value) in of_worker {
            let mut family = metrics.family(name, Kind::Counter, help);
            for (worker, moved) in workers.iter().enumerate() {
                family.sample(&[("worker", &worker.to_string())], value(moved));
            }
        }
        let mut drops = metrics.family("niv_adapter_drops", Kind::Counter, "Dropped frames by reason");
        for (reason, count) in self.stats.drops() {
            drops.sample(&[("reason", reason.name())], count);
        }
        let ports: Vec<(&str, &Arc<dyn Monitor>)> = self
            .links
            .iter()
            .map(|link| (link.name.as_str(), &link.monitor))
            .chain(vnics.iter().map(|view| (view.entry.config.name.as_str(), &view.entry.monitor)))
            .collect();
        let mut up = metrics.family("niv_port_up", Kind::Gauge, "1 where frames can pass");
        for (name, monitor) in &ports {
            up.sample(&[("port", name)], u64::from(monitor.state() == PortState::Up));
        }
        let mut device = metrics.family("niv_port_events", Kind::Counter, "What the device of a port counts");
        for (name, monitor) in &ports {
            for counter in monitor.counters() {
                device.sample(&[("port", name), ("event", counter.name)], counter.value);
            }
        }
        self.control_metrics(metrics, &vnics);
    }

    /// What the control protocol has counted and how the vNICs stand.
    fn control_metrics(&self, metrics: &mut Metrics, vnics: &[VnicView]) {
        let mut carrier = metrics.family("niv_vnic_carrier", Kind::Gauge, "1 where the vNIC's link is up");
        let mut vifs: BTreeMap<(u16, &str), u64> = BTreeMap::new();
        for view in vnics {
            let Some(status) = &view.status else { continue };
            carrier.sample(&[("vnic", &view.entry.config.name)], u64::from(status.down.is_none()));
            for vif in &status.vifs {
                *vifs.entry((vif.link.0, vif.phase.name())).or_default() += 1;
            }
        }
        let mut states = metrics.family("niv_vifs", Kind::Gauge, "VIFs by state");
        for ((link, state), count) in vifs {
            states.sample(&[("link", self.link_name(usize::from(link))), ("state", state)], count);
        }
        let (sessions, firmware) = self.look(|firmware, _| {
            let session = |(id, link): (LinkId, &LinkEntry)| {
                let session = firmware.session(id)?;
                let (up, neighbors) = (session.peer().is_some(), session.neighbors().len());
                Some((link.name.clone(), up, neighbors, *session.counters()))
            };
            let links = (0..).map(LinkId).zip(&self.links);
            (links.filter_map(session).collect::<Vec<_>>(), *firmware.counters())
        });
        let mut up = metrics.family("niv_session_up", Kind::Gauge, "1 where the link has its switch");
        sessions.iter().for_each(|(link, is_up, ..)| up.sample(&[("link", link)], u64::from(*is_up)));
        let mut heard = metrics.family("niv_neighbors", Kind::Gauge, "Who speaks LLDP on the link");
        sessions.iter().for_each(|(link, _, count, _)| heard.sample(&[("link", link)], *count as u64));
        let mut control = metrics.family("niv_control", Kind::Counter, "What the session of a link counts");
        for (link, .., counters) in &sessions {
            for (counter, value) in counters.iter() {
                control.sample(&[("link", link), ("counter", counter)], value);
            }
        }
        let mut own = metrics.family("niv_firmware", Kind::Counter, "What the firmware counts");
        firmware.iter().for_each(|(counter, value)| own.sample(&[("counter", counter)], value));
        let healthy = self.store.health().is_ok();
        let mut store = metrics.family("niv_store_healthy", Kind::Gauge, "1 where state is kept");
        store.sample(&[], u64::from(healthy));
        let mut events = metrics.family("niv_events", Kind::Counter, "Events recorded");
        events.sample(&[], self.log.recorded());
    }
}
