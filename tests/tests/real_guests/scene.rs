//! A switch and an adapter that negotiate, and two real guests in one network.

use super::files::{negotiated_port, negotiated_vnic, negotiating_link, node};
use super::machine::nic;
use super::place::{Place, until};
use niv_lab::lab::agent::Agent;
use niv_lab::lab::guest::{BOOT, Guest, Machine};
use serde_json::Value;
use std::time::Duration;

/// How long a guest may take for a command.
pub(crate) const COMMAND: Duration = Duration::from_secs(30);

/// The address of the second guest; the first one's ends with 1.
pub(crate) const OTHER: &str = "10.10.0.2";

pub(crate) fn mac(n: u8) -> String {
    format!("52:54:00:00:00:0{n}")
}

/// How it is set up.
pub(crate) struct Scene {
    /// The link's device at the switch and at the adapter.
    pub(crate) devices: [String; 2],
    /// Further keys of the link at the adapter.
    pub(crate) link: String,
    /// Queue pairs of each vNIC; with more than one, its guest has two processors.
    pub(crate) queues: u16,
    /// What QEMU is told of each guest's network card beside the usual: `,csum=off`.
    pub(crate) cards: [&'static str; 2],
}

impl Default for Scene {
    fn default() -> Self {
        let memif = || "memif:link0.sock".to_owned();
        Self { devices: [memif(), memif()], link: String::new(), queues: 1, cards: [""; 2] }
    }
}

impl Scene {
    /// Name and text of each file that the daemons read.
    fn files(&self) -> [(&'static str, String); 3] {
        let vnic = |n: u8| {
            let vnic = negotiated_vnic(&format!("vnic{n}"), &format!("vhost-user:vnic{n}.sock"), &mac(n));
            vnic + &format!("queues = {}\n", self.queues)
        };
        let link = negotiating_link("link0", &self.devices[1]) + &self.link;
        let adapter = node("adapter0") + &link + &vnic(1) + &vnic(2);
        let chassis = node("vis0") + &negotiated_port(1, &self.devices[0]);
        [("vis0.toml", chassis), ("vis0.cfg", String::new()), ("adapter0.toml", adapter)]
    }

    /// Both daemons.
    pub(crate) fn daemons(&self) -> Place {
        let mut place = Place::new(&self.files());
        place.start("vis0");
        place.start("adapter0");
        place
    }

    /// Both daemons end, and begin anew as this scene has them.
    pub(crate) fn again(&self, place: &mut Place) {
        for name in ["adapter0", "vis0"] {
            place.stop(name);
        }
        self.files().iter().for_each(|(name, text)| place.write(name, text));
        for name in ["vis0", "adapter0"] {
            place.start(name);
        }
    }

    /// QEMU's arguments for a guest on the adapter's vNIC `n`.
    pub(crate) fn card(&self, place: &Place, n: u8) -> Vec<String> {
        let mut words = nic(&place.path(&format!("vnic{n}.sock")), "reconnect=1", &mac(n));
        for word in &mut words {
            let is_device = word.starts_with("virtio-net-pci");
            if is_device {
                word.push_str(self.cards.get(usize::from(n) - 1).copied().unwrap_or_default());
            }
            match (self.queues, is_device) {
                (2.., true) => word.push_str(",mq=on"),
                (2.., false) if word.starts_with("vhost-user,") => {
                    word.push_str(&format!(",queues={}", self.queues));
                }
                _ => {}
            }
        }
        if self.queues > 1 {
            words.extend(["-smp", "2"].map(str::to_owned));
        }
        words
    }

    /// Boots both guests, at the same time.
    pub(crate) fn guests(&self, place: &Place, machine: &Machine) -> [(Guest, Agent); 2] {
        let start = |n: u8| {
            let settings = format!("niv.ip=10.10.0.{n}/24");
            Guest::start(&format!("vm{n}"), machine, &settings, &self.card(place, n)).unwrap()
        };
        let guests = [1, 2].map(start).map(|mut guest| {
            let agent = guest.agent(BOOT).unwrap();
            (guest, agent)
        });
        active(place);
        guests
    }

    /// All of it.
    pub(crate) fn start(&self, machine: &Machine) -> (Place, [(Guest, Agent); 2]) {
        let place = self.daemons();
        let guests = self.guests(&place, machine);
        (place, guests)
    }
}

/// Waits until all vNICs carry traffic: their names, VIFs and vEths.
pub(crate) fn active(place: &Place) -> Vec<[Value; 3]> {
    until("all vNICs are active", || {
        let rows = place.client("adapter0").exec("show vnic").ok()?;
        let rows = rows.as_array()?;
        let is_active = |row: &Value| row["vif_state"] == "active" && row["state"] == "up";
        let found = rows.iter().map(|row| ["name", "vif", "veth"].map(|key| row[key].clone()));
        rows.iter().all(is_active).then(|| found.collect())
    })
}

/// The first guest reaches the other one.
pub(crate) fn ping(agent: &Agent) {
    until("a guest reaches the other", || agent.must(&format!("ping -c 1 -W 1 {OTHER}"), COMMAND).ok());
}
