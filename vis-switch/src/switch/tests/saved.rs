//! The startup configuration and checkpoints: what was acknowledged is kept.

use super::*;
use crate::switch::saved::MOST_CHECKPOINTS;

impl Rig {
    fn refused(&self, line: &str) -> String {
        self.admin.exec(line).expect_err(line).message
    }

    fn hold(&self) -> u32 {
        self.switch.state().config.hold()
    }
}

#[test]
fn reload_goes_back_to_what_was_copied_and_says_what_it_drops() {
    let mut rig = Rig::new();
    rig.configure("vethernet hold 100\n").unwrap();
    assert_eq!(rig.text("show diff"), "+vethernet hold 100\n");
    assert_eq!(rig.text("copy run start"), "Copy complete.\n");
    assert_eq!(rig.text("show startup-config"), rig.text("show running-config"));
    assert_eq!(rig.text("show running-config diff"), "Nothing is unsaved.\n");
    rig.configure("vethernet hold 200\ninterface vethernet 1\n mtu 9000\n").unwrap();

    let mut rig = rig.again();
    assert_eq!(rig.hold(), 200);
    let unsaved = "-vethernet hold 100\n+vethernet hold 200\n+interface vethernet 1\n+  mtu 9000\n";
    assert_eq!(rig.text("show diff"), unsaved);
    let lost = rig.text("show running-config");
    let said = rig.text("reload");
    assert_eq!(said, format!("This was not saved; checkpoint system-before-reload has it:\n{unsaved}"));
    assert_eq!((rig.hold(), rig.kept().running), (100, None));
    assert_eq!(rig.text("reload"), "", "nothing was unsaved");

    // The startup configuration counts from then on, until something is changed.
    let mut again = rig.again();
    assert_eq!(again.hold(), 100);
    assert_eq!(again.text("rollback running-config checkpoint system-before-reload"), unsaved);
    assert_eq!(again.text("show running-config"), lost);
    again.configure("no interface vethernet 1\n").unwrap();
    rig = again.again();
    assert_eq!((rig.hold(), rig.text("show running-config").contains("mtu")), (200, false));

    // Without it, the chassis alone is left.
    assert_eq!(rig.text("write erase"), "");
    rig.show("reload");
    assert_eq!((rig.hold(), rig.again().hold()), (60, 60));
}

#[test]
fn checkpoints_are_kept_by_name() {
    let mut rig = Rig::new();
    rig.configure("vethernet hold 100\n").unwrap();
    assert_eq!(rig.text("checkpoint stable description before the change"), "");
    assert_eq!(rig.text("checkpoint"), "user-checkpoint-1 created.\n");
    rig.configure("vethernet hold 200\nport-profile web\n state enabled\n").unwrap();
    assert!(rig.refused("checkpoint stable").contains("already"), "a name is taken");
    assert!(rig.refused("checkpoint system-x").contains("begin with \"system-\""));
    assert!(rig.refused("no checkpoint unstable").contains("no checkpoint unstable"));
    assert!(rig.refused("rollback running-config checkpoint unstable").contains("no checkpoint unstable"));

    let mut rig = rig.again();
    let shown = rig.show("show checkpoint");
    let names: Vec<&str> = shown.as_array().unwrap().iter().filter_map(|row| row["name"].as_str()).collect();
    assert_eq!(names, ["stable", "user-checkpoint-1"]);
    assert_eq!(shown[0]["description"], "before the change");
    assert!(rig.text("show checkpoint stable").contains("vethernet hold 100\n"));

    let patch = rig.text("show diff rollback-patch checkpoint stable running-config");
    assert_eq!(patch, "vethernet hold 200\nport-profile type vethernet web\n  state enabled\n");
    let back = rig.text("show diff rollback-patch running-config checkpoint stable");
    assert_eq!(back, "no port-profile type vethernet web\nvethernet hold 100\n");
    assert_eq!(rig.text("show diff roll checkpoint stable checkpoint stable"), "!They are the same.\n");
    rig.configure(&back).unwrap();
    assert_eq!(rig.text("show running-config"), rig.text("show checkpoint stable"));

    rig.configure("vethernet hold 300\n").unwrap();
    assert_eq!(
        rig.text("rollback running-config checkpoint stable atomic"),
        "-vethernet hold 300\n+vethernet hold 100\n"
    );
    assert_eq!(rig.text("rollback running-config checkpoint stable"), "Nothing was different.\n");
    assert_eq!(rig.again().hold(), 100);
}

#[test]
fn there_are_only_so_many_checkpoints() {
    let rig = Rig::new();
    for _ in 0..MOST_CHECKPOINTS {
        rig.text("checkpoint");
    }
    assert!(rig.refused("checkpoint one-more").contains("There are 10 checkpoints"));
    rig.text("no checkpoint user-checkpoint-3");
    assert_eq!(rig.text("checkpoint"), "user-checkpoint-3 created.\n");
    assert_eq!(rig.again().show("show checkpoint summary").as_array().unwrap().len(), MOST_CHECKPOINTS);
}

#[test]
fn what_cannot_be_kept_is_not_there() {
    let mut rig = Rig::new();
    rig.configure("vethernet hold 100\n").unwrap();
    rig.text("checkpoint one");
    rig.configure("vethernet hold 200\n").unwrap();
    rig.store.break_down(Some(broken()));
    for line in [
        "copy running-config startup-config",
        "checkpoint two",
        "no checkpoint one",
        "rollback run check one",
        "reload",
    ] {
        assert!(rig.refused(line).starts_with("Nothing was changed, because it cannot be kept"), "{line}");
    }
    rig.store.break_down(None);
    assert_eq!(rig.hold(), 200);
    assert_eq!(rig.text("show diff"), "+vethernet hold 200\n");
    assert_eq!(rig.show("show checkpoint").as_array().unwrap().len(), 1);
    assert_eq!(rig.again().show("show checkpoint")[0]["name"], "one");
}

#[test]
fn a_checkpoint_of_another_chassis_changes_nothing() {
    let mut rig = Rig::new();
    rig.configure("interface vethernet 1\n bind interface ethernet 1/2 channel 5\n").unwrap();
    rig.text("checkpoint bound");
    rig.configure("no interface vethernet 1\n").unwrap();
    let mut smaller = chassis();
    smaller.ports.truncate(1);
    let rig = Rig::on(&rig.store.clone(), smaller);
    let before = rig.text("show running-config");
    let why = rig.refused("rollback running-config checkpoint bound");
    assert!(why.contains("does not fit this chassis") && why.contains("ethernet 1/2"), "{why}");
    assert_eq!(rig.text("show running-config"), before);
}
