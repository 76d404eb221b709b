//! A virtio-net driver over two rings, whoever is behind them.

use super::memory::GuestMemory;
use super::ring::{Buffer, DriverRing};
use std::sync::Arc;

/// Octets of the virtio-net header.
pub const HEADER: usize = 12;

/// How the virtual guest drives its NIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// Receive buffers are merged (`VIRTIO_NET_F_MRG_RXBUF`).
    pub mergeable: bool,
    /// Chains of more than one buffer go into indirect tables.
    pub indirect: bool,
    /// `VIRTIO_F_EVENT_IDX`.
    pub event_idx: bool,
    /// Rings are packed (`VIRTIO_F_RING_PACKED`).
    pub packed: bool,
    /// `VIRTIO_F_IN_ORDER`.
    pub in_order: bool,
    /// Slots of each ring.
    pub queue_size: u16,
    /// Octets of a receive buffer, header included.
    pub rx_buffer: usize,
    /// A receive chain has its header in a buffer of its own.
    pub rx_header_apart: bool,
    /// Octets of the longest frame that is sent.
    pub max_frame: usize,
    /// A frame that is sent has its header in a buffer of its own.
    pub tx_header_apart: bool,
    /// Over how many buffers a frame that is sent is spread.
    pub tx_pieces: usize,
    /// Queue pairs.
    pub queue_pairs: u16,
    /// Frames may be sent unfinished: checksums, TCP segmentation.
    pub offloads: bool,
    /// Frames are taken unfinished (`VIRTIO_NET_F_GUEST_CSUM`, `GUEST_TSO4`, `GUEST_TSO6`, `GUEST_ECN`).
    pub takes: bool,
    /// Where they are, UDP may be left to be cut, too (`VIRTIO_NET_F_HOST_USO`; `GUEST_USO4`, `GUEST_USO6`).
    pub uso: bool,
}

impl Default for Features {
    /// As Linux does it: mergeable, indirect, event index, header before the frame, 256 slots.
    fn default() -> Self {
        Self {
            mergeable: true,
            indirect: true,
            event_idx: true,
            packed: false,
            in_order: false,
            queue_size: 256,
            rx_buffer: 1536,
            rx_header_apart: false,
            max_frame: 2036,
            tx_header_apart: false,
            tx_pieces: 1,
            queue_pairs: 1,
            offloads: false,
            takes: false,
            uso: false,
        }
    }
}

impl Features {
    /// With offloads: frames of up to 64 KiB, spread as Linux spreads them.
    pub fn offloading() -> Self {
        Self {
            offloads: true,
            uso: true,
            queue_size: 64,
            max_frame: 65_549,
            tx_pieces: 17,
            ..Self::default()
        }
    }

    /// With offloads both ways.
    pub fn all() -> Self {
        Self { takes: true, queue_size: 256, ..Self::offloading() }
    }

    /// Without mergeable buffers: one chain per frame.
    pub fn plain() -> Self {
        Self { mergeable: false, rx_buffer: 2048, ..Self::default() }
    }

    /// Octets of guest memory that this needs.
    pub fn memory(&self) -> usize {
        let per_slot = self.rx_buffer + self.max_frame + 2 * HEADER + 1024;
        let rings = usize::from(self.queue_size) * per_slot + 64 * 1024;
        (usize::from(self.queue_pairs.max(1)) * rings + (1 << 20)).next_multiple_of(1 << 21)
    }
}

/// A queue pair of the virtual guest.
pub struct NetDriver {
    memory: Arc<GuestMemory>,
    features: Features,
    /// The ring it sends on.
    pub tx: DriverRing,
    /// The ring it receives on.
    pub rx: DriverRing,
    tx_buffers: Vec<u64>,
    /// The buffer of the chain with this head.
    tx_of: Vec<u64>,
    /// The buffer of the frame that was queued last.
    last_tx: Option<u64>,
    rx_of: Vec<u64>,
    rx_kick: bool,
}

impl NetDriver {
    /// Both rings in `memory`; receive buffers are offered by [`fill`](Self::fill).
    pub fn new(memory: Arc<GuestMemory>, features: Features) -> Self {
        let n = usize::from(features.queue_size);
        let indirect = if features.indirect { 20 } else { 0 };
        let Features { queue_size, packed, event_idx, .. } = features;
        let ring = || DriverRing::new(Arc::clone(&memory), queue_size, packed, event_idx, indirect);
        let (tx, rx) = (ring(), ring());
        let tx_len = (features.max_frame + HEADER).next_multiple_of(64);
        let rx_len = features.rx_buffer.next_multiple_of(64);
        let pool = |len: usize| (0..n).map(|_| memory.alloc(len, 64)).collect::<Vec<_>>();
        let (tx_buffers, rx_of) = (pool(tx_len), pool(rx_len));
        let mut driver = Self {
            memory,
            features,
            tx,
            rx,
            tx_buffers,
            tx_of: vec![0; n],
            last_tx: None,
            rx_of,
            rx_kick: false,
        };
        driver.fill();
        driver
    }

    /// What it was made with.
    pub fn features(&self) -> Features {
        self.features
    }

    /// The guest's memory.
    pub fn memory(&self) -> &Arc<GuestMemory> {
        &self.memory
    }

    /// Offers receive buffers until the ring is full.
    fn fill(&mut self) {
        let mut free: Vec<u64> = std::mem::take(&mut self.rx_of);
        self.rx_of = vec![0; usize::from(self.features.queue_size)];
        while let Some(addr) = free.pop() {
            if !self.offer_rx(addr) {
                break;
            }
        }
        self.rx_kick |= self.rx.publish();
    }

    fn offer_rx(&mut self, addr: u64) -> bool {
        let len = self.features.rx_buffer as u32;
        let head = if self.features.rx_header_apart {
            let h = HEADER as u32;
            let header = Buffer { addr, len: h, write: true };
            self.rx.add(&[header, Buffer { addr: addr + u64::from(h), len: len - h, write: true }])
        } else {
            self.rx.add(&[Buffer { addr, len, write: true }])
        };
        let Some(head) = head else { return false };
        self.rx_of[usize::from(head)] = addr;
        true
    }

    /// Offers a frame; visible to the device after [`flush`](Self::flush). `false` when the ring is full.
    ///
    /// # Panics
    /// When the frame is longer than `Features::max_frame`.
    pub fn queue(&mut self, frame: &[u8]) -> bool {
        self.queue_unfinished(&[0; HEADER], frame)
    }

    /// The same with this header in front.
    ///
    /// # Panics
    /// When the frame is longer than `Features::max_frame`.
    pub fn queue_unfinished(&mut self, header: &[u8; HEADER], frame: &[u8]) -> bool {
        self.queue_in_place(frame.len(), |memory, addr| {
            memory.write(addr, header);
            memory.write(addr + HEADER as u64, frame);
        })
    }

    /// Writes this frame into every free buffer, for [`queue_prepared`](Self::queue_prepared).
    ///
    /// # Panics
    /// When the frame is longer than `Features::max_frame`.
    pub fn prepare(&self, header: &[u8; HEADER], frame: &[u8]) {
        assert!(frame.len() <= self.features.max_frame);
        for addr in &self.tx_buffers {
            self.memory.write(*addr, header);
            self.memory.write(addr + HEADER as u64, frame);
        }
    }

    /// [`queue_unfinished`](Self::queue_unfinished) for a frame of `len` octets that the buffers have already: a guest that costs
    /// nothing.
    ///
    /// # Panics
    /// When that is longer than `Features::max_frame`.
    pub fn queue_prepared(&mut self, len: usize) -> bool {
        self.queue_in_place(len, |_, _| ())
    }

    fn queue_in_place(&mut self, len: usize, write: impl FnOnce(&GuestMemory, u64)) -> bool {
        assert!(len <= self.features.max_frame);
        self.reclaim();
        let Some(addr) = self.tx_buffers.pop() else { return false };
        write(&self.memory, addr);
        let buffers = self.split(addr, len);
        let Some(head) = self.tx.add(&buffers) else {
            self.tx_buffers.push(addr);
            return false;
        };
        self.tx_of[usize::from(head)] = addr;
        self.last_tx = Some(addr);
        true
    }

    /// Writes this over the frame that was queued last, as a guest must not: its length stays.
    pub fn rewrite_last(&mut self, header: &[u8; HEADER], frame: &[u8]) {
        let Some(addr) = self.last_tx else { return };
        self.memory.write(addr, header);
        self.memory.write(addr + HEADER as u64, frame);
    }

    /// The receive buffer of the chain with this head.
    pub fn rx_buffer(&self, head: u16) -> u64 {
        self.rx_of[usize::from(head)]
    }

    /// The buffers for frames that are sent.
    pub fn tx_memory(&self) -> Vec<u64> {
        self.tx_buffers.clone()
    }

    fn split(&self, addr: u64, frame: usize) -> Vec<Buffer> {
        let buffer = |at: usize, len: usize| Buffer { addr: addr + at as u64, len: len as u32, write: false };
        let mut buffers = Vec::new();
        let (mut at, end) = (0, HEADER + frame);
        if self.features.tx_header_apart {
            buffers.push(buffer(0, HEADER));
            at = HEADER;
        }
        let step = (end - at).div_ceil(self.features.tx_pieces.max(1)).max(1);
        while at < end {
            let len = step.min(end - at);
            buffers.push(buffer(at, len));
            at += len;
        }
        buffers
    }

    /// Makes visible what was queued; says whether the device wants a kick.
    pub fn flush(&mut self) -> bool {
        self.tx.publish()
    }

    /// Takes back the buffers that the device has sent.
    pub fn reclaim(&mut self) -> usize {
        let mut n = 0;
        while let Some((head, _)) = self.tx.take_used() {
            self.tx_buffers.push(self.tx_of[usize::from(head)]);
            n += 1;
        }
        n
    }

    /// The next frame from the device. Its buffers are offered again.
    ///
    /// # Panics
    /// When the device broke a rule: wrong `num_buffers`, a length beyond the buffer, an unfinished frame.
    pub fn poll(&mut self) -> Option<Vec<u8>> {
        let (header, frame) = self.poll_unfinished()?;
        assert_eq!(header, [0; HEADER], "the device left something undone");
        Some(frame)
    }

    /// The same with its header, but for `num_buffers`, which is 0.
    ///
    /// # Panics
    /// When the device broke a rule: wrong `num_buffers`, a length beyond the buffer, a header that does not fit the frame or
    /// the features.
    pub fn poll_unfinished(&mut self) -> Option<([u8; HEADER], Vec<u8>)> {
        loop {
            let (mut bytes, first) = self.take_rx()?;
            if first == 0 {
                // A buffer given back empty (the device did not like it) is no frame.
                self.rx_kick |= self.rx.publish();
                continue;
            }
            assert!(bytes.len() >= HEADER, "the device wrote {} octets, not even a header", bytes.len());
            let count = u16::from_le_bytes([bytes[10], bytes[11]]);
            assert!(count >= 1, "num_buffers must be 1, not 0");
            assert!(count == 1 || self.features.mergeable, "merged without having been asked");
            for _ in 1..count {
                let (more, _) = self.take_rx().expect("the device published half a frame");
                bytes.extend(more);
            }
            self.rx_kick |= self.rx.publish();
            let mut header: [u8; HEADER] = bytes[..HEADER].try_into().expect("there are so many");
            (header[10], header[11]) = (0, 0);
            bytes.drain(..HEADER);
            self.check(&header, &bytes);
            return Some((header, bytes));
        }
    }

    /// The length of the next frame from the device, of which no octet is looked at. Its buffers are offered again.
    ///
    /// # Panics
    /// When the device broke a rule: a frame that is not whole.
    pub fn skip(&mut self) -> Option<usize> {
        let mut take = |header: &mut [u8]| {
            let (head, len) = self.rx.take_used()?;
            let addr = self.rx_of[usize::from(head)];
            self.memory.read(addr, header);
            assert!(self.offer_rx(addr), "a descriptor was just freed");
            Some(len as usize)
        };
        let mut header = [0; HEADER];
        let mut len = take(&mut header)?;
        for _ in 1..u16::from_le_bytes([header[10], header[11]]) {
            len += take(&mut []).expect("the device published half a frame");
        }
        self.rx_kick |= self.rx.publish();
        Some(len.saturating_sub(HEADER))
    }

    /// What virtio says of the header of a frame for a driver.
    fn check(&self, header: &[u8; HEADER], frame: &[u8]) {
        if *header == [0; HEADER] {
            return;
        }
        assert!(self.features.takes, "the device used an offload nobody asked for: {header:?}");
        let word = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
        assert_eq!(header[0], 1, "nobody verified anything, so only NEEDS_CSUM can be true");
        assert!(word(6) + word(8) + 2 <= frame.len(), "the checksum is not in the frame: {header:?}");
        match header[1] & 0x7f {
            0 => assert_eq!((header[1], word(2), word(4)), (0, 0, 0)),
            5 if header[1] & 0x80 != 0 || !self.features.uso => {
                panic!("segmentation of UDP that was never negotiated: {header:?}")
            }
            1 | 4 | 5 => assert!(word(4) > 0 && word(2) <= frame.len(), "{header:?}"),
            other => panic!("segmentation {other} was never negotiated"),
        }
    }

    fn take_rx(&mut self) -> Option<(Vec<u8>, u32)> {
        let (head, len) = self.rx.take_used()?;
        let addr = self.rx_of[usize::from(head)];
        assert!(len as usize <= self.features.rx_buffer, "the device wrote beyond the buffer");
        let mut bytes = vec![0; len as usize];
        self.memory.read(addr, &mut bytes);
        assert!(self.offer_rx(addr), "a descriptor was just freed");
        Some((bytes, len))
    }

    /// The device wants to hear of new receive buffers. Consumes the wish.
    pub fn rx_kick(&mut self) -> bool {
        std::mem::take(&mut self.rx_kick)
    }

    /// Forgets all that is on its way, as a driver does at a reset, and offers all receive buffers.
    pub fn reset(&mut self) {
        self.tx.reset();
        self.rx.reset();
        let n = usize::from(self.features.queue_size);
        self.tx_buffers
            .extend(std::mem::replace(&mut self.tx_of, vec![0; n]).into_iter().filter(|a| *a != 0));
        self.tx_buffers.sort_unstable();
        self.tx_buffers.dedup();
        self.rx_of.retain(|addr| *addr != 0);
        self.fill();
    }
}
