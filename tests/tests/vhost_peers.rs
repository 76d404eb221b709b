//! Front ends of others at the front door: QEMU, whose firmware (iPXE) drives the NIC, and DPDK's virtio-user.

#![allow(clippy::unwrap_used, reason = "a test ends where its set-up fails")]

use link::{Monitor, PortState};
use niv_lab::driver::{Door, Echo};
use std::ops::Deref;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Booting a guest by translation on a busy machine takes a while.
const PATIENCE: Duration = Duration::from_secs(90);

/// Whether a program is there. Where everything must be tested its absence is a failure.
fn is_there(program: &str, package: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok();
    if !there {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{program} is missing (package {package})");
        println!("skipped: {program} is missing (package {package})");
    }
    there
}

/// A program that is killed, not asked, at the end.
struct Peer(Child);

impl Peer {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A vNIC that sends every frame back.
struct Bench {
    door: Door,
    _echo: Echo,
}

impl Deref for Bench {
    type Target = Door;
    fn deref(&self) -> &Door {
        &self.door
    }
}

fn bench(queue_pairs: u16) -> Bench {
    bench_with(queue_pairs, false)
}

/// The same, which offers packed rings or not.
fn bench_with(queue_pairs: u16, packed: bool) -> Bench {
    let mut door = Door::open(|config| (config.queue_pairs, config.packed) = (queue_pairs, packed));
    Bench { _echo: door.echo(true), door }
}

impl Bench {
    /// Looks whenever something happens, and now and then.
    fn until(&self, peer: &mut Peer, what: &str, done: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !done(self) {
            let exited = peer.0.try_wait().unwrap();
            let state = self.monitor.state();
            assert!(exited.is_none() && Instant::now() < end, "{what}: {exited:?}, {state:?}");
            let _ = self.events.recv_timeout(Duration::from_millis(20));
        }
    }

    fn no_faults(&self) {
        for counter in self.monitor.counters() {
            let fine =
                ["frames", "octets", "calls", "connections"].iter().any(|end| counter.name.ends_with(end));
            assert!(fine || counter.value == 0, "{} is {}", counter.name, counter.value);
        }
    }

    fn qemu(&self, memory: &[&str], pairs: u16) -> Peer {
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(["-accel", "tcg", "-m", "64", "-nodefaults", "-nographic", "-no-reboot"])
            .args(memory)
            .arg("-chardev")
            .arg(format!("socket,id=c,path={},reconnect=1", self.socket.display()))
            .arg("-netdev")
            .arg(format!("vhost-user,id=n,chardev=c,queues={pairs}"))
            // `vectors=0`: QEMU 7.2 crashes with MSI-X and vhost-user under translation.
            .arg("-device")
            .arg(format!(
                "virtio-net-pci,netdev=n,vectors=0,disable-legacy=on,bootindex=1,mq={}",
                if pairs > 1 { "on" } else { "off" }
            ));
        Peer::start(&mut qemu)
    }
}

const SHARED: [&str; 4] =
    ["-machine", "q35,memory-backend=m", "-object", "memory-backend-memfd,id=m,size=64M,share=on"];

#[test]
fn qemu_boots_and_is_killed_and_boots_again() {
    if !is_there("qemu-system-x86_64", "qemu-system-x86") {
        return;
    }
    for pairs in [1, 2] {
        let bench = bench(pairs);
        for round in 1..=2 {
            let before = bench.counter("tx_frames");
            let mut qemu = bench.qemu(&SHARED, pairs);
            bench.until(&mut qemu, "frames of the firmware", |b| b.counter("tx_frames") >= before + 3);
            assert_eq!(bench.monitor.state(), PortState::Up);
            drop(qemu);
            let end = Instant::now() + PATIENCE;
            while bench.monitor.cause().as_deref() != Some("no guest") {
                assert!(Instant::now() < end);
                let _ = bench.events.recv_timeout(Duration::from_millis(20));
            }
            assert_eq!(bench.counter("guest_connections"), round);
        }
        bench.no_faults();
    }
}

#[test]
fn qemu_that_keeps_its_memory_for_itself_is_named() {
    if !is_there("qemu-system-x86_64", "qemu-system-x86") {
        return;
    }
    let backend = |object| ["-machine", "q35,memory-backend=m", "-object", object];
    for memory in [
        &backend("memory-backend-memfd,id=m,size=64M,share=off")[..],
        &backend("memory-backend-ram,id=m,size=64M")[..],
        &["-machine", "q35"][..],
    ] {
        let bench = bench(1);
        let mut qemu = bench.qemu(memory, 1);
        bench.until(&mut qemu, "the cause", |b| {
            let cause = "guest memory is not shared (add share=on to the memory backend)";
            b.monitor.cause().as_deref() == Some(cause)
        });
        assert_eq!(bench.counter("rx_frames"), 0);
    }
}

#[test]
fn virtio_user_sends_and_receives_in_every_mode() {
    if !is_there("dpdk-testpmd", "dpdk") {
        return;
    }
    for (mode, sizes) in [
        ("mrg_rxbuf=1", "64"),
        ("mrg_rxbuf=0", "64"),
        ("mrg_rxbuf=1,in_order=0", "60,700,500"),
        ("mrg_rxbuf=0,in_order=0", "1400"),
        ("mrg_rxbuf=1,queue_size=1024,packed_vq=0", "64,64,64,64,64,64"),
    ] {
        virtio_user(mode, sizes, 1);
    }
}

#[test]
fn virtio_user_has_four_queue_pairs_in_every_variant_of_the_split_ring() {
    if !is_there("dpdk-testpmd", "dpdk") {
        return;
    }
    for pairs in [1, 4] {
        for mergeable in [0, 1] {
            for in_order in [0, 1] {
                for vectorized in [0, 1] {
                    let mode = format!("mrg_rxbuf={mergeable},in_order={in_order},vectorized={vectorized}");
                    // Chains of several buffers, which go into indirect tables, where the path can do that.
                    let sizes = if vectorized == 1 { "700" } else { "60,700,500" };
                    virtio_user(&mode, sizes, pairs);
                }
            }
        }
    }
}

#[test]
fn virtio_user_has_four_queue_pairs_in_every_variant_of_the_packed_ring() {
    if !is_there("dpdk-testpmd", "dpdk") {
        return;
    }
    for pairs in [1, 4] {
        for (mode, sizes) in [
            ("packed_vq=1,in_order=0", "60,700,500"),
            ("packed_vq=1,mrg_rxbuf=0,in_order=0", "60,700,500"),
            ("packed_vq=1,in_order=1", "60,700,500"),
            ("packed_vq=1,mrg_rxbuf=0,in_order=1", "60,700,500"),
            ("packed_vq=1,vectorized=1,in_order=0", "700"),
            ("packed_vq=1,vectorized=1,in_order=1,mrg_rxbuf=0", "700"),
            // No power of two.
            ("packed_vq=1,queue_size=300", "64"),
        ] {
            virtio_user(mode, sizes, pairs);
        }
    }
}

/// `VIRTIO_F_RING_PACKED`.
const RING_PACKED: u64 = 1 << 34;
/// `VIRTIO_F_IN_ORDER`.
const IN_ORDER: u64 = 1 << 35;

/// A testpmd whose frames go round and round, in this mode, cut like this.
fn virtio_user(mode: &str, sizes: &str, pairs: u16) {
    let packed = mode.contains("packed_vq=1");
    let bench = bench_with(pairs, packed);
    let control = if pairs > 1 { ",cq=1" } else { "" };
    let vdev = format!("net_virtio_user0,path={},queues={pairs}{control},{mode}", bench.socket.display());
    let prefix = format!("niv{}", std::process::id());
    let mut testpmd = Peer::start(
        Command::new("dpdk-testpmd")
            // Its memory is then a memfd, which it shares; a larger pool of buffers does not fit in there.
            .args(["--no-huge", "-m", "256", "--no-pci", "--no-shconf", "--no-telemetry", "-l", "0,1"])
            .args(["--file-prefix", &prefix, "--vdev", &vdev, "--", "--total-num-mbufs=4096"])
            .args(["--no-mlockall", "--forward-mode=macswap", "--auto-start", "--tx-first"])
            .args([format!("--rxq={pairs}"), format!("--txq={pairs}"), format!("--txpkts={sizes}")]),
    );
    let slots = || bench.monitor.pairs().iter().map(|pair| pair.from_guest.counters().frames.get());
    // A burst goes round and round in each queue as long as nobody drops.
    bench.until(&mut testpmd, mode, |b| {
        b.counter("tx_frames") >= 10_000 && slots().all(|frames| frames > 500)
    });
    let guest = bench.monitor.guest().unwrap();
    assert_eq!(guest.features & RING_PACKED != 0, packed, "{mode}: {:#x}", guest.features);
    assert_eq!(guest.features & IN_ORDER != 0, !mode.contains("in_order=0"), "{mode}: {:#x}", guest.features);
    let octets: u64 = sizes.split(',').map(|size| size.parse::<u64>().unwrap()).sum();
    let (frames, all) = (bench.counter("rx_frames"), bench.counter("rx_octets"));
    let loose = 512 * octets * u64::from(pairs);
    assert!(all.abs_diff(frames * octets) <= loose, "{mode}: {frames} frames, {all} octets");
    bench.no_faults();
}
