//! A veth whose ends are both ours: by AF_XDP against AF_PACKET.

use super::duel::{Duel, Goal, Run, Target};
use super::measure::wait_for;
use super::parts::circulated;
use crate::lab::cleanup::{namespace, remove_namespaces};
use crate::lab::packages::output;
use anyhow::{Result, anyhow};
use link::{Defaults, Device, Port, PortState, Role};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

/// Both ends return every frame, as those of a memif do.
pub(super) fn duel() -> Duel {
    let run = |kind: &'static str| -> Run {
        Box::new(move |stage| {
            let veth = Veth::create()?;
            Ok(vec![circulated(stage, veth.opened(kind)?)?])
        })
    };
    Duel {
        what: "a veth alone, AF_XDP against AF_PACKET: both ends return every frame of 64 octets, one on each core",
        peer: "af-packet",
        goals: vec![Goal { id: "xdp-veth-pps", unit: "frames/s", target: Target::AtLeast(1.0) }],
        daily: false,
        cores: 2,
        ours: run("xdp"),
        theirs: run("packet"),
    }
}

/// A veth in a namespace of its own, both of which go when this is dropped.
struct Veth;

impl Veth {
    fn create() -> Result<Self> {
        remove_namespaces();
        let (veth, middle) = (Self, namespace());
        for words in [
            format!("netns add {middle}"),
            format!("-n {middle} link add end0 mtu 1510 type veth peer name end1 mtu 1510"),
            format!("-n {middle} link set end0 addrgenmode none up"),
            format!("-n {middle} link set end1 addrgenmode none up"),
        ] {
            output(Command::new("ip").args(words.split(' ')))?;
        }
        Ok(veth)
    }

    /// Both ends as ports, opened by a thread in the namespace.
    fn opened(&self, kind: &str) -> Result<[Port; 2]> {
        let inside = File::open(Path::new("/run/netns").join(namespace()))?;
        let open = |end: &str| -> Result<Port> {
            let device: Device = format!("{kind}:{end}").parse()?;
            let defaults = Defaults {
                name: end.to_owned(),
                role: Role::Server,
                queues: 1,
                mtu: 1510,
                hosts: false,
                recognise: None,
            };
            Ok(link::open(&device, &defaults)?)
        };
        let opened = std::thread::scope(|scope| {
            let opened = || -> Result<[Port; 2]> {
                move_into_link_name_space(inside.as_fd(), Some(LinkNameSpaceType::Network))?;
                let mut ends = [open("end0")?, open("end1")?];
                wait_for("both ends of a veth", PATIENCE, || {
                    for port in &mut ends {
                        // A port finds out when it is asked to sleep.
                        port.rx[0].arm();
                    }
                    Ok(ends.iter().all(|port| port.monitor.state() == PortState::Up).then_some(()))
                })?;
                Ok(ends)
            };
            scope.spawn(opened).join()
        });
        opened.map_err(|_| anyhow!("a thread in {} panicked", namespace()))?
    }
}

impl Drop for Veth {
    fn drop(&mut self) {
        remove_namespaces();
    }
}
