//! Conversations whose place is kept by the client.

use super::*;

/// Says the lines one after the other: what the last one asks for, and where the conversation stands then.
fn said(lines: &[&str]) -> (Wanted, Option<&'static str>, String) {
    let table = table();
    let mut last = None;
    for line in lines {
        let place = last.map_or_else(Place::default, |step: Understood| step.after);
        last = Some(table.understand(&place, line).unwrap_or_else(|error| panic!("{line}: {error}")));
    }
    let last = last.unwrap();
    (last.wanted, last.prompt, serde_json::to_string(&last.after).unwrap())
}

#[test]
fn a_line_is_sent_with_the_modes_that_it_needs() {
    let text = |text: &str| Wanted::Configure(text.to_owned());
    let nothing = Wanted::Answer(Output::Nothing);
    assert_eq!(said(&["conf t"]), (nothing.clone(), Some("config"), r#"["conf t"]"#.to_owned()));
    let modes = ["conf t", "int veth 1"];
    assert_eq!(
        said(&modes),
        (text("int veth 1"), Some("config-if"), r#"["conf t","int veth 1"]"#.to_owned())
    );
    let (wanted, prompt, place) = said(&[modes[0], modes[1], " sw mode trunk"]);
    assert_eq!((wanted, prompt), (text("int veth 1\n sw mode trunk"), Some("config-if")));
    assert_eq!(place, r#"["conf t","int veth 1"]"#);
    // A line of the mode around leaves, another interface takes the place of the first.
    assert_eq!(
        said(&[modes[0], modes[1], "vlan 5"]),
        (text("vlan 5"), Some("config"), r#"["conf t"]"#.to_owned())
    );
    let other = said(&[modes[0], modes[1], "int e1/1"]);
    assert_eq!(other, (text("int e1/1"), Some("config-if"), r#"["conf t","int e1/1"]"#.to_owned()));
    // What takes back opens nothing.
    assert_eq!(said(&[modes[0], modes[1], "no int veth 2"]).1, Some("config"));
    for (line, prompt) in [
        ("exit", Some("config")),
        ("end", None),
        ("! x", Some("config-if")),
        ("conf t", Some("config")),
        ("do conf t", Some("config-if")),
    ] {
        assert_eq!(
            said(&[modes[0], modes[1], line]),
            (nothing.clone(), prompt, said(&[modes[0], modes[1], line]).2)
        );
    }
    assert_eq!(said(&["exit"]).2, "[]");
}

#[test]
fn exec_lines_from_anywhere() {
    let exec = |line: &str, behind| Wanted::Exec { line: line.to_owned(), behind, changes: false };
    assert_eq!(said(&["show counters | count"]).0, exec("show counters | count", 0));
    assert_eq!(said(&["conf t", " do show counters"]).0, exec(" show counters", 3));
    assert_eq!(said(&["conf t", "int veth 1", "show counters"]).0, exec("show counters", 0));
    assert_eq!(said(&["conf t", "int veth 1", "sho cou"]).0, exec("sho cou", 0));
}

#[test]
fn a_place_is_checked() {
    let table = table();
    for place in [
        r#"["show counters"]"#,
        r#"["conf t","vlan 5"]"#,
        r#"["int veth 1"]"#,
        r#"["exit"]"#,
        r#"["conf t","no int veth 1"]"#,
    ] {
        let place: Place = serde_json::from_str(place).unwrap();
        assert!(table.understand(&place, "show counters").is_err(), "{place:?}");
        assert!(Language::hints(&table, &place, "show ").is_err(), "{place:?}");
    }
}
