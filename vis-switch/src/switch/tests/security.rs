//! Port security, from the frame that violates it to the interface that is up again.

use super::*;

const LINES: &str =
    "interface vethernet 1\n bind interface ethernet 1/2 channel 5\n switchport port-security\n";

impl Rig {
    /// VIF 5 says something with this source; whether the ordinary port hears it.
    fn hears(&mut self, from: u8) -> bool {
        self.out[WIRE].clear();
        self.send(STATIC, &tagged(5, 9, from, 0));
        self.settle();
        self.out[WIRE].len() == 1
    }

    fn state(&self, interface: &str) -> (Value, Value) {
        let shown = self.show(&format!("show interface {interface}"));
        (shown["state"].clone(), shown["cause"].clone())
    }

    fn told(&self, mnemonic: &str) -> Vec<String> {
        let all = self.switch.events.last(usize::MAX).into_iter();
        all.filter(|event| event.event.mnemonic == mnemonic).map(|event| event.event.to_string()).collect()
    }
}

fn disabled() -> (Value, Value) {
    ("err-disabled".into(), "port-security".into())
}

fn up() -> (Value, Value) {
    ("up".into(), Value::Null)
}

#[test]
fn a_violation_takes_the_interface_down_until_somebody_brings_it_back() {
    let mut rig = Rig::new();
    rig.configure(LINES).unwrap();
    assert!(rig.hears(1) && rig.hears(1));
    assert_eq!(rig.state("vethernet 1"), up());
    assert!(!rig.hears(2));
    assert_eq!(rig.state("vethernet 1"), disabled());
    assert!(!rig.hears(1), "nobody passes");
    assert_eq!(
        rig.told("VIOLATION_DETECTED"),
        [
            "%ETH_PORT_SEC-4-VIOLATION_DETECTED: Veth1: 5254.0000.0002 in VLAN 1 is not let in by port security; it is disabled"
        ]
    );
    assert!(
        rig.text("show interface vethernet 1").starts_with("Vethernet1 is err-disabled (port-security)\n")
    );
    assert!(rig.text("show interface status").contains("errDisabl"));
    let listed = &rig.show("show interface status err-disabled")[0];
    assert_eq!((&listed["interface"], &listed["cause"]), (&"vethernet1".into(), &"port-security".into()));
    let dropped = rig.show("show drops").as_array().unwrap().clone();
    let of_it = |row: &&Value| row["reason"] == "port_security" && row["frames"] == 1;
    assert_eq!(dropped.iter().filter(of_it).count(), 1, "{dropped:?}");

    // Other lines change nothing about it; these do, typed in one text or one by one.
    rig.configure("interface vethernet 1\n description x\n").unwrap();
    assert_eq!(rig.state("vethernet 1"), disabled());
    rig.configure("interface vethernet 1\n shutdown\n no shutdown\n").unwrap();
    assert_eq!(rig.state("vethernet 1"), up());
    assert!(rig.hears(2) && !rig.hears(1), "the first one that comes");
    rig.configure("interface vethernet 1\n shutdown\n").unwrap();
    assert_eq!(rig.state("vethernet 1"), ("down".into(), "administratively".into()));
    rig.configure("interface vethernet 1\n no shutdown\n").unwrap();
    assert!(rig.hears(1));
    let row = &rig.show("show port-security")[0];
    assert_eq!(
        (&row["violations"], &row["addresses"], &row["action"]),
        (&2.into(), &1.into(), &"shutdown".into())
    );
    // Turned off it is nobody's affair.
    rig.configure("interface vethernet 1\n no switchport port-security\n").unwrap();
    assert!(rig.hears(1) && rig.hears(2) && rig.hears(3));
    assert_eq!(rig.show("show port-security"), serde_json::json!([]));
    assert!(rig.switch.counters.balance().holds());
}

#[test]
fn it_comes_back_by_itself_where_that_is_configured() {
    let mut rig = Rig::new();
    rig.configure(LINES).unwrap();
    rig.configure("errdisable recovery cause psecure-violation\nerrdisable recovery interval 40\n").unwrap();
    assert!(rig.hears(1) && !rig.hears(2));
    assert_eq!(rig.show("show errdisable recovery")["interfaces"][0]["seconds_left"], 40);
    rig.run(39 * SECOND);
    assert_eq!(rig.state("vethernet 1"), disabled());
    rig.run(2 * SECOND);
    assert_eq!(rig.state("vethernet 1"), up());
    assert_eq!(rig.told("ERR_DISABLE_RECOVERY").len(), 1);
    assert!(rig.hears(2));
    // Told to later, it counts from when it went down.
    rig.configure("no errdisable recovery cause all\n").unwrap();
    assert!(!rig.hears(1));
    rig.run(100 * SECOND);
    assert_eq!(rig.state("vethernet 1"), disabled());
    rig.configure("errdisable recovery cause all\n").unwrap();
    assert_eq!(rig.state("vethernet 1"), up());
}

#[test]
fn an_ordinary_port_is_secured_as_well_by_its_profile() {
    let mut rig = Rig::new();
    rig.configure(
        "interface vethernet 1\n bind interface ethernet 1/2 channel 5\n\
         port-profile type ethernet edge\n switchport port-security\n switchport port-security maximum 2\n state enabled\n\
         interface ethernet 1/3\n inherit port-profile edge\n switchport mode access\n",
    )
    .unwrap();
    for (from, state) in [(1, up()), (2, up()), (1, up()), (3, disabled()), (1, disabled())] {
        let mut frame = frame(9, from, 0);
        frame.drain(12..16);
        rig.send(WIRE, &frame);
        rig.settle();
        assert_eq!(rig.state("ethernet 1/3"), state, "{from}");
    }
    assert!(!rig.hears(5), "nothing goes out either");
    let shown = rig.text("show port-security interface ethernet 1/3");
    for line in [
        "Port Security              : Enabled\n",
        "Port Status                : Secure Shutdown\n",
        "Violation Mode             : Shutdown\n",
        "Maximum MAC Addresses      : 2\n",
        "Security violation count   : 1\n",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
    rig.configure("interface ethernet 1/3\n no shutdown\n").unwrap();
    assert_eq!(rig.state("ethernet 1/3"), up());
    assert!(rig.hears(5));
    assert!(
        rig.text("show running-config interface ethernet 1/3 expand-port-profile")
            .contains("switchport port-security maximum 2")
    );
}

#[test]
fn what_restricts_drops_counts_and_stays_up() {
    for (mode, violations, told) in [("restrict", 3, 1), ("protect", 0, 0)] {
        let mut rig = Rig::new();
        rig.configure(LINES).unwrap();
        rig.configure(&format!("interface vethernet 1\n switchport port-security violation {mode}\n"))
            .unwrap();
        assert!(rig.hears(1) && !rig.hears(2) && !rig.hears(3) && rig.hears(1) && !rig.hears(2));
        assert_eq!((rig.state("vethernet 1"), rig.told("VIOLATION_DETECTED").len()), (up(), told), "{mode}");
        assert_eq!(rig.show("show port-security")[0]["violations"], violations);
        let metrics = {
            let mut metrics = niv_node::metrics::Metrics::default();
            rig.admin.metrics(&mut metrics);
            metrics.finish()
        };
        let line = format!("vis_port_security_violations_total{{interface=\"vethernet1\"}} {violations}\n");
        assert!(metrics.contains(&line), "{metrics}");
    }
}

#[test]
fn sticky_addresses_become_lines_and_stay() {
    let mut rig = Rig::new();
    rig.configure(LINES).unwrap();
    rig.configure(
        "interface vethernet 1\n switchport port-security maximum 3\n switchport port-security mac-address sticky\n\
         switchport port-security mac-address 5254.0000.0007\n",
    )
    .unwrap();
    assert!(rig.hears(1) && rig.hears(2));
    let typed = "  switchport port-security mac-address sticky 5254.0000.0001 vlan 1\n  \
                 switchport port-security mac-address sticky 5254.0000.0002 vlan 1\n  \
                 switchport port-security mac-address 5254.0000.0007\n";
    assert!(rig.text("show running-config").contains(typed), "{}", rig.text("show running-config"));
    assert_eq!(rig.kept().running, Some(rig.text("show running-config")));
    let kinds: Vec<Value> = rig
        .show("show port-security address")
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["type"].clone())
        .collect();
    assert_eq!(kinds, ["sticky", "sticky", "static"]);
    assert!(!rig.hears(3));
    assert_eq!(rig.state("vethernet 1"), disabled());

    // After a restart they are there, and the interface is up.
    let mut rig = rig.again();
    assert_eq!(rig.state("vethernet 1"), up());
    assert!(rig.hears(7) && rig.hears(2) && rig.hears(1) && !rig.hears(3));
    rig.configure("interface vethernet 1\n no switchport port-security mac-address sticky 5254.0000.0002 vlan 1\n no shutdown\n").unwrap();
    assert!(rig.hears(3) && !rig.hears(2));
}
