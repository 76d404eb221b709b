use super::*;
use crate::output::Output;
use core::time::Duration;

static DOWN: Kind = Kind { code: "down", severity: Severity::Problem, why: "No frames pass.", mend: "`up`" };
static DROPS: Kind = Kind { code: "drops", severity: Severity::Warning, why: "Frames are lost.", mend: "-" };
static QUIET: Kind = Kind { code: "quiet", severity: Severity::Hint, why: "Nobody is there.", mend: "-" };

fn report(findings: impl IntoIterator<Item = Finding>) -> Report {
    let mut report = Report::new("vis0", "vis-switch", "1.0");
    findings.into_iter().for_each(|finding| report.add(finding));
    report
}

#[test]
fn what_is_wrong_with_many_things_is_one_finding_and_a_page_stays_one() {
    let many = report((0..4000).map(|n| Finding::new(&DOWN, format!("p{n}"), "unplugged")));
    assert_eq!((many.findings.len(), many.findings[0].more, many.left_out), (1, 3995, 0));
    assert!(many.page("nivctl").contains("down: p0, p1, p2, p3, p4 and 3995 more\n"));
    let different = report((0..4000).map(|n| Finding::new(&DOWN, "p", format!("cut {n}"))));
    assert_eq!((different.findings.len(), different.left_out), (8, 3992));
    assert!(different.page("nivctl").ends_with("  and 3992 more like these\n"));
}

#[test]
fn only_what_lasts_and_what_grows_is_left() {
    let at = |count: u64, passing: Option<&str>| {
        let drops = [Finding::new(&DROPS, "vis0", "rx_vlan").counting(count)];
        let still = [Finding::new(&DROPS, "vis0", "rx_runt").counting(7)];
        let passing = passing.map(|thing| Finding::new(&DOWN, thing, "starting"));
        let lasting = Finding::new(&DOWN, "p9", format!("for {count} s"));
        report(drops.into_iter().chain(still).chain(passing).chain([lasting]))
    };
    let later = at(35, Some("p2")).since(&at(10, Some("p1")), Duration::from_secs(1));
    let left: Vec<_> = later.findings.iter().map(|finding| finding.what.as_str()).collect();
    assert_eq!(left, ["rx_vlan; 25 more in 1 s", "for 35 s"]);
    // A daemon that began anew has counted less.
    assert_eq!(at(3, None).since(&at(10, None), Duration::from_secs(1)).findings.len(), 1);
    // Many stand still, few grow, and no more than a page has are told.
    let many =
        |count: u64| report((0..100).map(|n| Finding::new(&DROPS, format!("v{n}"), "d").counting(count)));
    let grown = many(2).since(&many(1), Duration::from_secs(1));
    assert_eq!((many(1).findings.len(), grown.findings.len(), grown.left_out), (100, 8, 92));
    // At one moment nothing grows, and programs get the number.
    let Output::Prose { text, value } = at(35, None).output() else { panic!("no prose") };
    assert!(!text.contains("rx_vlan") && text.contains("p9"), "{text}");
    let read: Report = serde_json::from_value(value).expect("a report");
    assert_eq!(read, at(35, None));
}

#[test]
fn who_knows_better_is_asked_instead() {
    let mut report =
        report([Finding::new(&DOWN, "a", "refused").told_by(Some("vis0")), Finding::new(&DOWN, "b", "cut")]);
    report.defer_to(&["vis1".to_owned()].into());
    assert_eq!(report.findings.len(), 2);
    report.defer_to(&["vis0".to_owned()].into());
    assert_eq!(report.findings[0].things, ["b"]);
}

#[test]
fn a_page_is_short_where_all_is_well_and_can_be_pasted_where_not() {
    let mut well = report([]);
    well.fine("2 of 2 ports up");
    assert_eq!(well.page("nivctl"), "vis0 (vis-switch 1.0): healthy\n  ok       2 of 2 ports up\n");
    let ill = report([
        Finding::new(&QUIET, "vnic0", "no guest"),
        Finding::new(&DOWN, "p1", "cut\x1b[2J\nby\ta peer")
            .step(Step::configure(["interface x", "description it's"]))
            .step(Step::exec("vnic set a;b mac 1"))
            .step(Step::shell("ip link set dev x up"))
            .step(Step::see("show link"))
            .step(Step::advice("plug it in")),
    ]);
    let lines = [
        "vis0 (vis-switch 1.0): 1 problem, 1 hint",
        "  PROBLEM  down: p1",
        "           what cut?[2J?by?a peer",
        "           why  No frames pass.",
        r"           mend printf '%s\n' 'interface x' 'description it'\''s' | nivctl --api vis0 configure -",
        "           mend nivctl --api vis0 vnic set 'a;b' mac 1",
        "           mend ip link set dev x up",
        "           see  nivctl --api vis0 show link",
        "           do   plug it in",
        "  hint     quiet: vnic0",
        "           what no guest",
        "           why  Nobody is there.\n",
    ];
    assert_eq!(ill.page("nivctl --api vis0"), lines.join("\n"));
    assert!(!ill.is_healthy() && report([Finding::new(&QUIET, "vnic0", "no guest")]).is_healthy());
    let value = commands(&ill.findings[1], "nivctl --api vis0");
    assert_eq!((&value["severity"], value["mend"].as_array().unwrap().len()), (&"problem".into(), 3));
    assert_eq!(
        (&value["see"][0], &value["advice"][0]),
        (&"nivctl --api vis0 show link".into(), &"plug it in".into())
    );
    assert!(value.get("steps").is_none());
}
