//! `nivctl doctor`: what is wrong, on one page, and what mends it.
//!
//! All daemons that are found are asked ([`crate::doctor`]), twice; what only a client can see is looked at here
//! ([`reach`]: whether they can be reached; [`host`]: the host they run on; [`units`]: their service manager).

mod host;
mod reach;
mod units;

use super::Failure;
use crate::client;
use crate::doctor::{Report, commands};
use reach::{Answer, Place, User};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// Say what is wrong with the daemons here, and what mends it
///
/// All daemons that are found are asked, twice: what is there both times is told, and counters that grow in between. Commands
/// under "mend" can be pasted into a shell as they are; those under "see" only show more. docs/doctor.md lists all findings.
#[derive(clap::Args)]
#[command(after_help = CODES)]
pub(super) struct Args {
    /// Time between both looks
    #[arg(short, long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=3600))]
    seconds: u16,
}

const CODES: &str =
    "Exit code: 0 healthy (there may be hints), 1 there are problems or warnings, 2 the request was wrong.";

/// How long a daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is found here, beside those whom it is about.
const HERE: &str = "this host";

pub(super) fn run(api: Option<&Path>, args: &Args, as_json: bool) -> Result<(), Failure> {
    let span = Duration::from_secs(args.seconds.into());
    let mut places = reach::places(api);
    places.iter_mut().for_each(|place| place.ask(PATIENCE));
    let first: Vec<Option<Report>> = places.iter().map(|place| place.report().cloned()).collect();
    if first.iter().any(Option::is_some) {
        std::thread::sleep(span);
    }
    let mut reports = Vec::new();
    for (place, first) in places.iter_mut().zip(first) {
        let Some(first) = first else { continue };
        place.ask(PATIENCE);
        // One that answered once and not again is told of as one that cannot be reached.
        if let Answer::Report(report) = &place.answer {
            reports.push((place.nivctl(), report.as_ref().clone().since(&first, span)));
        }
    }
    let page = assemble(reports, here(&places));
    if as_json {
        super::print_json(&page.json())?;
    } else {
        super::print(&page.text())?;
    }
    if page.is_healthy() { Ok(()) } else { Err(Failure::Found) }
}

/// What is seen from here.
fn here(places: &[Place]) -> Report {
    let mut report = Report::new(HERE, "", "");
    let user = User::this();
    let managed = units::is_there();
    for place in places {
        reach::judge(&mut report, place, &user, managed);
    }
    if managed {
        units::look(&mut report);
    }
    host::look(&mut report, places);
    report
}

/// All reports, each with how its daemon is reached.
struct Page {
    reports: Vec<(String, Report)>,
}

/// What follows from something else is left to those who know it; versions are compared.
fn assemble(mut reports: Vec<(String, Report)>, mut here: Report) -> Page {
    let asked: BTreeSet<String> = reports.iter().map(|(_, report)| report.node.clone()).collect();
    for (_, report) in &mut reports {
        report.defer_to(&asked);
        reach::compare_version(&mut here, report);
    }
    if !here.findings.is_empty() {
        reports.push(("nivctl".to_owned(), here));
    }
    Page { reports }
}

impl Page {
    fn is_healthy(&self) -> bool {
        self.reports.iter().all(|(_, report)| report.is_healthy())
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (nivctl, report) in &self.reports {
            text.push_str(&report.page(nivctl));
        }
        text
    }

    fn json(&self) -> Value {
        let nodes = self.reports.iter().map(|(nivctl, report)| {
            let mut value = json!(report);
            let findings = report.findings.iter().map(|finding| commands(finding, nivctl));
            value["findings"] = findings.collect::<Vec<_>>().into();
            value["healthy"] = report.is_healthy().into();
            value
        });
        json!({ "healthy": self.is_healthy(), "nodes": nodes.collect::<Vec<_>>() })
    }
}

/// How `nivctl` is told to ask the daemon at this socket, as briefly as possible.
fn reached_by(socket: &Path) -> String {
    let name = socket.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let found = client::find(Some(Path::new(&name))).ok();
    let same = found.is_some_and(|clients| clients.iter().any(|client| client.path() == socket));
    let api = if same { name } else { socket.display().to_string() };
    format!("nivctl --api {}", crate::doctor::quote(&api))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_has_what_is_found_here_and_nothing_else() {
        let page = include_str!("../../../../docs/doctor.md");
        let on_page: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("| nivctl ")).collect();
        let all = [reach::KINDS, host::KINDS, units::KINDS];
        let kinds: Vec<String> = all.into_iter().flatten().map(|kind| kind.row()).collect();
        assert_eq!(on_page, kinds);
    }
}
