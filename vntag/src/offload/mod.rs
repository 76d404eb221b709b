//! What a sender left undone in a frame, and doing it: checksums and TCP segmentation.
//!
//! A guest, or a host behind an interface, may hand over a frame whose checksum is still to be filled in, or a TCP
//! *super-frame* that stands for many frames. A [`NetHeader`] in front of the frame says which. It is as trustworthy
//! as its writer, so it is judged once, against a private copy of the frame's first octets:
//!
//! ```text
//!  NetHeader + frame --Offload::of--> None                  nothing is to be done
//!                                     Checksum              complete(): one checksum, in place
//!                                     TcpSegmentation       segments(): frames of at most `longest` octets
//!                                     BadOffload            the header says what is not so
//! ```
//!
//! What comes out is what a sender without these offloads would have sent: lengths, sequence numbers,
//! identification, flags and all checksums. Tags in front of the IP header (a VNTag, up to two VLAN tags) stay as they
//! are, in every segment.
//!
//! Nothing here allocates, and no checksum of a segment is taken over from the sender: the octets that are summed are
//! those that are sent.

mod checksum;
mod headers;
mod net_header;
mod segment;

pub use checksum::{Checksum, Sum};
pub use headers::HEADERS_MAX;
pub use net_header::NetHeader;
pub use segment::{Segment, Segments, TcpSegmentation};

/// What is to be done to a frame before a wire can carry it. Every number in it was checked against the frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offload {
    /// One checksum is unfinished.
    Checksum(Checksum),
    /// It stands for several frames.
    Tcp(TcpSegmentation),
}

impl Offload {
    /// Judges what `header` says of a frame of `len` octets. `front` has the frame's first octets: all of them, or
    /// [`HEADERS_MAX`].
    ///
    /// `hdr_len` is not looked at: virtio calls it a hint, and senders differ in what they write there. Neither are the
    /// lengths in the IP header, which some leave at zero; segments get their own.
    ///
    /// # Errors
    /// Where the header and the frame do not fit together, or it asks for what is not done here: UDP
    /// fragmentation and segmentation.
    pub fn of(header: &NetHeader, front: &[u8], len: usize) -> Result<Option<Self>, BadOffload> {
        if header.is_complete() {
            return Ok(None);
        }
        let checksum = header.needs_checksum().then(|| Checksum::new(header, len)).transpose()?;
        let task = match (header.segmentation(), checksum) {
            (None, checksum) => return Ok(checksum.map(Self::Checksum)),
            (Some(kind), Some(checksum)) => TcpSegmentation::new(kind, header, checksum, front, len)?,
            (Some(_), None) => return Err(BadOffload::NoChecksum),
        };
        Ok(Some(Self::Tcp(task)))
    }

    /// Octets of the longest frame that a wire sees of a frame of `len` octets.
    #[must_use]
    pub fn longest(&self, len: usize) -> usize {
        match self {
            Self::Checksum(_) => len,
            Self::Tcp(tcp) => tcp.longest(),
        }
    }
}

/// Why a [`NetHeader`] is not to be believed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum BadOffload {
    /// Checksum start or field outside the frame's payload.
    #[error("the checksum's start or field is not within the frame's payload")]
    ChecksumOutside,
    /// A segmentation that is not TCP's.
    #[error("the kind of segmentation is not TCP over IPv4 or IPv6")]
    Kind,
    /// Segmentation without an unfinished checksum.
    #[error("segmentation is asked for, and the checksum is said to be complete")]
    NoChecksum,
    /// A segment size of 0.
    #[error("the segment size is 0")]
    NoSize,
    /// The frame is not what the kind of segmentation says.
    #[error("the frame is not TCP over the version of IP that is said")]
    NotTcp,
    /// Its checksum start or field is not that of its TCP header.
    #[error("the checksum is not that of the TCP header")]
    NotTcpChecksum,
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
