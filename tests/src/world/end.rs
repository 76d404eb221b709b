//! The far end of a port, held by a test: a guest, a host, or a link peer made by hand.

use crate::driver::{HEADER, NetDriver};
use link::{Frame, OutFrame, Port, RxBurst, RxQueue, Undone};

/// One far end.
pub struct End(Kind);

enum Kind {
    /// The other end of a cable.
    Cable(Port),
    /// A guest's driver: the adapter's port is a pair of virtio rings.
    Virtio(Box<NetDriver>),
}

impl End {
    /// Holds the other end of a cable.
    #[must_use]
    pub fn new(port: Port) -> Self {
        Self(Kind::Cable(port))
    }

    /// Plays a guest through its driver.
    #[must_use]
    pub fn virtio(driver: NetDriver) -> Self {
        Self(Kind::Virtio(Box::new(driver)))
    }

    /// Sends a frame; `false` when there is no room for it, or the cable is unplugged.
    pub fn send(&mut self, frame: &[u8]) -> bool {
        self.send_by(0, frame)
    }

    /// The same by another queue of a cable.
    pub fn send_by(&mut self, queue: usize, frame: &[u8]) -> bool {
        match &mut self.0 {
            Kind::Cable(port) => {
                let taken = port.tx[queue].send(0, &[OutFrame::private(frame)]);
                taken.frames == 1 && taken.refused == 0
            }
            Kind::Virtio(driver) => {
                driver.reclaim();
                let queued = driver.queue(frame);
                // Worlds poll; nobody has to be told.
                driver.flush();
                queued
            }
        }
    }

    /// Sends a frame with this virtio-net header in front of it.
    ///
    /// # Panics
    /// When this is no guest with a driver.
    pub fn send_unfinished(&mut self, header: &[u8; HEADER], frame: &[u8]) -> bool {
        let driver = self.driver();
        driver.reclaim();
        let queued = driver.queue_unfinished(header, frame);
        driver.flush();
        queued
    }

    /// Sends a frame of which this is said to be undone, as a link peer may that announced it.
    ///
    /// # Panics
    /// When this is a guest with a driver.
    pub fn send_undone(&mut self, undone: [u8; HEADER], frame: &[u8]) -> bool {
        let Kind::Cable(port) = &mut self.0 else { panic!("a guest sends with a header") };
        let frame = OutFrame { undone: Undone::from_bytes(undone), ..OutFrame::private(frame) };
        let taken = port.tx[0].send(0, &[frame]);
        taken.frames == 1 && taken.refused == 0
    }

    /// Everything that has arrived, each with its virtio-net header; all zero where nothing is undone.
    pub fn received_unfinished(&mut self) -> Vec<([u8; HEADER], Vec<u8>)> {
        match &mut self.0 {
            Kind::Virtio(driver) => core::iter::from_fn(|| driver.poll_unfinished()).collect(),
            Kind::Cable(port) => {
                taken(port, |frame| (frame.undone.map_or([0; HEADER], Undone::to_bytes), frame.data.to_vec()))
            }
        }
    }

    /// A guest's driver.
    ///
    /// # Panics
    /// When this is no guest with a driver.
    pub fn driver(&mut self) -> &mut NetDriver {
        match &mut self.0 {
            Kind::Virtio(driver) => driver,
            Kind::Cable(_) => panic!("a cable has no driver"),
        }
    }

    /// Everything that has arrived since this was last called.
    pub fn received(&mut self) -> Vec<Vec<u8>> {
        match &mut self.0 {
            Kind::Virtio(driver) => core::iter::from_fn(|| driver.poll()).collect(),
            Kind::Cable(port) => taken(port, |frame| {
                assert_eq!(frame.undone, None, "something is left undone");
                frame.data.to_vec()
            }),
        }
    }

    /// The same, apart by the queues of a cable.
    pub fn received_by_queue(&mut self) -> Vec<Vec<Vec<u8>>> {
        match &mut self.0 {
            Kind::Virtio(_) => vec![self.received()],
            Kind::Cable(port) => {
                port.rx.iter_mut().map(|queue| drained(queue, |frame| frame.data.to_vec())).collect()
            }
        }
    }

    /// The port itself, to be plugged into a machine.
    ///
    /// # Panics
    /// When this is a guest: its rings are in use by the adapter.
    #[must_use]
    pub fn into_port(self) -> Port {
        match self.0 {
            Kind::Cable(port) => port,
            Kind::Virtio(_) => panic!("a guest is no cable"),
        }
    }
}

/// Everything that has arrived at a port.
fn taken<T>(port: &mut Port, of: impl Fn(&Frame<'_>) -> T) -> Vec<T> {
    port.rx.iter_mut().flat_map(|queue| drained(queue, &of)).collect()
}

/// Everything that has arrived in a queue.
fn drained<T>(queue: &mut Box<dyn RxQueue>, of: impl Fn(&Frame<'_>) -> T) -> Vec<T> {
    let mut frames = Vec::new();
    loop {
        let mut burst = RxBurst::new();
        queue.recv(0, link::BURST, &mut burst);
        let lent = burst.len();
        frames.extend(burst.iter().map(&of));
        drop(burst);
        queue.release(lent);
        if lent == 0 {
            return frames;
        }
    }
}
