mod forms;
mod language;
mod pipes;

use super::*;
use crate::output::Output;
use proptest::prelude::*;

const CONFIG_IF: Mode = Mode::new("config-if");

#[derive(Clone, Debug, Default, PartialEq)]
struct Context {
    done: Vec<String>,
}

fn note(context: &mut Context, args: &Args) -> Result<Reply, Refusal> {
    let values: Vec<String> =
        args.values.iter().map(|(name, value, _)| format!("{name}={value:?}")).collect();
    let no = if args.negated() { "no " } else { "" };
    context.done.push(format!("{no}{} {}", args.keywords.join(" "), values.join(" ")).trim_end().to_owned());
    Ok(Reply::Done)
}

fn table() -> Table<Context> {
    Table::new(
        vec![
            Command::new(EXEC, "show mac address-table [vlan <vlan:1-4094>]", "MAC address table", note),
            Command::new(EXEC, "show interface {virtual|ethernet}", "Interfaces", note),
            Command::new(EXEC, "show interface vethernet <n:1-1048575>", "One virtual interface", note),
            Command::new(EXEC, "show counters", "Counters", |_, _| Ok(Output::message("none").into())),
            Command::new(CONFIG, "interface vethernet <n:range 1-1048575>", "Virtual interfaces", note)
                .enters(CONFIG_IF)
                .no("interface vethernet <n:range 1-1048575>"),
            Command::new(CONFIG, "interface ethernet <port:port>", "A physical interface", note)
                .enters(CONFIG_IF),
            Command::new(CONFIG, "vlan <vlan:1-4094>", "A VLAN", note),
            Command::new(
                CONFIG_IF,
                "switchport access vlan <vlan:1-4094>",
                "Access VLAN",
                |context, args| {
                    if args.number("vlan") == 666 {
                        return Err(args.refuse("vlan", "VLAN 666 is not for you"));
                    }
                    note(context, args)
                },
            )
            .no("switchport access vlan [<vlan:1-4094>]"),
            Command::new(CONFIG_IF, "switchport mode {access|trunk}", "Port mode", note),
            Command::new(
                CONFIG_IF,
                "bind interface ethernet <port:port> channel <n:1-4094>",
                "Binding",
                note,
            ),
            Command::new(CONFIG_IF, "bind mac <mac:mac>", "Binding", note),
            Command::new(
                CONFIG_IF,
                "vif-list <id:1-16383> members <members:range 1-4094>",
                "A static list",
                note,
            ),
            Command::new(CONFIG_IF, "description <text:line>", "A description", note).no("description"),
        ],
        &[("show", "Show running system information"), ("switchport", "Layer 2 parameters")],
    )
}

fn configured(text: &str) -> Vec<String> {
    let mut context = Context::default();
    table().configure(&mut context, text).unwrap_or_else(|error| panic!("{error}"));
    context.done
}

fn refused(text: &str) -> CommandError {
    table().configure(&mut Context::default(), text).expect_err("refused")
}

#[test]
fn abbreviations_and_glued_numbers() {
    let text =
        "int veth 1\n sw acc vlan 10\nINTERFACE Ethernet1/1\n vif 1 mem 5-7, 9 ,3\nint e 1/2\n exit\nvl 7";
    assert_eq!(
        configured(text),
        [
            "interface vethernet n=Ranges([1..=1])",
            "switchport access vlan vlan=Number(10)",
            "interface ethernet port=Text(\"1/1\")",
            "vif-list members id=Number(1) members=Ranges([3..=3, 5..=7, 9..=9])",
            "interface ethernet port=Text(\"1/2\")",
            "vlan vlan=Number(7)",
        ]
    );
    assert_eq!(configured("interface veth1-3,5\n! a comment\n\n end\nvlan 8").len(), 2);
}

#[test]
fn no_description_and_mac() {
    let text =
        "int veth1\n description  web  server 1 \n no description\n no sw ac vl\n bind mac 5254.0000.0001";
    assert_eq!(
        configured(text)[1..],
        [
            "description text=Text(\"web  server 1\")",
            "no description",
            "no switchport access vlan",
            "bind mac mac=Mac([82, 84, 0, 0, 0, 1])",
        ]
    );
}

#[test]
fn errors_name_line_column_and_reason() {
    let cases = [
        ("int veth 1\n switchport acess vlan 10", 2, 13, "Invalid command at '^' marker."),
        (
            "int veth 1\n switchport access vlan 4095",
            2,
            25,
            "Invalid number, range is (1:4094) at '^' marker.",
        ),
        ("int veth 1\n switchport access vlan 666", 2, 25, "VLAN 666 is not for you"),
        ("int veth 1\n switchport access vlan", 2, 25, "Incomplete command at '^' marker."),
        ("int veth 1\n sw mo", 2, 8, "Incomplete command at '^' marker."),
        ("vlan 3\nvlan 4 5", 2, 8, "Invalid command at '^' marker."),
        // `v` is `vif-list` here, and not the `vlan` of the mode around.
        ("int veth 1\n v 5", 2, 6, "Incomplete command at '^' marker."),
        ("no vlan 3", 1, 4, "Invalid command at '^' marker."),
        ("int veth 5-3", 1, 10, "Invalid range, it must lie in (1:1048575) at '^' marker."),
        ("\u{e9}\u{e9} x", 1, 1, "Invalid command at '^' marker."),
        ("int veth1x", 1, 9, "Invalid range, it must lie in (1:1048575) at '^' marker."),
    ];
    for (text, line, column, message) in cases {
        let error = refused(text);
        let seen = (error.line, error.column, error.message.as_str());
        assert_eq!(seen, (Some(line), column, message), "{text}");
    }
    let text = refused("int veth 1\n\tswitchport acess vlan 10").to_string();
    assert_eq!(
        text,
        "line 2, column 13:\n switchport acess vlan 10\n            ^\n% Invalid command at '^' marker."
    );
}

#[test]
fn ambiguity_names_the_candidates() {
    let error = table().exec(&mut Context::default(), "show interface v").expect_err("ambiguous");
    assert_eq!(error.kind, ErrorKind::Ambiguous);
    assert_eq!(error.message, "Ambiguous command at '^' marker: vethernet, virtual.");
}

#[test]
fn help_lists_what_may_come() {
    let table = table();
    let words =
        |mode, line: &str| table.hints(mode, line).into_iter().map(|hint| hint.word).collect::<Vec<_>>();
    assert_eq!(words(EXEC, "show "), ["counters", "interface", "mac"]);
    assert_eq!(words(EXEC, "show interface v"), ["vethernet", "virtual"]);
    assert_eq!(words(EXEC, "show mac address-table "), ["vlan", "<cr>", "|"]);
    assert_eq!(words(CONFIG_IF, "no switchport access vlan "), ["<1-4094>", "<cr>"]);
    assert_eq!(words(EXEC, "shaw "), [""; 0]);
    let page = table.exec(&mut Context::default(), "show ?").expect("help").to_string();
    assert_eq!(page.lines().next(), Some("  counters   Counters"));
    let all = table.exec(&mut Context::default(), "help").expect("help").to_string();
    assert!(all.contains("show counters"), "{all}");
    assert!(!all.contains("switchport"), "{all}");
}

#[test]
#[should_panic(expected = "has the same")]
fn the_same_syntax_twice_is_a_mistake() {
    let twice = || Command::<Context>::new(EXEC, "show x", "X", note);
    let _ = Table::new(vec![twice(), twice()], &[]);
}

/// Every keyword of the toy table, cut and joined at random, and a little of everything else.
fn lines() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        4 => proptest::sample::select(vec![
            "interface", "vethernet", "switchport", "access", "vlan", "no", "bind", "channel", "members", "vif-list", "show",
            "mac", "ethernet", "mode", "trunk", "description", "exit", "end", "!", "?", "do", "default", "|", "include",
            "count", "json", "section", "last", "\"",
        ]).prop_flat_map(|word| (0..=word.len()).prop_map(move |cut| word.get(..cut).unwrap_or("").to_owned())),
        2 => "[0-9/,.:-]{0,8}",
        1 => "\\PC{0,6}",
        1 => "[\\x00-\\x1f]{1,3}",
    ];
    proptest::collection::vec(
        (word, prop_oneof![3 => Just(" "), 1 => Just(""), 1 => Just("\t"), 1 => Just("\n")]),
        0..12,
    )
    .prop_map(|words| words.into_iter().flat_map(|(word, gap)| [word, gap.to_owned()]).collect())
}

proptest! {
    #[test]
    fn no_input_panics_and_errors_point_into_the_text(text in lines()) {
        let table = table();
        let _ = table.exec(&mut Context::default(), &text);
        let _ = table.hints(CONFIG, &text);
        if let Err(error) = table.configure(&mut Context::default(), &text) {
            let number = error.line.expect("a line");
            let line = text.lines().nth(number - 1).expect("that line is there");
            prop_assert!((1..=line.chars().count() + 2).contains(&error.column));
            prop_assert!(error.to_string().lines().count() == 4);
        }
    }

    #[test]
    fn a_prefix_means_the_full_word_or_is_refused(cut_a in 1usize..=10, cut_b in 1usize..=6, cut_c in 1usize..=4) {
        let full = ["switchport", "access", "vlan"];
        let cut = |word: &'static str, at: usize| word.get(..at).unwrap_or(word);
        let line = format!("int veth1\n{} {} {} 10", cut(full[0], cut_a), cut(full[1], cut_b), cut(full[2], cut_c));
        let mut context = Context::default();
        table().configure(&mut context, &line).expect("every prefix is unique here");
        prop_assert_eq!(context.done.last().map(String::as_str), Some("switchport access vlan vlan=Number(10)"));
    }

    #[test]
    fn lists_hold_exactly_the_numbers_written(spans in proptest::collection::vec((1u64..=4094, 0u64..40), 1..20)) {
        let spans: Vec<_> = spans.into_iter().map(|(low, more)| low..=(low + more).min(4094)).collect();
        let text: Vec<String> = spans.iter().map(|span| format!("{}-{}", span.start(), span.end())).collect();
        let expected: std::collections::BTreeSet<u64> = spans.into_iter().flatten().collect();
        let token = input::tokens(&text.join(", ")).iter().map(|token| token.text).collect::<Vec<_>>().join(" ");
        let (value, _) = Kind::Ranges(1..=4094).accept(&input::tokens(&token)).expect("a list");
        let args = Args { values: vec![("n", value, 1)], ..Args::default() };
        prop_assert_eq!(args.each("n").collect::<Vec<_>>(), expected.into_iter().collect::<Vec<_>>());
    }
}
