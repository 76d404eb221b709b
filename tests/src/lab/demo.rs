//! `cargo lab demo`: real guests through a real adapter and a real switch, each fact with its number.

use super::given::{self, Given};
use super::guest::Machine;
use super::running::{self, Lab};
use super::topology::{self, CAPTURE, NODES, PROFILE, VMS};
use super::{balance, checksums, cleanup, facts, packages, paths, say, wire};
use anyhow::{Context, Result, bail};
use std::time::{Duration, Instant};

/// How soon after its start the switch must serve again.
const BACK: Duration = Duration::from_secs(2);
/// Octets of an IP packet on the links.
const MTU: usize = 1500;

/// What a guest's carrier waits for.
const QEMU: &str = "(QEMU reconnects once a second)";

/// Shows all of it. An error names the fact that does not hold.
pub(crate) fn run() -> Result<()> {
    paths::enter()?;
    let _lock = cleanup::take()?;
    say::heading("Four guests, two adapters, one switch, and VNTag on every link");
    picture();
    packages::ensure(&[packages::GUESTS, packages::CAPTURE])?;
    running::need_root()?;
    running::build(&[])?;
    let machine = Machine::prepare(paths::THIS.as_ref())?;
    let started = Instant::now();
    let mut lab = Lab::start(&machine)?;
    let mut nr = 0;
    let token = format!("hello-{:08x}", std::process::id());
    let given = match live(&mut lab, &mut nr, &token) {
        Ok(given) => given,
        Err(error) => bail!("fact {} does not hold: {error:#}\n{}", nr + 1, lab.tails()),
    };
    // Everything ends here, so that the capture is whole.
    drop(lab);
    captured(&mut nr, &token, &given).with_context(|| format!("fact {} does not hold", nr + 1))?;
    say::line("");
    say::line(&format!(
        "  {} All {nr} facts hold. Shown in {} after build and downloads.",
        say::green("✓"),
        say::seconds(started.elapsed())
    ));
    say::heading("Next");
    let capture = paths::shown(CAPTURE);
    for (command, what) in [
        ("cargo lab up -d", "the same lab, left running for you"),
        (
            &format!("{} decode {capture} | less", paths::shown_program("vntag")),
            "the wire, control protocol and all",
        ),
        (&format!("tshark -n -r {capture} -Y vntag -V | less"), "its tags, decoded by a stranger"),
        ("cargo lab test", "everything that proves the project"),
    ] {
        say::line(&format!("  {command:<60} {what}"));
    }
    Ok(())
}

/// The lab, for somebody who sees it for the first time.
pub(crate) fn picture() {
    for line in [
        "    vm1 ─┐",
        "    vm2 ─┼─ adapter0 ═══ link0 ═══╗",
        "    vm3 ─┘                        vis0 ─── tap ─── host in a network namespace",
        "    vm4 ─── adapter1 ═══ link1 ═══╝",
        "            ═══ memif carrying VNTag frames: the adapters stamp, only the switch decides",
    ] {
        say::line(&say::dim(line));
    }
    say::line("");
}

/// What runs. Gives what the switch gave.
fn live(lab: &mut Lab, nr: &mut u32, token: &str) -> Result<Vec<Given>> {
    say::heading("What they do");
    let given = given::all()?;
    facts::fact(
        nr,
        &format!(
            "switch and adapters found each other by LLDP: vis0 sees {}",
            given::neighbors()?.join(", ")
        ),
    );
    facts::fact(nr, "the adapters asked for their vNICs, and the switch gave; no file has these numbers:");
    for (vm, Given { vif, veth }) in VMS.iter().zip(&given) {
        say::line(&format!(
            "       {} asked for port profile {PROFILE}: VIF {vif} of link{}, vEthernet {veth} of vis0",
            vm.name, vm.adapter
        ));
    }
    let (table, directions) = facts::everybody_pings(lab)?;
    facts::fact(
        nr,
        &format!("{directions} of {directions} directions answer pings, 3 of 3 each; best round trips:"),
    );
    for line in table {
        say::line(&format!("       {line}"));
    }

    let rate = facts::iperf3(lab, 0, 1)?;
    facts::fact(
        nr,
        &format!(
            "iperf3 {} → {}, both on adapter0 (hairpin at the switch): {rate:.0} Mbit/s",
            VMS[0].name, VMS[1].name
        ),
    );
    let rate = facts::iperf3(lab, 0, 3)?;
    facts::fact(
        nr,
        &format!("iperf3 {} → {}, from adapter0 to adapter1: {rate:.0} Mbit/s", VMS[0].name, VMS[3].name),
    );

    let copies = facts::broadcast(lab, token)?;
    if copies != [0, 1, 1, 1] {
        bail!("copies of one broadcast from {}: {copies:?}, due are [0, 1, 1, 1]", VMS[0].name);
    }
    let each: Vec<_> = VMS.iter().zip(&copies).map(|(vm, count)| format!("{} {count}", vm.name)).collect();
    facts::fact(
        nr,
        &format!("a broadcast from {} arrives once everywhere else: {}", VMS[0].name, each.join(", ")),
    );

    let (down, up) = facts::shutdown(lab, 0, given[0].veth)?;
    facts::fact(
        nr,
        &format!(
            "shutdown of vEthernet {}: {} loses its carrier after {:.2} s, and has it {:.2} s after no shutdown {QEMU}",
            given[0].veth,
            VMS[0].name,
            down.as_secs_f64(),
            up.as_secs_f64()
        ),
    );

    let back = facts::restart(lab)?;
    if back > BACK {
        bail!("the switch was back only after {}", say::seconds(back));
    }
    facts::fact(
        nr,
        &format!(
            "switch restarted: first answer {:.2} s after its start; no guest's carrier changed",
            back.as_secs_f64()
        ),
    );
    let absence = facts::absence(lab)?;
    let (answered, asked) = absence.answered;
    if answered != 0 {
        bail!(
            "without the switch {answered} of {asked} pings between {} and {} were answered",
            VMS[0].name,
            VMS[1].name
        );
    }
    facts::fact(
        nr,
        &format!(
            "switch stopped: {answered} of {asked} pings answered between {} and {}, both on adapter0;",
            VMS[0].name, VMS[1].name
        ),
    );
    say::line(&format!(
        "       after {:.1} s all guests have lost their carriers (carrier_delay is {} s)",
        absence.down.as_secs_f64(),
        facts::CARRIER_DELAY.as_secs()
    ));
    facts::fact(
        nr,
        &format!(
            "switch started: all carriers are back after {:.1} s {QEMU}; no guest, no adapter restarted",
            absence.up.as_secs_f64()
        ),
    );
    if given::all()? != given {
        bail!("the switch that came back gave other numbers: {:?}, they were {given:?}", given::all()?);
    }
    let (_, directions) = facts::everybody_pings(lab)?;
    facts::fact(
        nr,
        &format!(
            "the same VIFs and vEthernets as before, and again {directions} of {directions} directions answer"
        ),
    );

    let balances =
        NODES.iter().map(|node| balance::settled(node, &topology::api(node))).collect::<Result<Vec<_>>>()?;
    facts::fact(nr, "every frame is accounted for:");
    for (node, balance) in NODES.iter().zip(balances) {
        let drops = balance::drops(&topology::api(node))?;
        let drops = if drops.is_empty() { drops } else { format!(" ({drops})") };
        say::line(&format!("       {node:<9} {balance}{drops}"));
    }
    Ok(given)
}

fn captured(nr: &mut u32, token: &str, given: &[Given]) -> Result<()> {
    say::heading(&format!("What was on link0 ({})", paths::shown(CAPTURE)));
    let frames = wire::read()?;
    let (up, down): (Vec<_>, Vec<_>) = frames.iter().partition(|frame| !frame.tag.d());
    let ping = wire::hairpinned_ping(&frames, given)?;
    facts::fact(nr, &format!("one ping from {} to {}, as it went over the link:", VMS[0].name, VMS[1].name));
    wire::show_ping(&ping, given);
    let read = wire::by_tshark(&ping)?;
    facts::fact(nr, "tshark reads the same tags:");
    for line in read {
        say::line(&format!("       {line}"));
    }
    let seen = checksums::complete(CAPTURE.as_ref())?;
    if seen.tcp == 0 || seen.longest > MTU {
        bail!("{} TCP frames with IP packets of up to {} octets", seen.tcp, seen.longest);
    }
    facts::fact(
        nr,
        &format!(
            "the guests leave checksums and segmentation to the adapter; tshark sums again: all {} TCP frames are right, none over {MTU}",
            seen.tcp
        ),
    );
    let copy = wire::broadcast(&frames, token, given)?;
    facts::fact(
        nr,
        &format!(
            "the broadcast went up once and came down as exactly one copy for {} guests: {copy}",
            members()
        ),
    );
    say::line(&say::dim(&format!(
        "       {} tagged frames up and {} down in the capture",
        up.len(),
        down.len()
    )));
    Ok(())
}

fn members() -> usize {
    VMS.iter().filter(|vm| vm.adapter == 0).count() - 1
}
