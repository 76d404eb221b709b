//! The daemons' units, where systemd runs.

use crate::doctor::{Finding, Report, Step, quote};
use std::path::Path;
use std::process::{Command, Stdio};

crate::finding_kinds! {
    FAILED = "unit-failed", Problem:
        "systemd has given up starting it.",
        "what its last lines in the journal say, then `systemctl restart UNIT`";
    RESTARTED = "unit-restarts", Warning:
        "It ended or hung and was started again; each time its guests may have lost frames.",
        "`journalctl -u UNIT` says why; `systemctl reset-failed UNIT` counts from 0";
}

/// systemd runs here.
pub(super) fn is_there() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// Looks at all units of ours.
pub(super) fn look(report: &mut Report) {
    let asked = Command::new("systemctl")
        .args(["show", "--property=Id,ActiveState,Result,NRestarts", "vis-switch@*", "niv-adapter@*"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    if let Ok(output) = asked {
        judge(report, &String::from_utf8_lossy(&output.stdout));
    }
}

/// What `systemctl show` says: a block of `KEY=VALUE` for each unit.
fn judge(report: &mut Report, said: &str) {
    for unit in said.split("\n\n") {
        let value = |key: &str| {
            unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap_or_default()
        };
        let (id, result) = (value("Id"), value("Result"));
        let name = quote(id);
        let journal = Step::shell(format!("journalctl -u {name} -n 20 --no-pager"));
        let restarts = value("NRestarts").parse::<u64>().unwrap_or(0);
        if id.is_empty() {
        } else if value("ActiveState") == "failed" {
            let what = format!("failed ({result})");
            let restart = Step::shell(format!("systemctl restart {name}"));
            report.add(Finding::new(&FAILED, id, what).step(restart).step(journal));
        } else if restarts > 0 {
            let last = if result == "success" { String::new() } else { format!(", last for {result}") };
            let what = format!("started again {restarts} times by systemd{last}");
            let reset = Step::shell(format!("systemctl reset-failed {name}"));
            report.add(Finding::new(&RESTARTED, id, what).step(journal).step(reset));
        } else {
            report.fine(format!("{id}: {}", value("ActiveState")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_that_failed_or_came_back_are_found() {
        let said = "Id=vis-switch@vis0.service\nActiveState=failed\nResult=exit-code\nNRestarts=5\n\n\
                    Id=niv-adapter@adapter0.service\nActiveState=active\nResult=watchdog\nNRestarts=2\n\n\
                    Id=niv-adapter@adapter1.service\nActiveState=active\nResult=success\nNRestarts=0\n";
        let mut report = Report::default();
        judge(&mut report, said);
        let found: Vec<_> =
            report.findings.iter().map(|found| (found.code.as_str(), found.what.as_str())).collect();
        let restarts = "started again 2 times by systemd, last for watchdog";
        assert_eq!(found, [("unit-failed", "failed (exit-code)"), ("unit-restarts", restarts)]);
        assert_eq!(report.findings[0].steps[0], Step::shell("systemctl restart vis-switch@vis0.service"));
        assert_eq!(report.fine, ["niv-adapter@adapter1.service: active"]);
        let mut report = Report::default();
        judge(&mut report, "");
        assert_eq!(report, Report::default());
    }
}
