//! A sender of TCP and UDP as naive as possible: every frame is written by itself and summed two octets at a time.

/// What a sender sends next, and how its frames look.
#[derive(Clone, Debug)]
pub struct Sender {
    /// Ethernet addresses.
    pub addresses: [u8; 12],
    /// The tag control information of an 802.1Q tag.
    pub vlan: Option<u16>,
    /// IPv6, not IPv4.
    pub v6: bool,
    /// What is behind IP.
    pub transport: Transport,
    /// The octets.
    pub payload: Vec<u8>,
}

/// What carries the octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP, with a timestamp option.
    Tcp {
        /// Sequence number of the first octet.
        sequence: u32,
        /// TCP's flags, FIN in bit 0.
        flags: u8,
    },
    /// UDP: each frame is a datagram.
    Udp,
}

const ID: u16 = 0xfffe;

impl Transport {
    /// Its number in the IP header.
    const fn protocol(self) -> u8 {
        match self {
            Self::Tcp { .. } => 6,
            Self::Udp => 17,
        }
    }

    /// Octets of its header, and where the checksum is in it.
    const fn header(self) -> (usize, usize) {
        match self {
            Self::Tcp { .. } => (32, 16),
            Self::Udp => (8, 6),
        }
    }
}

impl Sender {
    /// Where TCP or UDP begins in a frame.
    #[must_use]
    pub fn start(&self) -> usize {
        14 + if self.vlan.is_some() { 4 } else { 0 } + if self.v6 { 40 } else { 20 }
    }

    /// Octets of all headers.
    #[must_use]
    pub fn headers(&self) -> usize {
        self.start() + self.transport.header().0
    }

    /// What it sends without offloads: frames of at most `size` octets of payload.
    #[must_use]
    pub fn segments(&self, size: usize) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let mut at = 0;
        loop {
            let end = self.payload.len().min(at + size);
            frames.push(self.frame(frames.len(), at..end, true));
            at = end;
            if at == self.payload.len() {
                return frames;
            }
        }
    }

    /// One frame for all of it whose checksum is to be completed, and its virtio-net header.
    #[must_use]
    pub fn unfinished(&self) -> ([u8; 12], Vec<u8>) {
        let mut header = [0; 12];
        header[0] = 1;
        header[6..8].copy_from_slice(&(self.start() as u16).to_le_bytes());
        header[8] = self.transport.header().1 as u8;
        (header, self.frame(0, 0..self.payload.len(), false))
    }

    /// The same as a super-frame, to be cut into frames of `size` octets of payload.
    #[must_use]
    pub fn super_frame(&self, size: u16) -> ([u8; 12], Vec<u8>) {
        let (mut header, frame) = self.unfinished();
        header[1] = match self.transport {
            Transport::Tcp { flags, .. } => {
                let kind = if self.v6 { 4 } else { 1 };
                kind | flags & 0x80
            }
            Transport::Udp => 5,
        };
        header[2..4].copy_from_slice(&(self.headers() as u16).to_le_bytes());
        header[4..6].copy_from_slice(&size.to_le_bytes());
        (header, frame)
    }

    /// The header of TCP or UDP in front of this part, its checksum 0.
    fn transport(&self, part: &core::ops::Range<usize>) -> Vec<u8> {
        let mut bytes = vec![0x30, 0x39, 0x14, 0x51];
        match self.transport {
            Transport::Tcp { sequence, mut flags } => {
                if part.start > 0 {
                    flags &= 0x7f; // CWR: once
                }
                if part.end < self.payload.len() {
                    flags &= 0xf6; // FIN, PSH: at the end
                }
                bytes.extend(sequence.wrapping_add(part.start as u32).to_be_bytes());
                bytes.extend([
                    0, 0, 0, 7, 0x80, flags, 0x20, 0, 0, 0, 0, 0, 1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8,
                ]);
            }
            Transport::Udp => {
                bytes.extend((8 + part.len() as u16).to_be_bytes());
                bytes.extend([0, 0]);
            }
        }
        bytes
    }

    fn frame(&self, index: usize, part: core::ops::Range<usize>, finished: bool) -> Vec<u8> {
        let protocol = self.transport.protocol();
        let mut packet = self.transport(&part);
        packet.extend(&self.payload[part]);
        let addresses: Vec<u8> = (1..=if self.v6 { 32 } else { 8 }).collect();
        let pseudo = [&addresses[..], &(packet.len() as u32).to_be_bytes(), &[0, 0, 0, protocol]].concat();
        let mut checksum = if finished { !sum(&[&pseudo[..], &packet].concat()) } else { sum(&pseudo) };
        if finished && checksum == 0 && self.transport == Transport::Udp {
            checksum = 0xffff; // 0 would say: none
        }
        let (_, field) = self.transport.header();
        packet[field..field + 2].copy_from_slice(&checksum.to_be_bytes());

        let mut frame = self.addresses.to_vec();
        if let Some(control) = self.vlan {
            frame.extend([0x81, 0x00]);
            frame.extend(control.to_be_bytes());
        }
        if self.v6 {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend((packet.len() as u16).to_be_bytes());
            frame.extend([protocol, 64]);
            frame.extend(addresses);
        } else {
            let mut ip = vec![0x45, 0];
            ip.extend((20 + packet.len() as u16).to_be_bytes());
            ip.extend(ID.wrapping_add(index as u16).to_be_bytes());
            ip.extend([0x40, 0, 64, protocol, 0, 0]);
            ip.extend(addresses);
            let checksum = !sum(&ip);
            ip[10..12].copy_from_slice(&checksum.to_be_bytes());
            frame.extend([0x08, 0x00]);
            frame.extend(ip);
        }
        frame.extend(packet);
        frame
    }
}

/// The ones' complement sum of 16-bit words (RFC 1071).
fn sum(bytes: &[u8]) -> u16 {
    bytes.chunks(2).fold(0, |sum: u16, word| {
        let word = u16::from(word[0]) * 256 + u16::from(word.get(1).copied().unwrap_or(0));
        let (sum, carry) = sum.overflowing_add(word);
        sum + u16::from(carry)
    })
}
