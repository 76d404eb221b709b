//! Parts alone: our memif against DPDK's, our vrings against testpmd's vhost.

use super::duel::{Duel, Goal, Run, Stage, Target};
use super::load::{UNDER_WAY, kick, on_core, on_guest_core};
use super::measure::wait_for;
use super::testpmd::{Testpmd, cycles_a_frame};
use super::{Cores, SWITCH_CORE};
use crate::driver::{Echo, Features, Guest};
use crate::lab::paths::RUN;
use crate::world::frames::{frame, mac};
use anyhow::{Context, Result, bail};
use link::{BURST, Defaults, Device, OutFrame, Port, PortState, Role, RxBurst};
use niv_adapter::vhost::{FrontDoor, VnicConfig};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// A socket of this name, with nobody at it.
fn socket(name: &str) -> Result<PathBuf> {
    let path = std::env::current_dir()?.join(RUN).join(name);
    let _ = std::fs::remove_file(&path);
    Ok(path)
}

/// Our memif against DPDK's, both with one process or thread on each core that returns what it gets.
pub(super) fn memif() -> Duel {
    Duel {
        what: "a memif alone: both ends return every frame of 64 octets, one on each core",
        peer: "dpdk-net_memif",
        goals: vec![Goal { id: "memif-pps", unit: "frames/s", target: Target::AtLeast(1.0) }],
        daily: false,
        cores: 2,
        ours: Box::new(our_memif),
        theirs: Box::new(their_memif),
    }
}

fn our_memif(stage: &Stage) -> Result<Vec<f64>> {
    let path = socket("bench-memif.sock")?;
    let open = |role: Role, word: &str| -> Result<Port> {
        let device: Device = format!("memif:{},role={word}", path.display()).parse()?;
        Ok(link::open(
            &device,
            &Defaults { name: word.to_owned(), role, queues: 1, mtu: 1510, hosts: false, recognise: None },
        )?)
    };
    let ends = [open(Role::Server, "server")?, open(Role::Client, "client")?];
    wait_for("our memif", PATIENCE, || {
        let up = ends.iter().all(|port| port.monitor.state() == PortState::Up);
        Ok(up.then_some(()))
    })?;
    Ok(vec![circulated(stage, ends)?])
}

/// Frames a second that come back to one of two ends, each of which returns every frame, one on each core.
pub(super) fn circulated(stage: &Stage, [mut server, mut client]: [Port; 2]) -> Result<f64> {
    on_guest_core()?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| -> Result<()> {
            on_core(SWITCH_CORE)?;
            while !stop.load(Ordering::Relaxed) {
                return_frames(&mut server);
            }
            Ok(())
        });
        let octets = frame(mac(1), mac(2)).ipv4(46 + 4);
        let burst = vec![OutFrame::private(&octets); BURST];
        for _ in 0..UNDER_WAY / BURST {
            client.tx[0].send(0, &burst);
            client.tx[0].kick();
        }
        let mut run = |time: Duration| {
            let (begun, mut frames) = (Instant::now(), 0);
            while begun.elapsed() < time {
                frames += return_frames(&mut client);
            }
            frames as f64 / begun.elapsed().as_secs_f64()
        };
        run(stage.plan.settle);
        let rate = run(stage.plan.measure);
        stop.store(true, Ordering::Relaxed);
        match other.join() {
            Ok(done) => done?,
            Err(_) => bail!("the other end panicked"),
        }
        if rate == 0.0 {
            bail!("no frame came back");
        }
        Ok(rate)
    })
}

/// Sends one burst back, frame by frame out of memory of its own, as DPDK does in copy mode.
fn return_frames(port: &mut Port) -> usize {
    let mut copies = [[0; 64]; BURST];
    let mut burst = RxBurst::new();
    port.rx[0].recv(0, BURST, &mut burst);
    let came = burst.len();
    for (copy, frame) in copies.iter_mut().zip(&burst) {
        frame.data.copy_to(copy);
    }
    drop(burst);
    port.rx[0].release(came);
    let out: Vec<_> = copies[..came].iter().map(|copy| OutFrame::private(copy)).collect();
    let mut sent = 0;
    while sent < came {
        // There is room: fewer frames are under way than a ring holds.
        sent += port.tx[0].send(0, &out[sent..]).frames;
    }
    port.tx[0].kick();
    came
}

fn their_memif(stage: &Stage) -> Result<Vec<f64>> {
    let path = socket("bench-memif.sock")?;
    let end = |role: &str, cores: &[usize]| -> Result<Testpmd> {
        let device =
            format!("net_memif0,role={role},socket={},socket-abstract=no,id=0,rsize=10", path.display());
        let words = ["--forward-mode=io", "--port-topology=loop", "--txpkts=64"].map(str::to_owned);
        Testpmd::start(&format!("bench-memif-{role}"), cores, &[device], stage.memory().guest(), &words)
    };
    let mut server = end("server", Cores::ONE.switch)?;
    let mut client = end("client", Cores::ONE.guests)?;
    wait_for("DPDK's memif", PATIENCE, || {
        let said = client.ask("show port info 0", |answer| answer.contains("Link status:"))?;
        Ok(said.contains("Link status: up").then_some(()))
    })?;
    server.ask("start", |answer| answer.contains("port 0: RX queue number"))?;
    let bursts = UNDER_WAY / 32;
    client.ask(&format!("start tx_first {bursts}"), |answer| answer.contains("port 0: RX queue number"))?;
    std::thread::sleep(stage.plan.settle);
    let mut received = || -> Result<(u64, Instant)> {
        let counts = client.counts(1)?;
        Ok((counts.first().context("testpmd has no port")?.received, Instant::now()))
    };
    let before = received()?;
    std::thread::sleep(stage.plan.measure);
    let after = received()?;
    let rate = (after.0 - before.0) as f64 / (after.1 - before.1).as_secs_f64();
    if rate == 0.0 {
        bail!("DPDK's memif moves nothing\n{}\n{}", server.tail(), client.tail());
    }
    Ok(vec![rate])
}

/// Our vrings against testpmd's vhost: both return what one Rust driver sends.
pub(super) fn vrings() -> Duel {
    let run = |back_end: fn(&Stage, &Path) -> Result<f64>| -> Run {
        Box::new(move |stage| Ok(vec![back_end(stage, &socket("bench-vring.sock")?)?]))
    };
    Duel {
        what: "vNIC rings alone: every frame of 64 octets returned to one Rust driver; cycles of visits with frames",
        peer: "dpdk-net_vhost",
        goals: vec![Goal { id: "vring-cycles", unit: "cycles/frame", target: Target::AtMost(0.833) }],
        daily: false,
        cores: 2,
        ours: run(our_vrings),
        theirs: run(their_vrings),
    }
}

fn our_vrings(stage: &Stage, socket: &Path) -> Result<f64> {
    let config = VnicConfig::new("echo", socket);
    let door = FrontDoor::start()?;
    let vnic = door.add(&config, Box::new(|_| ()))?;
    on_core(SWITCH_CORE)?;
    let echo = Echo::start(vnic, false)?;
    on_guest_core()?;
    let mut guest = driver(socket)?;
    returned(&mut guest, stage.plan.settle)?;
    let counted = || [&echo.counters.busy, &echo.counters.frames].map(|c| c.load(Ordering::Relaxed));
    let before = counted();
    returned(&mut guest, stage.plan.measure)?;
    let [busy, frames] = [0, 1].map(|nr| counted()[nr] - before[nr]);
    Ok(stage.cycles(Duration::from_nanos(busy)) / frames as f64)
}

fn their_vrings(stage: &Stage, socket: &Path) -> Result<f64> {
    let device = format!("net_vhost0,iface={},queues=1", socket.display());
    let words = ["--forward-mode=io", "--port-topology=loop", "--record-core-cycles"].map(str::to_owned);
    let mut testpmd =
        Testpmd::start("bench-vhost", Cores::ONE.switch, &[device], stage.memory().guest(), &words)?;
    on_guest_core()?;
    let mut guest = driver(socket)?;
    let mut flow = |time: Duration| -> Result<f64> {
        testpmd.ask("start", |answer| answer.contains("port 0: RX queue number"))?;
        let done = returned(&mut guest, time);
        let said = testpmd.ask("stop", |answer| answer.contains("Done."))?;
        done.with_context(|| testpmd.tail())?;
        cycles_a_frame(&said).with_context(|| format!("testpmd gives no cycles: {said}"))
    };
    flow(stage.plan.settle)?;
    flow(stage.plan.measure)
}

fn driver(socket: &Path) -> Result<Guest> {
    let features =
        Features { queue_size: 2 * UNDER_WAY as u16, max_frame: 128, indirect: false, ..Features::default() };
    Guest::connect(socket, features).context("the driver cannot connect")
}

/// Keeps frames under way until the time is over and all have returned.
fn returned(guest: &mut Guest, time: Duration) -> Result<()> {
    let octets = frame(mac(1), mac(2)).ipv4(46 + 4);
    let begun = Instant::now();
    let mut under_way = 0;
    while begun.elapsed() < time || under_way > 0 {
        if begun.elapsed() > time + PATIENCE {
            bail!("{under_way} frames did not return");
        }
        guest.pairs[0].reclaim();
        while begun.elapsed() < time && under_way < UNDER_WAY && guest.pairs[0].queue(&octets) {
            under_way += 1;
        }
        if guest.pairs[0].flush() {
            kick(guest.kick_fd(1));
        }
        while guest.pairs[0].poll().is_some() {
            under_way -= 1;
        }
        if guest.pairs[0].rx_kick() {
            kick(guest.kick_fd(0));
        }
    }
    Ok(())
}
