use super::*;
use serde::Deserialize;

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    #[default]
    Vntag,
    Trunk,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only read")]
struct Fault {
    #[serde(default)]
    seed: u64,
    drop: Option<Spanned<f64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only read")]
struct Port {
    name: Spanned<String>,
    #[serde(default)]
    mode: Mode,
    negotiation: Option<String>,
    fault: Option<Fault>,
    members: Option<Vec<Spanned<u16>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Chassis {
    #[serde(default)]
    node: NodeSection,
    #[serde(default)]
    port: Vec<Spanned<Port>>,
}

const GOOD: &str = r#"
[node]
name = "vis0"
workers = 2
cpus = [1]

[[port]]
name = "ethernet1/1"
mode = "trunk"
fault = { seed = 3, drop = 0.5 }

[[port]]
name = "ethernet1/2"
members = [1, 2,
  3]
"#;

fn good() -> (File, Chassis) {
    let file = File::new("vis.toml", GOOD);
    let chassis = file.parse().expect("good");
    (file, chassis)
}

fn refused(text: &str) -> String {
    File::new("vis.toml", text).parse::<Chassis>().expect_err("refused").to_string()
}

#[test]
fn one_line_for_each_kind_of_mistake() {
    let cases = [
        (
            GOOD.replace("mode = \"trunk\"", "negotation = \"off\""),
            r#"vis.toml:9: [[port]] ethernet1/1: unknown key "negotation" (did you mean "negotiation"?)"#,
        ),
        (
            GOOD.replace("mode = \"trunk\"", "xyz = 1"),
            r#"vis.toml:9: [[port]] ethernet1/1: unknown key "xyz" (known: name, mode, negotiation, fault, members)"#,
        ),
        (
            GOOD.replace("\"trunk\"", "\"trunc\""),
            r#"vis.toml:9: [[port]] ethernet1/1: key "mode": "trunc" is not one of "vntag", "trunk""#,
        ),
        (
            GOOD.replace("workers = 2", "workers = \"two\""),
            r#"vis.toml:4: [node]: key "workers": invalid type: string "two", expected usize"#,
        ),
        (
            GOOD.replace("name = \"ethernet1/2\"", ""),
            r#"vis.toml:12: [[port]] number 2: key "name" is missing"#,
        ),
        (
            GOOD.replace("seed = 3", "sead = 3"),
            r#"vis.toml:10: [[port]] ethernet1/1: unknown key "sead" (did you mean "seed"?)"#,
        ),
        (
            GOOD.replace("seed = 3", "seed = -3"),
            r#"vis.toml:10: [[port]] ethernet1/1: key "fault.seed": invalid value: integer "-3", expected u64"#,
        ),
        (
            GOOD.replace("  3]", "  70000]"),
            r#"vis.toml:15: [[port]] ethernet1/2: key "members": invalid value: integer "70000", expected u16"#,
        ),
        (GOOD.replace("[node]", "[nod]"), r#"vis.toml:2: unknown section "nod" (did you mean "node"?)"#),
    ];
    for (text, expected) in cases {
        assert_eq!(refused(&text), expected);
    }
    let broken = refused(&GOOD.replace("[node]", "[node"));
    assert!(broken.starts_with("vis.toml:2: "), "{broken}");
    let twice = refused(&GOOD.replace("workers = 2", "name = \"x\""));
    assert!(twice.starts_with("vis.toml:4: ") && twice.contains("duplicate key"), "{twice}");
}

#[test]
fn later_mistakes_are_placed_too() {
    let (file, chassis) = good();
    let second = chassis.port[1].get_ref();
    let member = &second.members.as_ref().expect("there")[2];
    let first = chassis.port[0].get_ref();
    let drop = first.fault.as_ref().and_then(|fault| fault.drop.as_ref()).expect("there");
    let errors = [
        (file.error(&second.name, "is taken"), r#"vis.toml:13: [[port]] ethernet1/2: key "name": is taken"#),
        (file.error(member, "no VIF"), r#"vis.toml:15: [[port]] ethernet1/2: key "members": no VIF"#),
        (file.error(drop, "too much"), r#"vis.toml:10: [[port]] ethernet1/1: key "fault.drop": too much"#),
        (file.error(&chassis.port[1], "no device"), "vis.toml:12: [[port]] ethernet1/2: no device"),
    ];
    for (error, expected) in errors {
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn node_section_and_its_defaults() {
    let (file, chassis) = good();
    let node = Node::from_file(&file, &chassis.node, "vis0").expect("good");
    assert_eq!((node.workers, node.cpu(0), node.cpu(1)), (2, Some(1), Some(1)));
    assert_eq!(node.api, Path::new("/run/niv/vis0.sock"));
    assert_eq!(Node::without_file("vis0").api, Path::new("niv-run/vis0.sock"));
    assert_eq!(Node::without_file("vis0").cpu(0), None);

    let text = GOOD.replace("workers = 2", "workers = 0");
    let file = File::new("vis.toml", text);
    let chassis: Chassis = file.parse().expect("well typed");
    let error = Node::from_file(&file, &chassis.node, "vis0").expect_err("refused");
    assert_eq!(error.to_string(), r#"vis.toml:4: [node]: key "workers": 1 to 64 are allowed"#);
    let name = File::new("vis.toml", "[node]\nname = \"../x\"");
    let chassis: Chassis = name.parse().expect("well typed");
    assert!(Node::from_file(&name, &chassis.node, "vis0").is_err());
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = load::<Chassis>(Path::new("no/such.toml")).expect_err("not there");
    assert_eq!(error.to_string(), "no/such.toml: No such file or directory (os error 2)");
}

proptest::proptest! {
    #[test]
    fn no_text_panics_and_every_mistake_has_a_line(
        cuts in proptest::collection::vec((0..GOOD.len(), 0usize..6, "[\\[\\]{}=\",.a-z0-9\\n\u{e9}]{0,4}"), 1..4)
    ) {
        let mut text = GOOD.to_owned();
        for (at, length, instead) in cuts {
            let end = (at + length).min(text.len());
            if text.is_char_boundary(at.min(end)) && text.is_char_boundary(end) {
                text.replace_range(at.min(end)..end, &instead);
            }
        }
        let file = File::new("vis.toml", text.as_str());
        match file.parse::<Chassis>() {
            Ok(chassis) => {
                for port in &chassis.port {
                    let _ = file.error(&port.get_ref().name, "x");
                }
            }
            Err(error) => {
                let line = error.line.expect("a line");
                proptest::prop_assert!((1..=text.lines().count() + 1).contains(&line), "{error}");
                proptest::prop_assert_eq!(error.to_string().lines().count(), 1);
            }
        }
    }
}
