//! Both ends of the control protocol over links that lose, double, reorder and delay frames, while either end restarts,
//! links go, vNICs come, go and change hands, guests come and go, and the switch is configured.
//!
//! What must hold at all times is asserted by the world itself (`niv_lab::control`): no VIF id is given out twice; frames
//! of a VIF are never taken for another's; a list that floods use is at the adapter what the switch believes it to be;
//! nobody is active twice; an acknowledged number stays. And once nothing disturbs them any more, every vNIC becomes
//! active, in the tables of both ends and with its carrier up, within a bounded time.

use firmware_sim::{LinkId, VnicConfig, VnicId};
use niv_lab::control::{Ends, Setup, vnic};
use niv_lab::random::Random;
use niv_lab::weather::{MS, SECOND, Weather};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

/// Schedules in a quick run, and in a thorough one.
const QUICK: u64 = 2_000;
const THOROUGH: u64 = 100_000;

/// Failures after which no more schedules are begun.
const MOST_FAILED: usize = 10;

/// How long the world is disturbed.
const TROUBLE: u64 = 10 * SECOND;
/// When everything is well again, at the latest: a neighbour that was forgotten says LLDP every 30 s; what a former life
/// said is believed for 10 s; creates and claims are tried again after 5 s; carriers wait for 3 s.
const MENDED: u64 = 50 * SECOND;

const LINES: &str = "port-profile web\n switchport access vlan 10\n state enabled\n\
                     port-profile db\n switchport mode trunk\n switchport trunk allowed vlan 10-12\n state enabled\n";

/// What is typed while nobody looks, and what takes it back.
const TYPED: &[(&str, &str)] = &[
    ("port-profile web\n switchport access vlan 20\n", "port-profile web\n switchport access vlan 10\n"),
    (
        "port-profile db\n switchport trunk allowed vlan 10-40\n",
        "port-profile db\n switchport trunk allowed vlan 10-12\n",
    ),
    ("port-profile web\n no state enabled\n", "port-profile web\n state enabled\n"),
    ("port-profile db\n max-ports 1\n", "port-profile db\n no max-ports\n"),
    ("interface vethernet 2\n shutdown\n", "no interface vethernet 2\n"),
    ("interface vethernet 1\n switchport access vlan 11\n", "no interface vethernet 1\n"),
    // Access lists towards vEths divide the lists of their VLANs.
    (
        "ip access-list 500\nport-profile db\n ip access-group 500 out\n",
        "port-profile db\n no ip access-group 500 out\nno ip access-list 500\n",
    ),
    (
        "ip access-list 501\ninterface vethernet 3\n ip access-group 501 out\n",
        "no interface vethernet 3\nno ip access-list 501\n",
    ),
];

struct Schedule {
    ends: Ends,
    /// vNICs of each adapter.
    vnics: u32,
    links: u16,
    typed: BTreeSet<usize>,
}

impl Schedule {
    fn new(seed: u64) -> Self {
        let mut dice = Random::new(!seed);
        let (adapters, links) = (1 + dice.below(2) as usize, 1 + dice.below(2) as u16);
        let ends = Ends::new(&Setup { seed, adapters, links, lines: LINES });
        Self { ends, vnics: 1 + dice.below(4) as u32, links, typed: BTreeSet::new() }
    }

    /// How a vNIC is configured in the end. The first one of all adapters is the same instance.
    fn wish(&self, adapter: usize, number: u32) -> VnicConfig {
        let who = if number == 1 { 1 } else { adapter as u32 * 100 + number };
        VnicConfig {
            profile: ["web", "db", "default"][number as usize % 3].to_owned(),
            backup: (self.links > 1 && number.is_multiple_of(2)).then_some(LinkId(1)),
            incarnation: (adapter == 1 && number == 1).then_some(7),
            ..vnic(who, number as u16)
        }
    }

    /// Everybody is there, as configured.
    fn start(&mut self) {
        for adapter in 0..self.ends.adapters.len() {
            for number in 1..=self.vnics {
                let wish = self.wish(adapter, number);
                self.ends.set(adapter, VnicId(number), wish, true);
            }
        }
    }

    fn disturb(&mut self) {
        let ends = &mut self.ends;
        let now = ends.now;
        let adapter = ends.random.below(ends.adapters.len() as u64) as usize;
        let port = ends.random.below(ends.switch.links() as u64) as usize;
        let number = 1 + ends.random.below(u64::from(self.vnics)) as u32;
        let id = VnicId(number);
        match ends.random.below(100) {
            0..7 => ends.restart_adapter(adapter),
            7..14 => ends.restart_switch(),
            14..22 => {
                ends.cut.insert(port);
            }
            22..34 => ends.cut.clear(),
            34..40 => ends.set_link(port, false),
            40..50 => ends.set_link(port, true),
            50..58 => ends.weather = Weather::storm(&mut ends.random),
            58..66 => ends.remove(adapter, id),
            66..76 => {
                let wish = self.wish(adapter, number);
                let rings = self.ends.random.chance(1, 2);
                self.ends.set(adapter, id, wish, rings);
            }
            76..80 => {
                let wish = VnicConfig { profile: "nonesuch".to_owned(), ..self.wish(adapter, number) };
                self.ends.set(adapter, id, wish, true);
            }
            80..90 => {
                let rings = ends.random.chance(1, 2);
                ends.adapters[adapter].set_rings(now, id, rings);
            }
            90..97 => {
                let which = ends.random.below(TYPED.len() as u64) as usize;
                ends.switch.configure(now, TYPED[which].0);
                self.typed.insert(which);
            }
            _ => ends.slow = (1 + ends.random.below(60)) * MS,
        }
    }

    /// Nothing disturbs them from now on.
    fn heal(&mut self) {
        let ends = &mut self.ends;
        (ends.weather, ends.slow) = (Weather::FAIR, MS);
        ends.cut.clear();
        (0..ends.switch.links()).for_each(|port| ends.set_link(port, true));
        for which in core::mem::take(&mut self.typed) {
            ends.switch.configure(ends.now, TYPED[which].1);
        }
        self.start();
    }

    /// Says how long it took until all was well.
    fn run(&mut self) -> u64 {
        self.start();
        self.ends.weather = Weather::storm(&mut self.ends.random);
        while self.ends.now < TROUBLE {
            let pause = self.ends.random.below(600) * MS;
            self.ends.run(pause);
            self.disturb();
        }
        self.heal();
        let healed = self.ends.now;
        let mut last = None;
        while self.ends.now < healed + MENDED {
            self.ends.run(SECOND / 2);
            last = self.ends.trouble();
            if last.is_none() {
                let well = self.ends.now - healed;
                // And it stays so.
                self.ends.run(SECOND);
                last = self.ends.trouble();
                if last.is_none() {
                    self.bounded();
                    return well;
                }
            }
        }
        panic!("not well after {} s: {}", MENDED / SECOND, last.unwrap_or_default());
    }

    fn bounded(&self) {
        for end in &self.ends.adapters {
            let footprint = end.firmware.footprint();
            assert!(footprint < 100, "the firmware has {footprint} things in mind");
        }
    }
}

fn seeds() -> core::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    if let Some(seed) = number("NIV_SEED") {
        return seed..seed + 1;
    }
    if let Some(schedules) = number("NIV_SCHEDULES") {
        return 0..schedules;
    }
    if niv_lab::model::is_thorough() {
        return 0..THOROUGH;
    }
    eprintln!("{QUICK} schedules; with CI=true or NIV_SCHEDULES={THOROUGH} it is all {THOROUGH}");
    0..QUICK
}

/// What a panic said.
fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
}

#[test]
fn every_vnic_ends_active_whatever_happens() {
    let seeds = seeds();
    let alone = seeds.end - seeds.start == 1;
    let (next, slowest) = (AtomicU64::new(seeds.start), AtomicU64::new(0));
    let failed = std::sync::Mutex::new(Vec::new());
    let began = std::time::Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    match std::panic::catch_unwind(|| Schedule::new(seed).run()) {
                        Ok(took) => {
                            slowest.fetch_max(took, Ordering::Relaxed);
                        }
                        Err(panic) if alone => std::panic::resume_unwind(panic),
                        Err(panic) => {
                            let mut failed = failed.lock().expect("nobody panics with it");
                            failed.push(format!("NIV_SEED={seed}: {}", message(&*panic)));
                            if failed.len() >= MOST_FAILED {
                                next.store(seeds.end, Ordering::Relaxed);
                            }
                        }
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("nobody panicked with it");
    assert!(
        failed.is_empty(),
        "schedules failed, each to be run alone by its NIV_SEED:\n{}",
        failed.join("\n\n")
    );
    let (count, slowest) = (seeds.end - seeds.start, slowest.into_inner() / MS);
    println!("{count} schedules in {:?}; all was well after {slowest} ms at the latest", began.elapsed());
}
