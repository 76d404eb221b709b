//! What is different between two configurations is said, and the patch makes one of the other.

use super::round_trip::{Change, change};
use super::*;
use crate::config::difference::{changes, patch};
use crate::config::text::running_config;
use proptest::collection::vec;
use proptest::prelude::*;

fn difference(from: &str, to: &str) -> (String, String) {
    let make = |lines: &str| running_config(&configure(&initial(), lines).unwrap());
    let (from, to) = (make(from), make(to));
    (changes(&from, &to).0, patch(&from, &to))
}

#[test]
fn changes_stand_below_what_they_are_about() {
    let from = "carrier-delay 5\nport-profile web\n switchport access vlan 10\n state enabled\ninterface vethernet 1\n mtu 9000\n";
    let to = "vethernet hold 7\nport-profile web\n switchport access vlan 20\n state enabled\ninterface vethernet 2\n shutdown\n";
    let (changes, patch) = difference(from, to);
    let lines = [
        "-carrier-delay 5",
        "+vethernet hold 7",
        " port-profile type vethernet web",
        "-  switchport access vlan 10",
        "+  switchport access vlan 20",
        "-interface vethernet 1",
        "-  mtu 9000",
        "+interface vethernet 2",
        "+  shutdown\n",
    ];
    assert_eq!(changes, lines.join("\n"));
    let lines = [
        "no interface vethernet 1",
        "no carrier-delay",
        "vethernet hold 7",
        "port-profile type vethernet web",
        "  switchport access vlan 20",
        "interface vethernet 2",
        "  shutdown\n",
    ];
    assert_eq!(patch, lines.join("\n"));
    assert_eq!(difference(from, from), (String::new(), String::new()));
}

#[test]
fn an_order_is_a_difference_too() {
    let (changes, patch) = difference(
        "port-profile web\n inherit port-profile a\n inherit port-profile b\n",
        "port-profile web\n inherit port-profile b\n inherit port-profile a\n",
    );
    assert!(
        changes.contains("+  inherit port-profile b\n") && changes.contains("-  inherit port-profile b\n")
    );
    assert!(patch.contains("  no inherit port-profile\n"), "{patch}");
}

#[test]
fn what_is_referred_to_and_removed_is_let_go_meanwhile() {
    let (_, patch) = difference(
        "ip access-list 500\nport-profile server\nport-profile web\n ip access-group 500 in\n inherit port-profile server\n",
        "port-profile web\n ip access-group 500 in\n inherit port-profile server\n",
    );
    let lines = [
        "port-profile type vethernet web",
        "  no inherit port-profile",
        "  no ip access-group in",
        "no ip access-list 500",
        "no port-profile type vethernet server",
        "port-profile type vethernet web",
        "  inherit port-profile server",
        "  ip access-group 500 in\n",
    ];
    assert_eq!(patch, lines.join("\n"));
}

#[test]
fn a_port_that_is_shut_down_can_become_an_niv_link() {
    let (shut, link) = (
        "interface ethernet 1/3\n shutdown\n",
        "interface ethernet 1/3\n switchport mode vntag\n no shutdown\n",
    );
    let lines = [
        "interface ethernet 1/3",
        "  default shutdown",
        "interface ethernet 1/3",
        "  switchport mode vntag",
        "  no shutdown\n",
    ];
    let patch = difference(shut, link).1;
    assert_eq!(patch, lines.join("\n"));
    let [shut, link] = [shut, link].map(|lines| configure(&initial(), lines).unwrap());
    assert_eq!(configure(&shut, &patch), Ok(link));
}

fn made(changes: Vec<Change>) -> RunningConfig {
    let mut config = initial();
    changes.into_iter().for_each(|change| change.apply(&mut config));
    config
}

proptest! {
    #[test]
    fn the_patch_makes_the_other(one in vec(change(), 0..30), other in vec(change(), 0..30)) {
        let (one, other) = (made(one), made(other));
        let (from, to) = (running_config(&one), running_config(&other));
        let patch = patch(&from, &to);
        let patched = configure(&one, &patch)
            .map_err(|error| TestCaseError::fail(format!("{error}\n{patch}\nfrom\n{from}\nto\n{to}")))?;
        prop_assert!(patched == other, "{patch}\nfrom\n{from}\nto\n{to}");
        prop_assert_eq!(changes(&from, &to).0.is_empty(), from == to);
    }
}
