//! What real guests leave to the adapter is done when their frames are on a wire.

use super::ethtool::found_no_fault;
use super::links::{Link, Over};
use super::machine::machine;
use super::net::missing_rights;
use super::place::{left_out, missing_program};
use super::scene::{COMMAND, OTHER, Scene, active, ping};
use niv_lab::lab::checksums::complete;

/// A card that leaves nothing to its device and takes nothing unfinished.
const NONE: &str = ",csum=off,gso=off,host_tso4=off,host_tso6=off,host_ecn=off,host_ufo=off\
                    ,guest_csum=off,guest_tso4=off,guest_tso6=off,guest_ecn=off,guest_ufo=off,ctrl_guest_offloads=off";
/// Octets of a stream, and the frames that these are at least.
const STREAM: (u64, usize) = (4 << 20, (4 << 20) / 1448);

#[test]
fn guests_with_all_offloads_and_with_none_over_every_kind_of_link() {
    if left_out(missing_program(&Over::PROGRAMS).or_else(missing_rights)) {
        return;
    }
    let Some((machine, _turn)) = machine() else { return };
    let mut running = None;
    for over in Over::ALL {
        let mut link = Link::lay(over);
        let scene = Scene {
            devices: link.devices.clone(),
            link: link.keys.clone(),
            cards: ["", NONE],
            ..Scene::default()
        };
        let (place, guests) = match &mut running {
            None => {
                let place = scene.daemons();
                link.begin(&place);
                let guests = scene.guests(&place, machine);
                guests[1].1.must("iperf3 -s -D", COMMAND).unwrap();
                running.insert((place, guests))
            }
            Some(running) => {
                scene.again(&mut running.0);
                link.begin(&running.0);
                running
            }
        };
        active(place);
        let agent = &guests[0].1;
        ping(agent);
        let counted = |key: &str| {
            let shown = place.show("adapter0", "show vnic vnic1");
            let device = shown["device"].as_array().unwrap();
            let handed = device.iter().find(|row| row["counter"] == key).unwrap()["value"].as_u64().unwrap();
            [handed, shown["vnic"][key].as_u64().unwrap()]
        };
        let before = counted("rx_frames");
        agent.must(&format!("iperf3 -c {OTHER} -n {}", STREAM.0), COMMAND).unwrap();
        // The guest does not cut by itself: what it handed over were few frames, and long ones.
        let after = counted("rx_frames");
        let [handed, frames] = [0, 1].map(|n| after[n] - before[n]);
        assert!(handed < frames / 2, "{over:?}: {handed} from the guest, {frames} on the link");
        agent.must(&format!("iperf3 -c {OTHER} -n {} -R", STREAM.0), COMMAND).unwrap();
        for words in ["", "-R"] {
            agent.must(&format!("iperf3 -c {OTHER} -u -b 4M -n 200K -l 1400 {words}"), COMMAND).unwrap();
        }
        place.at_rest();
        for (_, agent) in &*guests {
            found_no_fault(agent);
        }
        place.stop("adapter0");
        let seen = complete(&link.seen(place)).unwrap();
        println!("{over:?}: {handed} frames from the guest became {frames}; {seen:?}");
        // Each frame goes up and down the link, and there is one stream each way. iperf3 ends when it has handed over all; of what
        // the kernel still has then, a part may not be sent any more.
        let least = 2 * STREAM.1 * 3 / 4;
        assert!(seen.tcp_down >= least && seen.tcp >= 2 * least, "{over:?}: {seen:?}");
        // Who sends UDP may stop when the other side has heard enough.
        assert!(seen.udp >= 300 && seen.longest == 1500, "{over:?}: {seen:?}");
        // The next one ends it again.
        place.start("adapter0");
    }
}
