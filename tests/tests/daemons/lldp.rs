//! Neighbours as others see them: lldpd on both ends of an NIV link, and tshark on what the daemons said.

use super::files::{negotiated_port, negotiated_vnic, negotiating_link, node};
use super::net::{Net, missing_rights};
use super::place::{Place, left_out, missing_program, text, until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A daemon that speaks LLDP on these interfaces and on no other.
struct Lldpd {
    child: Child,
    socket: PathBuf,
}

impl Lldpd {
    /// Its files are its own: it sees an empty `/run`.
    fn start(place: &Place, interfaces: &[String; 2]) -> Self {
        let socket = place.path("lldpd.sock");
        let log = std::fs::File::create(place.path("lldpd.log")).unwrap();
        let child = Command::new("unshare")
            .args(["--mount", "sh", "-c"])
            .arg("mount -t tmpfs none /run && mkdir /run/lldpd && exec lldpd \"$@\"")
            .args(["lldpd", "-d", "-S", "a stranger", "-O", "/dev/null", "-u"])
            .arg(&socket)
            .args(["-I", &interfaces.join(","), "-C", &interfaces[0]])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child, socket }
    }

    /// It says again who it is: by itself it does so every 30 seconds.
    fn speak(&self) {
        let said = Command::new("lldpcli").arg("-u").arg(&self.socket).arg("update").output().unwrap();
        assert!(said.status.success(), "{}", text(&said));
    }

    /// The neighbours that it lists on an interface, by name; each with what it knows.
    fn neighbors(&self, interface: &str) -> Vec<(String, Value)> {
        let mut client = Command::new("lldpcli");
        let said = client.arg("-u").arg(&self.socket).args(["-f", "json0", "show", "neighbors", "details"]);
        let said: Value = serde_json::from_slice(&said.output().unwrap().stdout).unwrap_or_default();
        let rows = said["lldp"][0]["interface"].as_array().cloned().unwrap_or_default();
        rows.into_iter()
            .filter(|row| row["name"] == interface)
            .map(|row| (row["chassis"][0]["name"][0]["value"].as_str().unwrap_or_default().to_owned(), row))
            .collect()
    }
}

impl Drop for Lldpd {
    fn drop(&mut self) {
        // It ends the half of itself that is without rights.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}

#[test]
fn lldpd_lists_switch_and_adapter_and_they_list_it() {
    if left_out(missing_program(&["ip", "unshare", "lldpd", "lldpcli", "tshark"]))
        || left_out(missing_rights())
    {
        return;
    }
    let mut net = Net::default();
    let [a, b] = net.veth(1510);
    let adapter = node("adapter0")
        + &negotiating_link("link0", &format!("packet:{b}"))
        + "capture = \"link0.pcapng\"\n"
        + &negotiated_vnic("vnic0", "vhost-user:vnic0.sock", "52:54:00:00:00:01");
    let chassis = node("vis0") + &negotiated_port(1, &format!("packet:{a}"));
    let mut place =
        Place::new(&[("vis0.toml", chassis), ("vis0.cfg", String::new()), ("adapter0.toml", adapter)]);
    let lldpd = Lldpd::start(&place, &[a.clone(), b.clone()]);
    until("lldpd answers", || lldpd.socket.exists().then_some(()));
    place.start("vis0");
    place.start("adapter0");

    // Each end of the link hears the other one, and of lldpd what it says on the far end.
    for (interface, name, port, capability) in
        [(&a, "adapter0", "link0", "Station"), (&b, "vis0", "", "Bridge")]
    {
        let row = until(&format!("lldpd lists {name}"), || {
            lldpd.neighbors(interface).into_iter().find(|(known, _)| known == name)
        });
        let row = row.1;
        assert_eq!(row["port"][0]["ttl"][0]["value"], "120", "{row:#}");
        assert!(row["port"][0]["id"][0]["value"].as_str().unwrap().contains(port), "{row:#}");
        let on: Vec<_> = row["chassis"][0]["capability"].as_array().unwrap().iter().collect();
        assert!(on.iter().any(|able| able["type"] == capability && able["enabled"] == true), "{row:#}");
        let unknown = &row["unknown-tlvs"][0]["unknown-tlv"][0];
        assert_eq!((&unknown["oui"], &unknown["subtype"]), (&"02,4E,56".into(), &"1".into()), "{row:#}");
    }
    for (node, other) in [("vis0", "adapter0"), ("adapter0", "vis0")] {
        let name = |row: &Value| row["neighbor"].as_str().unwrap_or_default().to_owned();
        until(&format!("{node} lists lldpd and {other}, and only {other} as its peer"), || {
            lldpd.speak();
            let rows = place.show(node, "show neighbors");
            let rows = rows.as_array()?.clone();
            let peers: Vec<_> = rows.iter().filter(|row| row["standing"] == "peer").collect();
            let stranger = rows.iter().any(|row| name(row) != other);
            let stranger = stranger && peers.iter().all(|peer| peer["session"] == "up");
            (rows.len() == 2 && stranger && peers.len() == 1 && name(peers[0]) == other).then_some(())
        });
    }
    // Both say the same of a neighbour, but for whether it is behind a link or an interface.
    let [of_switch, of_adapter] = ["vis0", "adapter0"].map(|node| {
        let rows = place.show(node, "show neighbors");
        rows[0].as_object().unwrap().keys().skip(1).cloned().collect::<Vec<_>>()
    });
    assert_eq!(of_switch, of_adapter);

    // One that stops says so, and is listed no more.
    place.stop("vis0");
    until("lldpd forgets the switch", || {
        lldpd.neighbors(&b).iter().all(|(name, _)| name != "vis0").then_some(())
    });
    place.stop("adapter0");
    until("lldpd forgets the adapter", || {
        lldpd.neighbors(&a).iter().all(|(name, _)| name != "adapter0").then_some(())
    });
    without_expert_warnings(&place.path("link0.pcapng"));
}

/// tshark finds nothing wrong with what our daemons said on the link.
fn without_expert_warnings(capture: &Path) {
    let mut tshark = Command::new("tshark");
    tshark.arg("-r").arg(capture).args(["-Y", "lldp", "-T", "fields", "-E", "separator=|"]);
    for field in ["lldp.tlv.system.name", "_ws.expert.message", "_ws.malformed", "lldp.time_to_live"] {
        tshark.args(["-e", field]);
    }
    let output = tshark.output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let said = String::from_utf8(output.stdout).unwrap();
    for name in ["vis0", "adapter0"] {
        let of_it: Vec<&str> = said.lines().filter(|line| line.starts_with(name)).collect();
        assert!(!of_it.is_empty(), "{name} said nothing:\n{said}");
        assert!(of_it.iter().all(|line| *line == format!("{name}|||120")), "{name}:\n{said}");
    }
    // The good-byes have no names.
    assert!(said.lines().filter(|line| *line == "|||0").count() >= 2, "{said}");
}
