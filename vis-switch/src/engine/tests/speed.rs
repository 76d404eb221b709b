//! New tables are made for every batch of vEths that come and go. The bounds are of processor time, and generous;
//! `examples/table_compile.rs` says how long it really takes.

use super::*;
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

const VETHS: u16 = 4000;

/// Processor time of this thread.
pub(crate) fn processor_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().expect("never negative")
}

/// The least of some rounds, each with one vEth more or less.
fn compile(program: &Arc<Program>) -> Duration {
    let counters: Vec<_> = (0..=VETHS).map(|_| Arc::default()).collect();
    let floods = FloodLists(Arc::new([FloodList {
        vlans: program.allowed.clone(),
        list: ListId::new(1).unwrap(),
        members: (1..=VETHS).map(vif_id).collect(),
    }]));
    let plan = |veths: u16| Plan {
        ports: vec![PortPlan::Niv { floods: floods.clone() }],
        lifs: (1..=veths)
            .map(|vif| {
                let own = &counters[usize::from(vif)];
                LifPlan::virt(lif_id(vif.into()), 0, vif_id(vif), program.clone(), Arc::clone(own))
            })
            .collect(),
        ..Plan::default()
    };
    let mut tables = Tables::compile(&plan(VETHS), None);
    let mut least = Duration::MAX;
    for round in 0..10 {
        let plan = plan(VETHS - round % 2);
        let begin = processor_time();
        let new = Tables::compile(&plan, Some(&tables));
        least = least.min(processor_time() - begin);
        tables = new;
    }
    assert_eq!(tables.copy_counters().map(|copy| copy.members.len()).max(), Some(usize::from(VETHS - 1)));
    least
}

#[test]
fn four_thousand_in_one_vlan() {
    let least = compile(&Arc::new(Program::access(10)));
    assert!(least < Duration::from_millis(10), "{least:?}");
}

#[test]
fn four_thousand_in_all_vlans() {
    let least = compile(&Arc::new(Program::trunk(1, VlanSet::all())));
    assert!(least < Duration::from_millis(10), "{least:?}");
}
