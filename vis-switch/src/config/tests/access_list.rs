//! `ip access-list` and `ip access-group`.

use super::*;
use crate::config::expand::{self, Origin};
use crate::config::running::AclName;
use crate::config::text::running_config;

fn shown(lines: &str) -> String {
    running_config(&configure(&initial(), lines).unwrap())
}

#[test]
fn lines_come_back_in_one_form() {
    let text = shown(
        "ip access-list 500\n\
         permit tcp any host 10.0.0.5 eq 80\n\
         permit udp 10.0.0.0 0.0.0.255 range 1024 65535 any neq 53\n\
         15 deny ip 10.0.7.9/8 10.0.0.1 0.0.255.0\n\
         remark the rest\n\
         deny 6 any any\n\
         permit icmp any any\n\
         permit 132 any any\n\
         permit tcp any lt 10 any gt 20\n\
         statistics per-entry\n\
         5 permit ospf any any\n",
    );
    let want = [
        "ip access-list 500",
        "  5 permit ospf any any",
        "  10 permit tcp any 10.0.0.5/32 eq 80",
        "  15 deny ip 10.0.0.0/8 10.0.0.1 0.0.255.0",
        "  20 permit udp 10.0.0.0/24 range 1024 65535 any neq 53",
        "  30 remark the rest",
        "  40 deny tcp any any",
        "  50 permit icmp any any",
        "  60 permit 132 any any",
        "  70 permit tcp any lt 10 any gt 20",
        "!\n",
    ];
    assert!(text.starts_with(&want.join("\n")), "{text}");
}

#[test]
fn a_number_is_replaced_and_what_is_there_is_not_added_again() {
    let lines = "ip access-list web\n permit ip any any\n permit ip any any\n 10 deny ip any any\n permit ip any any\n no 20\n";
    assert!(shown(lines).starts_with("ip access-list web\n  10 deny ip any any\n!\n"));
}

#[test]
fn the_example_of_the_primer() {
    let config = configure(
        &initial(),
        "port-profile webservers\n switchport access vlan 10\n ip access-group 500 in\n inherit port-profile server\n\
         interface veth1\n inherit port-profile webservers\n\
         port-profile server\n state enabled\nport-profile webservers\n state enabled\n\
         ip access-list 500\n permit tcp any any eq 80\n",
    )
    .unwrap();
    let effective = config.effective(1, None);
    assert_eq!((effective.switchport.access, &effective.switchport.acl_in), (10, &AclName::new("500")));
    let program = config.program(&effective.switchport);
    assert_eq!(program.acl_in, Some(config.access_lists()[&AclName::new("500").unwrap()].acl()));
    let line = ("ip access-group 500 in".to_owned(), Origin::Profile(name("webservers")));
    assert!(expand::interface(&config, Owner::Vethernet(1), None).contains(&line));
}

#[test]
fn an_inherited_list_gives_way_to_that_of_the_interface() {
    let config = configure(
        &initial(),
        "ip access-list a\nip access-list b\n\
         port-profile server\n ip port access-group a in\n state enabled\n\
         port-profile web\n inherit port-profile server\n state enabled\n\
         interface vethernet 1-2\n inherit port-profile web\n\
         interface vethernet 2\n ip access-group b in\n ip access-group a out\n",
    )
    .unwrap();
    let list = |number| config.effective(number, None).switchport.acl_in;
    assert_eq!((list(1), list(2)), (AclName::new("a"), AclName::new("b")));
    let out = |number| config.effective(number, None).switchport.acl_out;
    assert_eq!((out(1), out(2)), (None, AclName::new("a")));
    assert!(config.program(&config.effective(2, None).switchport).acl_out.is_some());
    // The same list is the same program on all interfaces.
    let program = |number| config.program(&config.effective(number, None).switchport);
    assert_ne!(program(1), program(2));
    assert_eq!(program(1), program(1));
}

#[test]
fn what_is_refused() {
    for (lines, column, part) in [
        ("ip access-list a\n permit tcp any any range 9 8", 29, "lower port to the higher"),
        ("ip access-list a\n permit icmp any any eq 5", 22, "Invalid command"),
        ("ip access-list a\n permit ip 10.0.0.0/33 any", 12, "Invalid IPv4 address"),
        ("ip access-list a\n permit ip 10.0.0 any", 12, "Invalid IPv4 address"),
        ("ip access-list a\n permit tcp any eq 65536 any", 20, "range is (0:65535)"),
        ("ip access-list a\n no 10", 5, "no line 10"),
        ("no ip access-list a", 19, "no access list a"),
        (
            "ip access-list a\ninterface veth 1-6\n ip access-group a in\nno ip access-list a",
            19,
            "6 places: Veth1,",
        ),
        (
            "ip access-list a\nport-profile p\n ip access-group a in\nno ip access-list a",
            19,
            "port-profile p",
        ),
        (
            "ip access-list a\ninterface eth 1/2\n ip access-group a out\nno ip access-list a",
            19,
            "1 place: Eth1/2",
        ),
        ("interface veth 1\n ip access-group a in\n no ip access-group b in", 21, "not here"),
        ("interface veth 1\n ip access-group a out\n no ip access-group b out", 21, "not here"),
        (
            "ip access-list a\ninterface veth 1-2\n ip access-group a out\nno ip access-list a",
            19,
            "2 places: Veth1,",
        ),
        ("default ip access-list a", 9, "Invalid command"),
    ] {
        let error = configure(&initial(), lines).expect_err(lines);
        assert!(error.message.contains(part), "{lines}: {}", error.message);
        assert_eq!(error.column, column, "{lines}: {error}");
    }
}

#[test]
fn a_list_that_is_not_there_is_said() {
    let mut session = Session { config: initial(), selected: None, asked: BTreeMap::new() };
    let said = run(&mut session, "interface vethernet 1\n ip access-group 500 in\n").unwrap().to_string();
    assert!(said.contains("access list 500 does not exist; everything passes"), "{said}");
    let config = &session.config;
    assert_eq!(config.program(&config.effective(1, None).switchport).acl_in, None);
    let said = run(&mut session, "interface ethernet 1/1\n ip access-group 500 in\n").unwrap().to_string();
    assert!(said.contains("vntag mode"), "{said}");
}

#[test]
fn there_are_only_so_many() {
    let mut lines = String::from("ip access-list a\n");
    (1..=1025).for_each(|number| lines.push_str(&format!(" {number} remark x\n")));
    let error = configure(&initial(), &lines).unwrap_err();
    assert!(error.line == Some(1026) && error.message.contains("at most 1024 lines"), "{error}");
    let lines: String = (1..=257).map(|number| format!("ip access-list a{number}\n")).collect();
    let error = configure(&initial(), &lines).unwrap_err();
    assert!(error.line == Some(257) && error.message.contains("256 access lists"), "{error}");
}
