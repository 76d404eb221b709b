//! `show doctor`: what is wrong with this adapter, and what mends it.
//!
//! [`facts`] reads what there is; [`links`], [`vnics`] and [`drops`] judge it, and know nothing else.

mod drops;
mod facts;
mod kinds;
mod links;
mod rights;
#[cfg(test)]
mod tests;
mod vnics;

use super::{Answer, Context};
use facts::Facts;
use niv_node::command::Args;
use niv_node::doctor::{Finding, Report, Step, quote};

/// `show doctor`
pub(super) fn show(adapter: &mut Context, _: &Args) -> Answer {
    Ok(examine(&Facts::of(adapter)).output().into())
}

fn examine(facts: &Facts) -> Report {
    let mut report = Report::new(&facts.node, env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    links::judge(&mut report, facts);
    vnics::judge(&mut report, facts);
    if facts.rules > 0 {
        let what = format!("{} rules", facts.rules);
        let finding = Finding::new(&kinds::FIRMWARE_FAULT, &facts.node, what);
        report.add(finding.step(Step::exec("firmware fault clear")).step(Step::see("show firmware fault")));
    }
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
