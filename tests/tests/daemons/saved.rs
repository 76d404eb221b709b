//! The startup configuration and checkpoints outlive the switch, however it ends.

use super::files::{negotiated_port, node};
use super::place::Place;

fn api<'a>(words: &[&'a str]) -> Vec<&'a str> {
    [&["--api", "vis0.sock"], words].concat()
}

/// Runs a line by `nivctl`; what it said.
#[track_caller]
fn run(place: &Place, line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let (code, said, complained) = place.nivctl(&api(&words));
    assert_eq!((code, complained.as_str()), (0, ""), "{line}");
    said
}

#[test]
fn what_was_saved_is_there_after_a_kill() {
    let chassis = node("vis0") + &negotiated_port(1, "memif:link0.sock");
    let mut place = Place::new(&[("vis0.toml", chassis), ("vis0.cfg", "vethernet hold 100\n".to_owned())]);
    place.start("vis0");
    let hold = |seconds: u64| format!("vethernet hold {seconds}\n");
    // At once after each acknowledgement.
    for seconds in 201..=210 {
        place.client("vis0").configure(&hold(seconds)).unwrap();
        run(&place, &format!("checkpoint after-{seconds}"));
        place.kill("vis0");
        place.start("vis0");
        assert_eq!(
            run(&place, &format!("show checkpoint after-{seconds}")).lines().next(),
            Some(hold(seconds).trim())
        );
        if seconds % 2 == 0 {
            run(&place, "copy running-config startup-config");
            place.kill("vis0");
            place.start("vis0");
            assert_eq!(run(&place, "show diff"), "Nothing is unsaved.\n");
        }
    }
    let (code, _, complained) = place.nivctl(&api(&["checkpoint", "one-more"]));
    assert!(code == 1 && complained.contains("There are 10 checkpoints"), "{code}: {complained}");

    // The startup file is not read any more: it is not even right.
    place.write("vis0.cfg", "no such line\n");
    let said = run(&place, "rollback running-config checkpoint after-203");
    assert_eq!(said, "-vethernet hold 210\n+vethernet hold 203\n");
    place.kill("vis0");
    place.start("vis0");
    assert_eq!(run(&place, "show diff"), "-vethernet hold 210\n+vethernet hold 203\n");
    let said = run(&place, "reload");
    assert!(
        said.contains("checkpoint system-before-reload has it:\n-vethernet hold 210\n+vethernet hold 203\n"),
        "{said}"
    );
    place.kill("vis0");
    place.start("vis0");
    assert_eq!(run(&place, "show running-config").lines().next(), Some("vethernet hold 210"));
    assert_eq!(
        run(&place, "show checkpoint system-before-reload").lines().next(),
        Some("vethernet hold 203")
    );
    run(&place, "write erase");
    place.kill("vis0");
    // Nothing was changed since `reload`, so that the startup file counts again.
    place.write("vis0.cfg", "vethernet hold 300\n");
    place.start("vis0");
    assert_eq!(run(&place, "show running-config").lines().next(), Some("vethernet hold 300"));
}
