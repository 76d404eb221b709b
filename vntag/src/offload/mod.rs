//! What a sender left undone in a frame, and doing it: checksums, and segmentation of TCP and UDP.
//!
//! A guest, or a host behind an interface, may hand over a frame whose checksum is still to be filled in, or a
//! *super-frame* that stands for many frames. A [`NetHeader`] in front of the frame says which. It is as trustworthy
//! as its writer, so it is judged once, against a private copy of the frame's first octets:
//!
//! ```text
//!  NetHeader + frame --Offload::of--> None                  nothing is to be done
//!                                     Checksum              complete(): one checksum, in place
//!                                     Segmentation          segments(): frames of at most `longest` octets
//!                                     BadOffload            the header says what is not so
//! ```
//!
//! What comes out is what a sender without these offloads would have sent: lengths, sequence numbers,
//! identification, flags and all checksums. Tags in front of the IP header (a VNTag, up to two VLAN tags) stay as they
//! are, in every segment.
//!
//! No checksum of a segment is taken over from the sender: the octets that are summed are those that are sent. Nothing
//! here allocates but a [`Finisher`], which has memory for one frame and keeps it.
//!
//! **Passing it on.** A frame may stay as it is while it goes through places that decide by its headers, if finishing it
//! later cannot change what they decided by: see [`Offload::may_wait`].

mod checksum;
mod finisher;
mod headers;
mod net_header;
mod recognise;
mod segment;
mod size;

pub use checksum::{Checksum, Sum};
pub use finisher::{BATCH, Finished, Finisher, Piece};
pub use headers::HEADERS_MAX;
pub use net_header::NetHeader;
pub use recognise::recognise;
pub use segment::{Segment, Segmentation, Segments};
pub use size::Size;

/// What is to be done to a frame before a wire can carry it. Every number in it was checked against the frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offload {
    /// One checksum is unfinished.
    Checksum(Checksum),
    /// It stands for several frames.
    Cut(Segmentation),
}

impl Offload {
    /// Judges what `header` says of a frame of `len` octets. `front` has the frame's first octets: all of them, or
    /// [`HEADERS_MAX`].
    ///
    /// `hdr_len` is not looked at: virtio calls it a hint, and senders differ in what they write there. Neither are the
    /// lengths in the IP header, which some leave at zero; segments get their own.
    ///
    /// # Errors
    /// Where the header and the frame do not fit together, or it asks for what is not done here: IP fragments.
    pub fn of(header: &NetHeader, front: &[u8], len: usize) -> Result<Option<Self>, BadOffload> {
        if header.is_complete() {
            return Ok(None);
        }
        let new = || Checksum::new(header, front, len);
        let checksum = header.needs_checksum().then(new).transpose()?;
        match (header.segmentation()?, checksum) {
            (None, checksum) => Ok(checksum.map(Self::Checksum)),
            (Some(kind), Some(checksum)) => {
                Segmentation::new(kind, header, checksum, front, len).map(Self::Cut).map(Some)
            }
            (Some(_), None) => Err(BadOffload::NoChecksum),
        }
    }

    /// Octets of the longest frame that a wire sees of a frame of `len` octets.
    #[must_use]
    pub fn longest(&self, len: usize) -> usize {
        match self {
            Self::Checksum(_) => len,
            Self::Cut(cut) => cut.longest(),
        }
    }

    /// Frames that a wire sees of it.
    #[must_use]
    pub fn frames(&self) -> usize {
        match self {
            Self::Checksum(_) => 1,
            Self::Cut(cut) => cut.count(),
        }
    }

    /// Octets that each of those frames but the first one has again: those of the headers.
    #[must_use]
    pub fn repeated(&self) -> usize {
        match self {
            Self::Checksum(_) => 0,
            Self::Cut(cut) => cut.headers(),
        }
    }

    /// It may be left for somebody behind whoever decides by the headers in `front`. Then finishing it changes nothing but
    /// the checksum of a TCP or UDP header that is where the IP header says, and in segments the fields that number and
    /// measure them; there are no more than [`FRAMES_MAX`]; and all of that is in `front`, which is a private copy.
    #[must_use]
    pub fn may_wait(&self, front: &[u8]) -> bool {
        match self {
            Self::Checksum(checksum) => checksum.is_transport(front),
            Self::Cut(cut) => cut.headers() <= front.len() && cut.count() <= FRAMES_MAX,
        }
    }

    /// What is to be said of the frame: that, and nothing else. Where `header` is the one it was judged by.
    #[must_use]
    pub fn header(&self, header: &NetHeader) -> NetHeader {
        let &NetHeader { csum_start, csum_offset, .. } = header;
        let checksum =
            NetHeader { flags: NetHeader::NEEDS_CSUM, csum_start, csum_offset, ..NetHeader::default() };
        match self {
            Self::Checksum(_) => checksum,
            Self::Cut(cut) => {
                let hdr_len = cut.headers() as u16;
                NetHeader { hdr_len, gso_type: header.gso_type, gso_size: header.gso_size, ..checksum }
            }
        }
    }
}

/// Frames that one super-frame may stand for where it is passed on whole: whoever gets it has to cut it in one go. With
/// segments of 128 octets or more none stands for more.
pub const FRAMES_MAX: usize = 512;

/// Why a [`NetHeader`] is not to be believed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum BadOffload {
    /// Checksum start or field outside the frame's payload, which begins behind its tags.
    #[error("the checksum's start or field is not within the frame's payload")]
    ChecksumOutside,
    /// A segmentation that is neither TCP's nor UDP's, or one into IP fragments.
    #[error("the kind of segmentation is not that of TCP or UDP")]
    Kind,
    /// Segmentation without an unfinished checksum.
    #[error("segmentation is asked for, and the checksum is said to be complete")]
    NoChecksum,
    /// A segment size of 0.
    #[error("the segment size is 0")]
    NoSize,
    /// The frame is not what the kind of segmentation says.
    #[error("the frame is not of the protocol that is said")]
    OtherProtocol,
    /// Its checksum start or field is not that of its TCP or UDP header.
    #[error("the checksum is not that of the TCP or UDP header")]
    OtherChecksum,
    /// The frame is an IP fragment, has routing headers that are not spent, or is authenticated.
    #[error("the IP headers are those of a packet that cannot be cut")]
    Uncuttable,
    /// The headers are not all there, or longer than [`HEADERS_MAX`].
    #[error("the headers are cut off, not legal, or too long")]
    Headers,
    /// A segment would be longer than an IP packet can be.
    #[error("a segment would be longer than an IP packet can be")]
    TooLong,
}
