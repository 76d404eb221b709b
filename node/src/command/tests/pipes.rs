//! Filters behind `|`.

use super::*;
use crate::output::{Column, Grid};
use serde_json::json;

const TEXT: &str = "\
hostname vis0
port-profile web
  switchport access vlan 10
  state enabled
port-profile db
  switchport access vlan 20

interface vethernet 1
  inherit port-profile web
    deeper
  shutdown
";

fn table() -> Table<Context> {
    let text = |_: &mut Context, _: &Args| Ok(Output::prose(TEXT, json!({ "text": TEXT })).into());
    Table::new(
        vec![
            Command::new(EXEC, "show running-config [<name:word>]", "A text", text),
            Command::new(EXEC, "show vlan", "A grid", |_, _| {
                let mut grid = Grid::new([Column::right("vlan", "VLAN")]);
                (1u16..=20).for_each(|vlan| grid.row([vlan.into()]));
                Ok(Output::from(grid).into())
            }),
            Command::new(CONFIG, "description <text:line>", "A text", note),
        ],
        &[("show", "Show")],
    )
}

fn seen(line: &str) -> Output {
    table().exec(&mut Context::default(), line).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn each_filter_leaves_its_lines() {
    let cases = [
        (
            "show running-config | include port-profile",
            "port-profile web\nport-profile db\n  inherit port-profile web\n",
        ),
        // The first needs no blanks around it, a later one stands at the beginning of a word.
        ("sh run|inc ^port-profile", "port-profile web\nport-profile db\n"),
        ("show run | include web|db", "port-profile web\nport-profile db\n  inherit port-profile web\n"),
        ("show run | include web |count", "2\n"),
        ("show run | include \"web | db\"", "port-profile db\n"),
        ("show run | include \"vethernet 1\"", "interface vethernet 1\n"),
        (
            "show run | exclude  vlan|profile|^$ | exclude sh",
            "hostname vis0\n  state enabled\ninterface vethernet 1\n    deeper\n",
        ),
        ("show run | begin deeper", "    deeper\n  shutdown\n"),
        (
            "show run | section port-profile",
            "port-profile web\n  switchport access vlan 10\n  state enabled\nport-profile db\n  switchport access vlan 20\n  inherit port-profile web\n    deeper\n",
        ),
        ("show run | last 2", "    deeper\n  shutdown\n"),
        ("show run | no-more | last 0001", "  shutdown\n"),
        ("show vlan | last 99 | count", "22\n"),
        ("show vlan | last | begin 19", "  19\n  20\n"),
        ("show run | count", "11\n"),
        ("show run | include nothing", ""),
        ("show run web | include web | exclude port", ""),
    ];
    for (line, expected) in cases {
        assert_eq!(seen(line).to_string(), expected, "{line}");
    }
}

#[test]
fn both_faces_of_what_is_left() {
    let two = seen("show vlan | last 2");
    assert_eq!(two.to_json(), json!(["  19", "  20"]));
    assert_eq!(seen("show vlan | count").to_json(), json!(22));
    assert_eq!(seen("show vlan | no-more"), seen("show vlan"));
    let json = seen("show vlan | json");
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&json.to_string()).unwrap(),
        seen("show vlan").to_json()
    );
    assert_eq!(json.to_json(), seen("show vlan").to_json());
    assert_eq!(seen("show vlan | json | include 17").to_string(), "    \"vlan\": 17\n");
}

#[test]
fn errors_have_their_place_and_the_whole_line() {
    let cases = [
        ("show vlan | inclood x", 13, "Invalid command at '^' marker."),
        ("show vlan |", 13, "Incomplete command at '^' marker."),
        ("show vlan | include", 21, "Incomplete command at '^' marker."),
        ("show vlan | | count", 13, "Incomplete command at '^' marker."),
        ("show vlan | count x", 19, "Invalid command at '^' marker."),
        ("show vlan | last 0", 18, "Invalid number, range is (1:100000) at '^' marker."),
        ("show vlam | count", 6, "Invalid command at '^' marker."),
        ("show | count", 6, "Incomplete command at '^' marker."),
        ("| count", 2, "Incomplete command at '^' marker."),
        ("show vlan | count | section", 29, "Incomplete command at '^' marker."),
    ];
    for (line, column, message) in cases {
        let error = table().exec(&mut Context::default(), line).unwrap_err();
        assert_eq!((error.column, error.message.as_str(), error.text.as_str()), (column, message, line));
    }
    let error = table().exec(&mut Context::default(), "show vlan | include \u{e9}(").unwrap_err();
    assert_eq!(error.column, 21);
    assert!(error.message.starts_with("This pattern cannot be read: "), "{error}");
    let huge = "show vlan | include ((a{99}){99}){99}";
    assert!(table().exec(&mut Context::default(), huge).is_err());
}

#[test]
fn filters_have_help() {
    let words = |line: &str| table().hints(EXEC, line).into_iter().map(|hint| hint.word).collect::<Vec<_>>();
    assert_eq!(words("show vlan "), ["<cr>", "|"]);
    assert_eq!(words("show vlan | ").len(), 8);
    assert_eq!(words("show vlan |"), words("show vlan | "));
    assert_eq!(words("show vlan | in"), ["include"]);
    assert_eq!(words("show vlan | include "), ["LINE"]);
    assert_eq!(words("show vlan | include x | l"), ["last"]);
    assert_eq!(words("show vlan | last "), ["<1-100000>", "<cr>"]);
    assert_eq!(words("show vlan | nothing "), [""; 0]);
    assert!(table().hints(EXEC, "show vlan | ").iter().all(|hint| !hint.help.is_empty()));
    assert!(seen("show vlan | ?").to_string().contains("  section  "));
}

#[test]
fn among_lines_of_configuration() {
    let mut context = Context::default();
    let notes =
        table().configure(&mut context, "do show vlan | count\nshow run | count\ndescription a | b\n");
    assert_eq!(notes.unwrap().to_string(), "22\n11\n");
    assert_eq!(context.done, ["description text=Text(\"a | b\")"]);
}
