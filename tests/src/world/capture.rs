//! A capture of a data path, read as values.

use link::capture::live::{Live, Session};
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
use pcap_file::pcapng::{Block, PcapNgReader};
use std::time::Duration;

/// A frame of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured<F> {
    /// It came in; otherwise it left, or was to leave.
    pub came: bool,
    /// Its octets.
    pub frame: Vec<u8>,
    /// What became of it.
    pub fate: F,
}

/// A capture of one place.
pub struct Capturing<P: Copy + PartialEq, F: Copy> {
    session: Session<P, F>,
    beginning: Vec<u8>,
}

impl<P: Copy + PartialEq, F: Copy> Capturing<P, F> {
    /// Begins it.
    ///
    /// # Panics
    /// Too many run.
    #[must_use]
    pub fn begin(captures: &Live<P, F>, place: P) -> Self {
        let mut session = captures.begin(place, "place", "world", None).expect("a capture");
        let beginning = session.read(Duration::ZERO, |_| String::new()).expect("the beginning of a file");
        Self { session, beginning }
    }

    /// What was captured since this was last called.
    ///
    /// # Panics
    /// The capture is no pcapng file.
    pub fn seen(&mut self) -> Vec<Captured<F>> {
        let mut fates = Vec::new();
        let note = |fate: &F| {
            fates.push(*fate);
            String::new()
        };
        let blocks = self.session.read(Duration::ZERO, note).unwrap_or_default();
        let file = [self.beginning.as_slice(), &blocks].concat();
        let mut reader = PcapNgReader::new(&file[..]).expect("a section");
        let mut fates = fates.into_iter();
        let mut seen = Vec::new();
        while let Some(block) = reader.next_block() {
            let Block::EnhancedPacket(packet) = block.expect("a block") else { continue };
            let came = packet.options.contains(&EnhancedPacketOption::Flags(1));
            let fate = fates.next().expect("a fate for each frame");
            seen.push(Captured { came, frame: packet.data.to_vec(), fate });
        }
        seen
    }
}
