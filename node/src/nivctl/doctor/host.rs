//! What daemons and guests need of their host: memory, devices, rights.

use super::reach::Place;
use crate::doctor::{Finding, Report, Step};
use std::path::Path;

crate::finding_kinds! {
    MEMORY = "memory-low", Warning:
        "A guest's memory is shared and taken as it is used: the kernel ends a guest or a daemon when there is none left.",
        "fewer or smaller guests";
    HUGE_PAGES = "huge-pages-used", Hint:
        "A guest whose memory is to be of huge pages does not start; one on a memfd does not need them.",
        "`sysctl vm.nr_hugepages=N`";
    NO_TUN = "tun-missing", Hint:
        "No tap can be made, so a daemon with `tap:` devices does not start.",
        "`modprobe tun`";
    NO_RIGHTS = "daemon-rights", Hint:
        "`tap:`, `packet:` and `xdp:` devices cannot be opened by it; memif and vhost-user need no rights.",
        "the units of `node/systemd/`, or start it as root";
    NO_SANDBOX = "sandbox-off", Warning:
        "A guest or peer that takes the daemon over by a mistake in it gets whatever the daemon's user has.",
        "start it without `--no-sandbox`";
}

/// Kilobytes below which there is hardly any memory.
const LITTLE: u64 = 128 * 1024;
/// Numbers of capabilities (capabilities(7)).
const NET_ADMIN: u64 = 1 << 12;
const NET_RAW: u64 = 1 << 13;

/// Looks at the host.
pub(super) fn look(report: &mut Report, places: &[Place]) {
    memory(report, &std::fs::read_to_string("/proc/meminfo").unwrap_or_default());
    if !Path::new("/dev/net/tun").exists() {
        let finding = Finding::new(&NO_TUN, "/dev/net/tun", "there is no such device");
        report.add(finding.step(Step::shell("sudo modprobe tun")));
    }
    for place in places {
        let (Some(daemon), Some(process)) = (place.report(), place.process()) else { continue };
        let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid)).unwrap_or_default();
        rights(report, &daemon.node, &status);
    }
}

/// `/proc/meminfo`.
fn memory(report: &mut Report, said: &str) {
    let number = |key: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        line?.split_whitespace().next()?.parse::<u64>().ok()
    };
    if let Some(left) = number("MemAvailable").filter(|left| *left < LITTLE) {
        let what = format!("{} MiB of memory are left", left / 1024);
        let see = Step::shell("ps -eo rss,pid,comm --sort=-rss | head");
        report.add(Finding::new(&MEMORY, "memory", what).step(see));
    }
    if let (Some(total @ 1..), Some(0)) = (number("HugePages_Total"), number("HugePages_Free")) {
        let what = format!("all {total} huge pages are in use");
        let more = Step::shell(format!("sudo sysctl vm.nr_hugepages={}", 2 * total));
        report.add(Finding::new(&HUGE_PAGES, "huge pages", what).step(more));
    }
}

/// `/proc/PID/status`.
fn rights(report: &mut Report, node: &str, status: &str) {
    let filter = status.lines().find_map(|line| line.strip_prefix("Seccomp:")).map(str::trim);
    match filter {
        // It has kept what its devices need and given up the rest.
        Some("2") => return,
        Some(_) => {
            let step = Step::advice("start it without --no-sandbox");
            report.add(Finding::new(&NO_SANDBOX, node, "runs without its sandbox").step(step));
        }
        None => {}
    }
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let Some(has) = line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()) else { return };
    let missing: Vec<&str> = [(NET_ADMIN, "CAP_NET_ADMIN"), (NET_RAW, "CAP_NET_RAW")]
        .into_iter()
        .filter(|(bit, _)| has & bit == 0)
        .map(|(_, name)| name)
        .collect();
    if !missing.is_empty() {
        let what = format!("runs without {}", missing.join(" and "));
        let how = Step::advice("start it by its unit (docs/running.md), or as root");
        report.add(Finding::new(&NO_RIGHTS, node, what).step(how));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(report: &Report) -> Vec<&str> {
        report.findings.iter().map(|finding| finding.code.as_str()).collect()
    }

    #[test]
    fn memory_that_is_short_is_found() {
        let text = |available: u64, free: u64| {
            format!(
                "MemTotal: 9 kB\nMemAvailable:  {available} kB\nHugePages_Total:  8\nHugePages_Free:  {free}\n"
            )
        };
        for (said, found) in [
            (text(200_000, 1), vec![]),
            (text(100_000, 1), vec!["memory-low"]),
            (text(200_000, 0), vec!["huge-pages-used"]),
            (text(200_000, 0).replace("Total:  8", "Total:  0"), vec![]),
            (String::new(), vec![]),
        ] {
            let mut report = Report::default();
            memory(&mut report, &said);
            assert_eq!(codes(&report), found, "{said}");
        }
    }

    #[test]
    fn a_sandbox_that_is_off_is_named_and_one_that_is_on_explains_what_is_missing() {
        for (status, expected) in [
            ("Seccomp:\t0\nCapEff:\t0000000000003000", vec!["sandbox-off"]),
            ("Seccomp:\t2\nCapEff:\t0000000000000000", vec![]),
        ] {
            let mut report = Report::default();
            rights(&mut report, "vis0", status);
            assert_eq!(codes(&report), expected, "{status}");
        }
    }

    #[test]
    fn rights_that_are_missing_are_named() {
        for (hex, missing) in [
            ("000001ffffffffff", None),
            ("0000000000003000", None),
            ("0000000000002000", Some("runs without CAP_NET_ADMIN")),
            ("0000000000000000", Some("runs without CAP_NET_ADMIN and CAP_NET_RAW")),
        ] {
            let mut report = Report::default();
            rights(&mut report, "vis0", &format!("Name:\tx\nCapEff:\t{hex}\n"));
            assert_eq!(report.findings.first().map(|found| found.what.as_str()), missing);
        }
    }
}
