//! Private VLANs as they are typed: what is refused, what interfaces make of them, and why they are down.

use super::*;
use crate::config::text::running_config;
use crate::engine::vlan::Program;

const VLANS: &str = "vlan 100\n private-vlan primary\n private-vlan association 101-102\n\
                     vlan 101\n private-vlan isolated\nvlan 102\n private-vlan community\n";

fn typed(lines: &str) -> RunningConfig {
    configure(&initial(), lines).unwrap_or_else(|error| panic!("{error}\n{lines}"))
}

/// The program of vethernet 1, or why there is none.
fn program(config: &RunningConfig) -> Result<Program, String> {
    config.vlans_of(&config.effective(1, None).switchport).map_err(|fault| fault.to_string())
}

fn with(port: &str) -> RunningConfig {
    typed(&format!("{VLANS}interface vethernet 1\n{port}"))
}

#[test]
fn interfaces_get_their_programs() {
    let host = "switchport mode private-vlan host\nswitchport private-vlan host-association 100 ";
    assert_eq!(program(&with(&format!("{host}101"))), Ok(Program::private_host(100, 101, true)));
    assert_eq!(program(&with(&format!("{host}102"))), Ok(Program::private_host(100, 102, false)));
    let promiscuous = "switchport mode private-vlan promiscuous\nswitchport private-vlan mapping 100 101\n\
                       switchport private-vlan mapping 100 add 102-103";
    // 103 is no secondary VLAN, and does not count until it is.
    assert_eq!(program(&with(promiscuous)), Ok(Program::promiscuous(100, &[101, 102])));
    let trunk = "switchport mode private-vlan trunk promiscuous\nswitchport trunk allowed vlan 5,100-102\n\
                 switchport private-vlan mapping trunk 100 101";
    let want = Program::promiscuous_trunk(1, [5].into_iter().collect(), &[(101, 100)]);
    assert_eq!(program(&with(trunk)), Ok(want));
    let trunk = with("switchport mode trunk");
    let want = Program::private_trunk(1, crate::engine::vlan::VlanSet::all(), trunk.private_pairs());
    assert_eq!(program(&trunk), Ok(want));
    assert_eq!(trunk.private_pairs().collect::<Vec<_>>(), [(101, 100), (102, 100), (100, 100)]);
}

#[test]
fn what_is_missing_is_said() {
    let host = "interface vethernet 1\nswitchport mode private-vlan host\n";
    let associated = &format!("{host}switchport private-vlan host-association 100 101\n");
    let primary = "vlan 100\nprivate-vlan primary\n";
    let isolated = "vlan 101\nprivate-vlan isolated\n";
    let other = "vlan 200\nprivate-vlan primary\nprivate-vlan association 101\n";
    let promiscuous = "interface vethernet 1\nswitchport mode private-vlan promiscuous\n";
    let mapped = &format!("{promiscuous}switchport private-vlan mapping 100 101\n");
    let access = "interface vethernet 1\nswitchport access vlan 101\n";
    for (lines, want) in [
        (vec![host], "private-vlan host-association missing"),
        (vec![associated], "VLAN 100 is not a primary private-vlan"),
        (vec![primary, associated], "VLAN 101 is not an isolated or community private-vlan"),
        (vec![primary, isolated, associated], "private-vlan 101 is not associated with 100"),
        (vec![primary, isolated, other, associated], "private-vlan 101 is not associated with 100"),
        (vec![promiscuous], "private-vlan mapping missing"),
        (vec![mapped], "VLAN 100 is not a primary private-vlan"),
        (vec![primary, isolated, mapped], "private-vlan 101 is not associated with 100"),
        (vec![isolated, access], "VLAN 101 is a private-vlan"),
    ] {
        assert_eq!(program(&typed(&lines.concat())), Err(want.to_owned()), "{lines:?}");
    }
    let lines = [primary, isolated, "vlan 100\nprivate-vlan association add 101\n", associated];
    assert!(program(&typed(&lines.concat())).is_ok());
}

#[test]
fn what_cannot_be_is_refused() {
    for (lines, want) in [
        ("vlan 1\nprivate-vlan primary", "VLAN 1 cannot be a private-vlan."),
        ("vlan 103\nprivate-vlan association 104", "VLAN 103 is not a primary private-vlan."),
        (
            "vlan 200\nprivate-vlan primary\nprivate-vlan association 101",
            "VLAN 101 is associated with private-vlan 100 already.",
        ),
        ("vlan 100\nprivate-vlan association add 100", "VLAN 100 cannot be a secondary private-vlan."),
        (
            "vlan 102\nprivate-vlan isolated",
            "Private-vlan 100 has the isolated VLAN 101 already, and cannot have 102 as well.",
        ),
        (
            "vlan 103\nprivate-vlan isolated\nvlan 100\nprivate-vlan association add 103",
            "A primary private-vlan has one isolated VLAN; 101 and 103 both are.",
        ),
        (
            "interface vethernet 1\nswitchport private-vlan host-association 100 100",
            "The secondary VLAN is another one than its primary.",
        ),
        (
            "interface vethernet 1\nswitchport private-vlan mapping 100 100-101",
            "VLAN 100 cannot be mapped to itself.",
        ),
        (
            "interface vethernet 1\nswitchport private-vlan mapping 100 remove 101",
            "Nothing would be left of the mapping; \"no switchport private-vlan mapping\" takes it away.",
        ),
    ] {
        let error = configure(&initial(), &format!("{VLANS}{lines}")).unwrap_err();
        assert_eq!(error.message, want, "{lines}");
    }
}

#[test]
fn a_profile_passes_it_on_and_no_takes_it_back() {
    let profile = "port-profile p\nswitchport mode private-vlan trunk promiscuous\n\
                   switchport private-vlan mapping trunk 100 101\nstate enabled\n\
                   interface vethernet 1\ninherit port-profile p\n";
    let mut config = typed(&format!("{VLANS}{profile}switchport private-vlan mapping trunk 100 add 102"));
    let pairs = [(101, 100), (102, 100)];
    let ordinary = || {
        let mut all = crate::engine::vlan::VlanSet::all();
        (100..103).for_each(|vlan| all.remove(vlan));
        all
    };
    assert_eq!(program(&config), Ok(Program::promiscuous_trunk(1, ordinary(), &pairs)));
    config =
        configure(&config, "interface vethernet 1\nno switchport private-vlan mapping trunk 100").unwrap();
    assert_eq!(program(&config), Ok(Program::promiscuous_trunk(1, ordinary(), &pairs[..1])));
    // What is typed without `add` goes over all that the profile has.
    let own =
        configure(&config, "interface vethernet 1\nswitchport private-vlan mapping trunk 200 201").unwrap();
    let mapped = own.effective(1, None).switchport.private.trunk;
    assert_eq!(mapped.keys().copied().collect::<Vec<_>>(), [200]);
    config = configure(&config, "vlan 101\nno private-vlan").unwrap();
    assert!(running_config(&config).contains("vlan 101\nvlan 102\n  private-vlan community\n"));
    let without = configure(&config, "no vlan 100\nfeature private-vlan").unwrap();
    assert!(!running_config(&without).contains("private-vlan primary"));
}
