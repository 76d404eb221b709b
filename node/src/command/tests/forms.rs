//! `no`, `default`, `do`, and what every table knows.

use super::*;

const CONFIG_VLAN: Mode = Mode::new("config-vlan").prompt_as("config-if");

fn note_default(context: &mut Context, args: &Args) -> Result<Reply, Refusal> {
    if args.form() == Form::Default {
        context.done.push("default".to_owned());
    }
    note(context, args)
}

fn table() -> Table<Context> {
    Table::new(
        vec![
            Command::new(EXEC, "show vlan", "VLANs", |_, _| Ok(Output::message("vlans").into())),
            Command::new(EXEC, "clear counters", "Clear", note),
            Command::new(CONFIG, "hold <seconds:1-60>", "A number", note).no("hold [<seconds:1-60>]"),
            Command::new(CONFIG, "automatic", "On by default", note)
                .no("automatic")
                .by_default(ByDefault::Line),
            Command::new(CONFIG, "feature lldp", "Without no", note),
            Command::new(CONFIG, "vlan <vlan:1-4094>", "A VLAN", note_default)
                .no("vlan <vlan:1-4094>")
                .by_default(ByDefault::Own("vlan <vlan:1-4094>"))
                .enters(CONFIG_VLAN),
            Command::new(CONFIG, "profile <name:word>", "A profile", note)
                .no("profile <name:word>")
                .by_default(ByDefault::Nothing),
            Command::new(CONFIG_VLAN, "name <name:word>", "A name", note).no("name [<name:word>]"),
        ],
        &[("show", "Show")],
    )
}

fn done(text: &str) -> Vec<String> {
    let mut context = Context::default();
    table().configure(&mut context, text).unwrap_or_else(|error| panic!("{error}"));
    context.done
}

#[test]
fn default_is_no_unless_the_command_says_otherwise() {
    assert_eq!(done("default hold"), done("no hold"));
    assert_eq!(done("default hold 5"), done("no hold 5"));
    assert_eq!(done("def automatic"), done("automatic"));
    assert_eq!(done("default vlan 5"), ["default", "vlan vlan=Number(5)"]);
    assert_eq!(
        done("vlan 5\n default name\n name x"),
        ["vlan vlan=Number(5)", "no name", "name name=Text(\"x\")"]
    );
    let cases = [
        ("default feature lldp", 9, ErrorKind::Invalid),
        ("default profile x", 9, ErrorKind::Invalid),
        ("default", 9, ErrorKind::Incomplete),
        ("default nothing", 9, ErrorKind::Invalid),
        // It opens nothing.
        ("default vlan 5\n name x", 2, ErrorKind::Invalid),
        ("no vlan 5\n name x", 2, ErrorKind::Invalid),
    ];
    for (text, column, kind) in cases {
        let error = table().configure(&mut Context::default(), text).unwrap_err();
        assert_eq!((error.column, error.kind), (column, kind), "{text}");
    }
    let infos = table().commands();
    let of = |syntax: &str| infos.iter().find(|info| info.syntax == syntax).unwrap().default.clone();
    assert_eq!(of("automatic"), Some("automatic".to_owned()));
    assert_eq!(of("hold <seconds:1-60>"), None);
}

#[test]
fn do_runs_show_and_nothing_else_in_a_text() {
    let run = |text: &str| table().configure(&mut Context::default(), text);
    assert_eq!(run("vlan 5\n do show vlan\n show vlan\n").unwrap().to_string(), "vlans\nvlans\n");
    assert!(run("configure terminal\nvlan 5\nconf t\nhold 5\nend").is_ok());
    assert_eq!(run("vlan 5\n sh vlan\n").unwrap().to_string(), "vlans\n");
    // The mode stays.
    assert!(run("vlan 5\n do show vlan\n name x").is_ok());
    let cases = [
        ("do clear counters", 3, ErrorKind::Refused),
        ("clear counters", 1, ErrorKind::Refused),
        ("sho vlam", 5, ErrorKind::Invalid),
        ("vlan 5\n do configure terminal", 4, ErrorKind::Refused),
        ("do", 4, ErrorKind::Incomplete),
        ("do vlan 5", 4, ErrorKind::Invalid),
        (" do show vlam | count", 10, ErrorKind::Invalid),
    ];
    for (text, column, kind) in cases {
        let error = run(text).unwrap_err();
        assert_eq!((error.column, error.kind), (column, kind), "{error}");
    }
}

#[test]
fn what_every_table_knows() {
    let exec = |line: &str| table().exec(&mut Context::default(), line);
    for line in ["terminal length 0", "term wid 511", "! a comment", "", "end", "exit"] {
        assert_eq!(exec(line), Ok(Output::Nothing), "{line}");
    }
    assert_eq!(exec("terminal length 512").unwrap_err().column, 17);
    let error = exec("conf t").unwrap_err();
    assert_eq!((error.kind, error.column), (ErrorKind::Refused, 1));
    // Without configuration there is nothing to enter.
    let only_show = Table::<Context>::new(vec![Command::new(EXEC, "show vlan", "VLANs", note)], &[]);
    assert_eq!(only_show.exec(&mut Context::default(), "conf t").unwrap_err().kind, ErrorKind::Invalid);
}

#[test]
fn completion_knows_forms_and_the_modes_around() {
    let table = table();
    let words = |cursor: &Cursor, line: &str| {
        table.hints_at(cursor, line).into_iter().map(|hint| hint.word).collect::<Vec<_>>()
    };
    let config = Cursor::config();
    assert_eq!(words(&config, "d"), ["default", "do"]);
    assert_eq!(words(&config, "default "), ["automatic", "hold", "vlan"]);
    assert_eq!(words(&config, "no "), ["automatic", "hold", "profile", "vlan"]);
    assert_eq!(words(&config, "do "), ["clear", "configure", "show", "terminal"]);
    assert_eq!(words(&config, "do show vlan | inc"), ["include"]);
    assert_eq!(words(&config, "show "), ["vlan"]);
    let mut vlan = config.clone();
    table.line(&mut vlan, &mut Context::default(), "vlan 5").unwrap();
    assert_eq!((vlan.mode(), vlan.mode().prompt()), (CONFIG_VLAN, "config-if"));
    assert_eq!(words(&vlan, "na"), ["name"]);
    assert_eq!(words(&vlan, "ho"), ["hold"]);
    assert_eq!(words(&Cursor::exec(), "na"), [""; 0]);
    assert!(words(&vlan, "").contains(&"exit".to_owned()));
}
