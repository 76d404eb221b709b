//! TCP between two hosts of the kernel: two network namespaces, joined by our host ports or by a Linux bridge.

use super::duel::{Duel, Goal, Target};
use super::load::on_guest_core;
use super::measure::{quantiles, wait_for};
use super::ours::{Ours, Vnic, Where};
use crate::lab::cleanup::{HOSTS, namespace, remove_namespaces};
use crate::lab::packages::output;
use crate::lab::process::Process;
use anyhow::{Context, Result, anyhow};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Everything, hosts and switch, of both sides shares these: a bridge works where its hosts do.
const CORES: &str = "0,1";

/// Of the hosts, in the order of [`HOSTS`].
pub(super) const ADDRESSES: [&str; 2] = ["198.18.77.1", "198.18.77.2"];

const PATIENCE: Duration = Duration::from_secs(10);

/// How a host is joined to the switch side.
#[derive(Clone, Copy)]
enum Card {
    /// One end of a veth is the host's, the other one is in the switch's namespace and the adapter's by AF_PACKET.
    Veth,
    /// The same by AF_XDP.
    Xdp,
    /// A tap of the adapter is the host's.
    Tap,
}

/// A run of TCP from one host to the other, through our taps against the bridge.
pub(super) fn tap() -> Duel {
    let what = "TCP by iperf3 between hosts on our taps, or on veths of a Linux bridge";
    Duel { daily: true, ..duel(what, vec![rate("iperf3-tap")], Card::Tap, transfer) }
}

/// The same through AF_PACKET on veths.
pub(super) fn veth() -> Duel {
    let what = "TCP by iperf3 between hosts on veths: ours by AF_PACKET, or a Linux bridge";
    duel(what, vec![rate("iperf3-veth")], Card::Veth, transfer)
}

/// The same by AF_XDP, against ourselves by AF_PACKET.
pub(super) fn xdp() -> Duel {
    let what = "TCP by iperf3 between hosts on veths that are ours: by AF_XDP, or by AF_PACKET";
    let theirs = duel(what, vec![rate("iperf3-xdp")], Card::Veth, transfer).ours;
    Duel { peer: "af-packet", theirs, ..duel(what, vec![rate("iperf3-xdp")], Card::Xdp, transfer) }
}

/// Datagrams there and back, while everything that can sleep does so between two of them.
pub(super) fn round_trip() -> Duel {
    let ids = ["latency-tap-p50", "latency-tap-p99", "latency-tap-p999"];
    let goals = ids.map(|id| Goal { id, unit: "us", target: Target::AtMost(1.0) });
    let what = "1,000 round trips of UDP a second between hosts on our taps, or on veths of a Linux bridge";
    duel(what, goals.to_vec(), Card::Tap, datagrams)
}

fn rate(id: &'static str) -> Goal {
    Goal { id, unit: "bit/s", target: Target::AtLeast(1.0) }
}

/// What is measured between two hosts that reach each other.
type Measure = fn(Duration) -> Result<Vec<f64>>;

fn duel(what: &'static str, goals: Vec<Goal>, card: Card, measure: Measure) -> Duel {
    Duel {
        what,
        peer: "linux-bridge",
        goals,
        daily: false,
        cores: 2,
        ours: Box::new(move |stage| {
            let (hosts, ours) = Hosts::switched(card)?;
            let measured = hosts.answer().and_then(|()| measure(stage.plan.measure));
            let figures = measured.map_err(|error| anyhow!("{error:#}\n{}", ours.tails()))?;
            ours.accounts()?;
            Ok(figures)
        }),
        theirs: Box::new(move |stage| {
            let hosts = Hosts::bridged()?;
            hosts.answer()?;
            measure(stage.plan.measure)
        }),
    }
}

/// Two hosts, and the namespace between them. Dropping it removes all three.
struct Hosts;

fn ip(words: &str) -> Result<()> {
    output(Command::new("ip").args(words.split_whitespace())).map(drop)
}

/// Behind the switch's end of host `nr`.
fn port(nr: usize) -> String {
    format!("port{nr}")
}

impl Hosts {
    fn create() -> Result<Self> {
        remove_namespaces();
        let hosts = Self;
        let middle = namespace();
        for name in [middle.clone(), HOSTS[0](), HOSTS[1]()] {
            ip(&format!("netns add {name}"))?;
            ip(&format!("-n {name} link set lo up"))?;
            // What moves was asked for.
            let quiet = "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; \
                         echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6";
            output(Command::new("ip").args(["netns", "exec", &name, "sh", "-c", quiet]))?;
        }
        Ok(hosts)
    }

    /// A veth for each: `eth0` at the host, [`port`] in the middle.
    fn veths(&self) -> Result<()> {
        let middle = namespace();
        for (nr, host) in HOSTS.iter().enumerate() {
            let (host, port) = (host(), port(nr));
            ip(&format!("-n {middle} link add {port} type veth peer name eth0 netns {host}"))?;
            ip(&format!("-n {middle} link set {port} up"))?;
        }
        self.addresses()
    }

    fn addresses(&self) -> Result<()> {
        for (host, address) in HOSTS.iter().zip(ADDRESSES) {
            let host = host();
            ip(&format!("-n {host} address add {address}/24 dev eth0"))?;
            ip(&format!("-n {host} link set eth0 up"))?;
        }
        Ok(())
    }

    /// Joined by a bridge.
    fn bridged() -> Result<Self> {
        let hosts = Self::create()?;
        hosts.veths()?;
        let middle = namespace();
        ip(&format!("-n {middle} link add bridge type bridge"))?;
        ip(&format!("-n {middle} link set bridge up"))?;
        for nr in 0..HOSTS.len() {
            ip(&format!("-n {middle} link set {} master bridge", port(nr)))?;
        }
        Ok(hosts)
    }

    /// Joined by adapter and switch.
    fn switched(card: Card) -> Result<(Self, Ours)> {
        let hosts = Self::create()?;
        let middle = namespace();
        let kind = match card {
            Card::Veth => "packet",
            Card::Xdp => "xdp",
            Card::Tap => "tap",
        };
        if let Card::Veth | Card::Xdp = card {
            hosts.veths()?;
        }
        let vnics = [0, 1].map(|nr| Vnic { device: format!("{kind}:{}", port(nr)), vlan: 10 });
        let ours = Ours::start(&vnics, &Where { cores: CORES.to_owned(), namespace: Some(middle.clone()) })?;
        if let Card::Tap = card {
            // Made by the adapter, which keeps hold of them wherever they go.
            for (nr, host) in HOSTS.iter().enumerate() {
                ip(&format!("-n {middle} link set {} netns {} name eth0", port(nr), host()))?;
            }
            hosts.addresses()?;
        }
        Ok((hosts, ours))
    }

    /// Returns when they reach each other.
    fn answer(&self) -> Result<()> {
        wait_for("an answer of the other host", PATIENCE, || {
            Ok(output(inside(0, "ping").args(["-c", "1", "-W", "1", ADDRESSES[1]])).ok().map(drop))
        })
    }
}

/// TCP from the first host to the second one for this long; bits of payload a second.
fn transfer(time: Duration) -> Result<Vec<f64>> {
    let mut server = Process::start("bench-iperf3", inside(1, "iperf3").args(["-s", "-1", "--forceflush"]))?;
    server.wait_until("iperf3's listening", PATIENCE, || {
        let listening = ["-H", "-t", "-l", "-n", "sport = 5201"];
        output(inside(1, "ss").args(listening)).is_ok_and(|text| !text.trim().is_empty())
    })?;
    let seconds = time.as_secs().max(1).to_string();
    let said = output(inside(0, "iperf3").args(["-c", ADDRESSES[1], "-t", &seconds, "-J"]))?;
    Ok(vec![received(&said)?])
}

/// A socket of host `nr`, which stays the host's wherever it is used.
fn datagram_socket(nr: usize) -> Result<UdpSocket> {
    let namespace = File::open(Path::new("/run/netns").join(HOSTS[nr]()))?;
    let opened = std::thread::scope(|scope| {
        let open = || -> Result<UdpSocket> {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            Ok(UdpSocket::bind((ADDRESSES[nr], 0))?)
        };
        scope.spawn(open).join()
    });
    let socket = opened.map_err(|_| anyhow!("a thread in {} panicked", HOSTS[nr]()))??;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// Microseconds of round trips: median, 99 %, 99.9 %.
fn datagrams(time: Duration) -> Result<Vec<f64>> {
    const EACH: Duration = Duration::from_millis(1);
    on_guest_core()?;
    let [a, b] = [datagram_socket(0)?, datagram_socket(1)?];
    a.connect(b.local_addr()?)?;
    b.connect(a.local_addr()?)?;
    let mut round_trips = Vec::new();
    let mut octets = [0; 32];
    let end = Instant::now() + time;
    while Instant::now() < end {
        let begun = Instant::now();
        for (from, to) in [(&a, &b), (&b, &a)] {
            from.send(&octets)?;
            to.recv(&mut octets).context("a datagram was lost")?;
        }
        let took = begun.elapsed();
        round_trips.push(took.as_nanos() as u64);
        std::thread::sleep(EACH.saturating_sub(took));
    }
    round_trips.sort_unstable();
    Ok(quantiles(&round_trips).to_vec())
}

impl Drop for Hosts {
    fn drop(&mut self) {
        remove_namespaces();
    }
}

/// A command on a host.
fn inside(nr: usize, program: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &HOSTS[nr](), "taskset", "-c", CORES, program]);
    command
}

/// Of iperf3's report, bits a second that arrived.
fn received(json: &str) -> Result<f64> {
    let said: serde_json::Value = serde_json::from_str(json).context("iperf3's report")?;
    said["end"]["sum_received"]["bits_per_second"]
        .as_f64()
        .with_context(|| format!("iperf3 transferred nothing: {}", said["error"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_arrived_counts() {
        let json = r#"{"end":{"sum_sent":{"bits_per_second":9.0},"sum_received":{"bits_per_second":7.5}}}"#;
        assert_eq!(received(json).unwrap(), 7.5);
        let refused = received(r#"{"end":{},"error":"unable to connect"}"#).unwrap_err();
        assert!(refused.to_string().contains("unable to connect"), "{refused}");
    }
}
