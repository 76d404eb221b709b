//! What devices count and what the documentation says that they count.

#[expect(dead_code, reason = "shared with other tests")]
mod common;

use common::{Net, missing, open_device, open_with_mtu};
use link::capture::{Capture, tee};
use link::{FaultPlan, Port, fault, pair};

#[test]
fn every_counter_of_a_device_is_in_the_documentation() {
    if missing() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let net = Net::new().unwrap();
    let (veth, peer) = net.veth().unwrap();
    let capture = Capture::create(&dir.path().join("a.pcapng")).unwrap();
    let mut kinds: Vec<(&str, Port)> = vec![
        ("memif", open_with_mtu(&format!("memif:{}", dir.path().join("m").display()), 1500).unwrap()),
        ("packet", open_device(&format!("packet:{veth}"))),
        ("xdp", open_device(&format!("xdp:{peer}"))),
        ("tap", open_device(&format!("tap:{}", net.name("t")))),
        ("`fault`", fault::inject(pair::pair(1).0, FaultPlan::new(1))),
    ];
    kinds.push(("`capture`", tee(pair::pair(1).0, &capture.interface("a", "pair"))));
    let ours = pair::pair(1).0.monitor.counters();
    let documented = include_str!("../../docs/observability.md");
    let mut absent = Vec::new();
    for (kind, port) in &kinds {
        for counter in port.monitor.counters() {
            let line = format!("| {kind} | `{}` |", counter.name);
            let of_the_pair = kind.starts_with('`') && ours.iter().any(|c| c.name == counter.name);
            if !of_the_pair && !documented.contains(&line) {
                absent.push(format!("{line} {} |", counter.help));
            }
        }
    }
    assert!(absent.is_empty(), "docs/observability.md lacks:\n{}", absent.join("\n"));
}
