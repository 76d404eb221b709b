//! `show doctor`: what is wrong with this switch, and what mends it.
//!
//! [`facts`] reads what there is; [`ports`], [`veths`] and [`drops`] judge it, and know nothing else.

mod drops;
mod facts;
mod kinds;
mod ports;
#[cfg(test)]
mod tests;
mod veths;

use super::{Answer, Session};
use facts::Facts;
use niv_node::command::Args;
use niv_node::doctor::{Finding, Report, Step, quote};

/// `show doctor`
pub(super) fn show(session: &mut Session, _: &Args) -> Answer {
    Ok(examine(&Facts::of(&session.switch)).output().into())
}

fn examine(facts: &Facts) -> Report {
    let mut report = Report::new(&facts.node, env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    ports::judge(&mut report, facts);
    veths::judge(&mut report, facts);
    drops::judge(&mut report, facts);
    match &facts.store {
        None => report.fine("state is kept"),
        Some(why) => {
            let folder = quote(&facts.state_dir);
            let look = Step::shell(format!("df -h {folder}; ls -ld {folder}"));
            report.add(Finding::new(&kinds::STORE, &facts.node, why).step(look));
        }
    }
    if let Some((workers, cpus)) = facts.crowd {
        let finding = Finding::new(&kinds::WORKERS, &facts.node, format!("workers: {workers}, CPUs: {cpus}"));
        report.add(finding.step(Step::see("show system workers")));
    }
    report
}
