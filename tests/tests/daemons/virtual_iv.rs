//! An adapter without guests: the firmware at the end of a real link, and frames from whichever vNIC a test likes.

use super::place::until;
use firmware_sim::{Config, Firmware, LinkId, Notice, Output, VnicConfig, VnicId};
use link::{BURST, Defaults, Device, OutFrame, Port, PortState, Role, RxBurst};
use niv_lab::world::frames::{BROADCAST, frame, mac, up};
use parking_lot::Mutex;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;
use vntag::ctl::{Name, session};
use vntag::ethernet::Mac;
use vntag::uuid::Uuid;
use vntag::{VifId, Vntag};

/// What the switch has said about a vNIC in the present session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(crate) vif: VifId,
    pub(crate) veth: u32,
}

/// The adapter, on a thread of its own.
pub(crate) struct VirtualIv {
    inside: Arc<Mutex<Inside>>,
    wake: Arc<OwnedFd>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// How many VIFs were granted.
    pub(crate) grants: Arc<AtomicUsize>,
}

struct Inside {
    port: Port,
    firmware: Firmware,
    begun: Instant,
    granted: BTreeMap<u32, Granted>,
    /// Data frames that came for one VIF, by VIF.
    delivered: BTreeMap<u16, u64>,
    sessions: usize,
    new: Arc<AtomicUsize>,
}

impl VirtualIv {
    /// At the memif of this socket.
    pub(crate) fn at(socket: &Path) -> Self {
        Self::on(&format!("memif:{}", socket.display()))
    }

    /// At the other end of this device.
    pub(crate) fn on(device: &str) -> Self {
        let device: Device = device.parse().unwrap();
        let defaults = Defaults {
            name: "iv".to_owned(),
            role: Role::Client,
            queues: 1,
            mtu: 1510,
            hosts: false,
            recognise: None,
        };
        let port = link::open(&device, &defaults).unwrap();
        let node = (Uuid([9; 16]), Name::new("adapter9").unwrap());
        let link = session::Config::new(vntag::ctl::Role::Iv, 9, Mac([2, 9, 9, 9, 9, 9]), node, "link0");
        let link = session::Config { window: 64, ..link };
        let firmware = Firmware::new(Config::new(vec![link]));
        let (granted, sessions, begun) = (BTreeMap::new(), 0, Instant::now());
        let grants = Arc::<AtomicUsize>::default();
        let new = grants.clone();
        let inside = Arc::new(Mutex::new(Inside {
            port,
            firmware,
            begun,
            granted,
            delivered: BTreeMap::new(),
            sessions,
            new,
        }));
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap());
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (inside, wake, stop) = (inside.clone(), wake.clone(), stop.clone());
            move || {
                while !stop.load(Ordering::Relaxed) {
                    let next = inside.lock().turn();
                    inside.lock().wait(&wake, next);
                }
            }
        });
        Self { inside, wake, stop, thread: Some(thread), grants }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inside, u64) -> T) -> T {
        let mut inside = self.inside.lock();
        let now = inside.now();
        let done = act(&mut inside, now);
        rustix::io::write(&self.wake, &1u64.to_ne_bytes()).unwrap();
        done
    }

    /// Adds a vNIC whose guest is there.
    pub(crate) fn add(&self, number: u32, address: Mac, profile: &str) {
        let config = VnicConfig {
            name: format!("v{number}"),
            vm: Some(format!("vm{number}")),
            channel: u16::try_from(number).unwrap(),
            uuid: Uuid(u128::from(number).to_be_bytes()),
            mac: address,
            profile: profile.to_owned(),
            link: LinkId(0),
            backup: None,
            incarnation: None,
        };
        self.with(|inside, now| {
            inside.firmware.set_vnic(now, VnicId(number), config).unwrap();
            inside.firmware.set_rings(now, VnicId(number), true);
        });
    }

    /// What the switch has said about the vNICs in the present session, and how many sessions there were.
    pub(crate) fn granted(&self) -> (BTreeMap<u32, Granted>, usize) {
        let inside = self.inside.lock();
        (inside.granted.clone(), inside.sessions)
    }

    /// Waits for a session after so many, in which every vNIC has its VIF.
    pub(crate) fn settled(&self, sessions: usize) -> BTreeMap<u32, Granted> {
        until("every vNIC has its VIF", || {
            let inside = self.inside.lock();
            let all = inside.firmware.vnics().all(|VnicId(number)| inside.granted.contains_key(&number));
            (inside.sessions > sessions && all).then(|| inside.granted.clone())
        })
    }

    /// A vNIC sends a broadcast, if it has a VIF and there is room.
    pub(crate) fn broadcast(&self, number: u32) {
        self.send(number, BROADCAST, 1);
    }

    /// A vNIC sends so many frames; for how many there was room, none without a VIF.
    pub(crate) fn send(&self, number: u32, destination: [u8; 6], frames: usize) -> usize {
        self.with(|inside, now| {
            let Some(granted) = inside.granted.get(&number) else { return 0 };
            let octets = frame(destination, mac(number as u16))
                .vntag(up(granted.vif.get().into()))
                .vlan(0, 0)
                .ipv4(46);
            let sent = inside.port.tx[0].send(now, &vec![OutFrame::private(&octets); frames]).frames;
            inside.port.tx[0].kick();
            sent
        })
    }

    /// How many frames for a vNIC alone have come.
    pub(crate) fn delivered(&self, number: u32) -> u64 {
        let inside = self.inside.lock();
        let granted = inside.granted.get(&number);
        granted.and_then(|granted| inside.delivered.get(&granted.vif.get())).copied().unwrap_or(0)
    }
}

impl Inside {
    fn now(&self) -> u64 {
        self.begun.elapsed().as_nanos() as u64
    }

    /// Does what is to be done; says when something is due.
    fn turn(&mut self) -> Option<u64> {
        let link = LinkId(0);
        let now = self.now();
        self.firmware.handle_link(now, link, self.port.monitor.state() == PortState::Up);
        loop {
            let mut burst = RxBurst::new();
            self.port.rx[0].recv(now, BURST, &mut burst);
            let frames: Vec<Vec<u8>> = burst.iter().map(|frame| frame.data.to_vec()).collect();
            drop(burst);
            self.port.rx[0].release(frames.len());
            for frame in &frames {
                match tag(frame) {
                    Some(tag) if !tag.p() => *self.delivered.entry(tag.dst_vif()).or_default() += 1,
                    Some(_) => {}
                    None => {
                        self.firmware.handle_frame(now, link, frame);
                    }
                }
            }
            while let Some(output) = self.firmware.poll_output() {
                match output {
                    Output::Order(id, _) => self.firmware.confirm(now, id),
                    Output::Notice(notice) => self.note(&notice),
                    _ => {}
                }
            }
            while let Some(frame) = self.firmware.poll_transmit(now, link) {
                // What finds no room is sent again by the session.
                self.port.tx[0].send(now, &[OutFrame::private(&frame)]);
            }
            self.port.tx[0].kick();
            if frames.is_empty() {
                return self.firmware.next_deadline();
            }
        }
    }

    fn note(&mut self, notice: &Notice) {
        match notice {
            Notice::PeerUp { .. } => {
                self.granted.clear();
                self.sessions += 1;
            }
            Notice::PeerLost { .. } => self.granted.clear(),
            Notice::VifCreated { vnic: VnicId(number), vif, veth, .. } => {
                self.granted.insert(*number, Granted { vif: *vif, veth: *veth });
                self.new.fetch_add(1, Ordering::Release);
            }
            Notice::VifDeleted { vnic: VnicId(number), .. } => drop(self.granted.remove(number)),
            _ => {}
        }
    }

    fn wait(&mut self, wake: &OwnedFd, next: Option<u64>) {
        if !self.port.rx[0].arm() {
            return;
        }
        // Not longer, for this holds what the test wants to look at.
        let left = next.map_or(u64::MAX, |next| next.saturating_sub(self.now())).min(1_000_000);
        let timeout = Timespec { tv_sec: 0, tv_nsec: left as _ };
        let event = self.port.rx[0].event().unwrap();
        let mut both = [PollFd::from_borrowed_fd(event, PollFlags::IN), PollFd::new(wake, PollFlags::IN)];
        poll(&mut both, Some(&timeout)).unwrap();
        // Nothing to read is as good as read.
        let _ = rustix::io::read(wake.as_fd(), &mut [0; 8]);
        self.port.rx[0].disarm();
    }
}

/// The VNTag of a frame that has one.
fn tag(frame: &[u8]) -> Option<Vntag> {
    let [0x89, 0x26, word @ ..] = frame.get(12..18)? else { return None };
    Some(Vntag::from_word(u32::from_be_bytes(word.try_into().ok()?)))
}

impl Drop for VirtualIv {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of its own was reported by itself.
            let _ = thread.join();
        }
    }
}
