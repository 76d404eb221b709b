//! Either daemon is killed a hundred times while two guests talk without a pause; each time both hear each other again, by
//! the VIFs that they had.

use super::files::{negotiated_port, negotiated_vnic, negotiating_link, node};
use super::place::{Place, until, within};
use niv_lab::driver::{Features, Guest};
use niv_lab::world::frames::{BROADCAST, frame, mac};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

const KILLS: u16 = 100;
/// An EtherType for experiments.
const EXPERIMENT: u16 = 0x88b6;

/// What the test tells the guests.
#[derive(Default)]
struct Told {
    /// What they say.
    round: AtomicU16,
    /// The adapter was started anew so often.
    adapters: AtomicU16,
    end: AtomicBool,
}

/// A guest that talks, and reconnects as QEMU does when the adapter is there again.
struct Talker {
    /// What it heard last.
    heard: Arc<AtomicU16>,
    thread: JoinHandle<()>,
}

impl Talker {
    fn start(socket: PathBuf, station: u16, told: Arc<Told>) -> Self {
        let heard = Arc::new(AtomicU16::new(u16::MAX));
        let ours = Arc::clone(&heard);
        let mut guest = Guest::connect(&socket, Features::default()).unwrap();
        let thread = std::thread::spawn(move || {
            let mut adapter = told.adapters.load(Ordering::Acquire);
            while !told.end.load(Ordering::Acquire) {
                let now = told.adapters.load(Ordering::Acquire);
                if now != adapter {
                    guest.disconnect();
                    until("the guest is connected again", || guest.reconnect(&socket).ok());
                    adapter = now;
                }
                let round = told.round.load(Ordering::Acquire);
                let text = [&round.to_be_bytes()[..], &[0; 48]].concat();
                guest.send(&frame(BROADCAST, mac(station)).payload(EXPERIMENT, &text));
                // It waits for an answer a moment, and so does not take the daemons' processor.
                while let Some(got) = guest.recv(Duration::from_micros(500)) {
                    ours.store(u16::from_be_bytes([got[14], got[15]]), Ordering::Release);
                }
            }
        });
        Self { heard, thread }
    }
}

/// What both ends say of the VIFs: name to VIF and vEth, when all are up; what is not yet, otherwise.
fn agreed(place: &Place) -> Option<BTreeMap<String, (u64, u64)>> {
    let rows = place.client("adapter0").exec("show vnic").ok()?;
    let of = |row: &Value| {
        let is_up = row["vif_state"] == "active" && row["state"] == "up";
        let name = row["name"].as_str()?.to_owned();
        is_up.then_some((name, (row["vif"].as_u64()?, row["veth"].as_u64()?)))
    };
    rows.as_array()?.iter().map(of).collect()
}

fn killed(victim: &str) {
    let mut place = Place::new(&[
        ("vis0.toml", node("vis0") + &negotiated_port(1, "memif:link0.sock")),
        ("vis0.cfg", String::new()),
        (
            "adapter0.toml",
            node("adapter0")
                + &negotiating_link("link0", "memif:link0.sock")
                + &negotiated_vnic("vnic0", "vhost-user:vnic0.sock", "52:54:00:00:00:01")
                + &negotiated_vnic("vnic1", "vhost-user:vnic1.sock", "52:54:00:00:00:02"),
        ),
    ]);
    place.start("vis0");
    place.start("adapter0");
    let told = Arc::new(Told::default());
    let talkers = [("vnic0", 1), ("vnic1", 2)].map(|(name, station)| {
        Talker::start(place.path(&format!("{name}.sock")), station, Arc::clone(&told))
    });
    let all_hear = |round: u16| {
        told.round.store(round, Ordering::Release);
        until(&format!("both guests hear each other in round {round}"), || {
            talkers.iter().all(|talker| talker.heard.load(Ordering::Acquire) == round).then_some(())
        });
    };
    all_hear(0);
    let before = until("both vNICs are up", || agreed(&place));
    assert_eq!(before.len(), 2);
    let begun = place.stopwatch();
    for round in 1..=KILLS {
        // In the middle of whatever it does; not always at the same point.
        std::thread::sleep(Duration::from_micros(u64::from(round) * 7919 % 5000));
        place.kill(victim);
        place.start(victim);
        if victim == "adapter0" {
            told.adapters.fetch_add(1, Ordering::AcqRel);
        }
        all_hear(round);
    }
    within(&format!("{KILLS} kills of {victim}"), place.took(&begun), Duration::from_secs(15));
    assert_eq!(until("both vNICs are up", || agreed(&place)), before);
    told.end.store(true, Ordering::Release);
    talkers.into_iter().for_each(|talker| talker.thread.join().unwrap());
    place.at_rest();
}

#[test]
fn after_each_of_a_hundred_kills_of_the_adapter_its_guests_talk_again() {
    killed("adapter0");
}

#[test]
fn after_each_of_a_hundred_kills_of_the_switch_the_guests_talk_again() {
    killed("vis0");
}
