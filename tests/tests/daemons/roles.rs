//! Users who may do everything, users who may look, and all others.

use super::files::node;
use super::place::{Place, left_out, text};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

/// A user whom no database knows, and groups that nobody is in.
const USER: u32 = 4_000_000;
const ADMINS: u32 = 4_000_001;
const READERS: u32 = 4_000_002;

/// `nivctl` by the user, in a group.
fn nivctl(place: &Place, group: u32, words: &[&str]) -> Output {
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={USER}"), format!("--regid={group}"), "--clear-groups".to_owned()]);
    command.arg(place.path("nivctl")).args(words).current_dir(place.path("."));
    command.env_remove("NIV_API").output().unwrap()
}

#[test]
fn a_reader_looks_an_admin_changes_and_a_stranger_does_nothing() {
    let missing = (!rustix::process::geteuid().is_root()).then(|| "only root can be other users".to_owned());
    if left_out(missing) {
        return;
    }
    let groups = format!("admin_group = \"{ADMINS}\"\nreader_group = \"{READERS}\"\n");
    let mut place = Place::new(&[
        ("vis0.toml", node("vis0") + &groups),
        ("vis0.cfg", String::new()),
        ("adapter0.toml", node("adapter0") + &groups),
        ("lines", "interface vethernet 7\n  shutdown\n".to_owned()),
    ]);
    // The user may enter this folder and has the program.
    for name in ["nivctl", "nivsh"] {
        std::fs::copy(super::place::program(name), place.path(name)).unwrap();
    }
    for name in [".", "nivctl", "nivsh"] {
        std::fs::set_permissions(place.path(name), PermissionsExt::from_mode(0o755)).unwrap();
    }
    place.start("vis0");
    place.start("adapter0");
    let check = |group: u32, words: &[&str], code: i32, said: &str| {
        let output = nivctl(&place, group, words);
        let all = text(&output);
        assert!(output.status.code() == Some(code) && all.contains(said), "{group} {words:?}: {all}");
    };
    let denied = format!(
        "Permission denied for user {USER}: group {ADMINS} may do everything, group {READERS} may look."
    );

    check(READERS, &["--api", "vis0.sock", "show", "version"], 0, "vis-switch");
    check(READERS, &["--api", "adapter0.sock", "vnic", "list"], 0, "");
    for words in [
        &["--api", "vis0.sock", "configure", "lines"][..],
        &["--api", "vis0.sock", "reload"],
        &["--api", "vis0.sock", "capture", "ethernet1/1", "-w", "x.pcapng"],
        &["--api", "adapter0.sock", "vnic", "del", "v"],
    ] {
        check(READERS, words, 1, &denied);
    }
    check(USER, &["--api", "vis0.sock", "show", "version"], 1, &denied);
    check(ADMINS, &["--api", "vis0.sock", "configure", "lines"], 0, "");
    check(ADMINS, &["--api", "adapter0.sock", "vnic", "del", "v"], 1, "v");

    // A conversation ends where changes begin.
    let mut shell = Command::new("setpriv");
    shell.args([format!("--reuid={USER}"), format!("--regid={READERS}"), "--clear-groups".to_owned()]);
    place.write("typed", "show version\nconfigure terminal\n");
    shell.arg(place.path("nivsh")).args(["--api", "vis0.sock"]).current_dir(place.path("."));
    let typed = std::fs::File::open(place.path("typed")).unwrap();
    let said = text(&shell.stdin(typed).output().unwrap());
    assert!(said.contains(&denied), "{said}");

    let log = place.show("vis0", "show accounting log");
    let told = |row: &serde_json::Value| {
        (row["uid"].as_u64().unwrap(), row["command"].as_str().unwrap().to_owned(), row["success"] == true)
    };
    let user = u64::from(USER);
    let expected = [
        (user, "interface vethernet 7 ; shutdown", false),
        (user, "reload", false),
        (user, "capture ethernet1/1", false),
        (user, "interface vethernet 7 ; shutdown", true),
        (user, "configure terminal", false),
    ];
    let expected = expected.map(|(uid, command, done)| (uid, command.to_owned(), done));
    assert_eq!(log.as_array().unwrap().iter().map(told).collect::<Vec<_>>(), expected);
    let line =
        text(&nivctl(&place, READERS, &["--api", "vis0.sock", "show", "accounting", "log", "last", "1"]));
    assert!(line.contains(&format!(":user={USER}:cmd=configure terminal (FAILURE)")), "{line}");
    place.stop("vis0");
    place.stop("adapter0");
}

#[test]
fn a_group_that_is_none_is_named_with_its_line() {
    let place = Place::new(&[
        ("vis0.toml", node("vis0") + "admin_group = \"no-such-group-here\"\n"),
        ("vis0.cfg", String::new()),
    ]);
    let (code, said) = place.run_daemon("vis0", &["--config", "vis0.toml"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("vis0.toml:7") && said.contains("there is no such group of users"), "{said}");
}
