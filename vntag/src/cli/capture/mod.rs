//! Reading captures: pcap and pcapng, from a file or a pipe, one frame after the other.
//!
//! Written here and not taken from a crate, because a tester must read what real tools write and say where a file
//! is broken: frames longer than the snapshot length, time stamps in the interface's own resolution, simple packet
//! blocks without their padding, and the octet at which it went wrong.

mod pcap;
mod pcapng;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, BufReader, Read};

/// Octets of one frame that are believed. Real captures stay below 256 KiB, as libpcap does.
const MAX_FRAME: usize = 256 << 10;

/// One captured frame.
pub(crate) struct Frame<'a> {
    /// Its number in the capture, from 1.
    pub(crate) number: u64,
    /// When it was captured.
    pub(crate) time: Time,
    /// What was captured of it.
    pub(crate) data: &'a [u8],
    /// How long it was on the wire.
    pub(crate) wire_len: usize,
}

/// Time since 1970-01-01 UTC.
#[derive(Clone, Copy, Default)]
pub(crate) struct Time {
    pub(crate) seconds: u64,
    pub(crate) nanoseconds: u32,
}

/// Why a capture cannot be read, or not further.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {}{problem}", place(*.at, *.frame))]
pub(crate) struct CaptureError {
    file: String,
    /// Where the record began that could not be read.
    at: u64,
    /// The frame it would have been.
    frame: u64,
    problem: Problem,
}

fn place(at: u64, frame: u64) -> String {
    if at == 0 { String::new() } else { format!("frame {frame}, at octet {at}: ") }
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("empty, not even a capture header")]
    Empty,
    #[error("neither pcap nor pcapng: it begins with {0:02x?}")]
    Magic([u8; 4]),
    #[error("compressed with {0}; unpack it first, for instance `{1} FILE | vntag decode -`")]
    Compressed(&'static str, &'static str),
    #[error("ends inside a {0}: {1} octets are missing")]
    Truncated(&'static str, usize),
    #[error("{0} version {1}.{2} is not known")]
    Version(&'static str, u16, u16),
    #[error("link type {0} ({name}) is not Ethernet", name = link_type_name(*.0))]
    LinkType(u16),
    #[error("frames end in an FCS; remove it first, for instance with `editcap -C -4`")]
    Fcs,
    #[error("its length is said to be {0} octets")]
    FrameLength(u32),
    #[error("the length of the block is said to be {0} octets")]
    BlockLength(u32),
    #[error("the two lengths of a block differ: {0} and {1}")]
    BlockLengths(u32, u32),
    #[error("the block's byte-order magic is {0:08x}")]
    ByteOrder(u32),
    #[error("the {0} is too short for what it holds")]
    Block(&'static str),
    #[error("it is from interface {0}, which has not been described")]
    Interface(u32),
}

/// A capture that is being read.
pub(crate) struct Capture {
    name: String,
    octets: Octets,
    format: Format,
    frames: u64,
    /// The record read last.
    record: Vec<u8>,
}

enum Format {
    Pcap(pcap::Header),
    Pcapng(pcapng::Section),
}

/// One frame inside the record.
struct Found {
    time: Time,
    data: std::ops::Range<usize>,
    wire_len: usize,
}

impl Capture {
    /// Opens a capture, `-` for standard input, and reads its header.
    pub(crate) fn open(file: &str) -> Result<Self, CaptureError> {
        if file == "-" {
            return Self::read("standard input", Box::new(io::stdin().lock()));
        }
        match File::open(file) {
            Ok(opened) => Self::read(file, Box::new(BufReader::new(opened))),
            Err(error) => Err(CaptureError { file: file.to_owned(), at: 0, frame: 1, problem: error.into() }),
        }
    }

    /// Reads the header of a capture that is called `name`.
    fn read(name: &str, inner: Box<dyn Read>) -> Result<Self, CaptureError> {
        let mut octets = Octets { inner, at: 0, record: 0 };
        match Format::open(&mut octets) {
            Ok(format) => Ok(Self { name: name.to_owned(), octets, format, frames: 0, record: Vec::new() }),
            Err(problem) => Err(CaptureError { file: name.to_owned(), at: 0, frame: 1, problem }),
        }
    }

    /// The next frame, `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Frame<'_>>, CaptureError> {
        let found = match &mut self.format {
            Format::Pcap(header) => header.next(&mut self.octets, &mut self.record),
            Format::Pcapng(section) => section.next(&mut self.octets, &mut self.record),
        };
        let number = self.frames + 1;
        match found {
            Ok(None) => Ok(None),
            Ok(Some(Found { time, data, wire_len })) => {
                self.frames = number;
                let data = self.record.get(data).unwrap_or_default();
                Ok(Some(Frame { number, time, data, wire_len: wire_len.max(data.len()) }))
            }
            Err(problem) => {
                Err(CaptureError { file: self.name.clone(), at: self.octets.record, frame: number, problem })
            }
        }
    }
}

impl Format {
    fn open(octets: &mut Octets) -> Result<Self, Problem> {
        let mut magic = [0; 4];
        if !octets.fill_or_end(&mut magic, "capture header")? {
            return Err(Problem::Empty);
        }
        match magic {
            pcapng::MAGIC => pcapng::Section::open(octets).map(Self::Pcapng),
            [0x1f, 0x8b, ..] => Err(Problem::Compressed("gzip", "zcat")),
            [0x28, 0xb5, 0x2f, 0xfd] => Err(Problem::Compressed("zstd", "zstdcat")),
            [0xfd, b'7', b'z', b'X'] => Err(Problem::Compressed("xz", "xzcat")),
            _ => match pcap::Variant::of(magic) {
                Some(variant) => pcap::Header::open(variant, octets).map(Self::Pcap),
                None => Err(Problem::Magic(magic)),
            },
        }
    }
}

/// Octets with a count of how many have been read.
struct Octets {
    inner: Box<dyn Read>,
    at: u64,
    /// Where the record began that is being read.
    record: u64,
}

impl Octets {
    fn begin_record(&mut self) {
        self.record = self.at;
    }

    /// Fills `buf`, which is the inside or the rest of a `what`.
    fn fill(&mut self, buf: &mut [u8], what: &'static str) -> Result<(), Problem> {
        if self.fill_or_end(buf, what)? { Ok(()) } else { Err(Problem::Truncated(what, buf.len())) }
    }

    /// Fills `buf`, or says that the input ends exactly before it.
    fn fill_or_end(&mut self, buf: &mut [u8], what: &'static str) -> Result<bool, Problem> {
        let mut filled = 0;
        while let Some(room) = buf.get_mut(filled..).filter(|room| !room.is_empty()) {
            match self.inner.read(room) {
                Ok(0) if filled == 0 => return Ok(false),
                Ok(0) => return Err(Problem::Truncated(what, buf.len() - filled)),
                Ok(count) => {
                    filled += count;
                    self.at += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }
}

/// Integers of either byte order. Reading outside gives `None`.
#[derive(Clone, Copy)]
struct Order {
    big: bool,
}

impl Order {
    fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let word = *bytes.get(at..)?.first_chunk()?;
        Some(if self.big { u16::from_be_bytes(word) } else { u16::from_le_bytes(word) })
    }

    fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let word = *bytes.get(at..)?.first_chunk()?;
        Some(if self.big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) })
    }

    fn u64(self, bytes: &[u8], at: usize) -> Option<u64> {
        let word = *bytes.get(at..)?.first_chunk()?;
        Some(if self.big { u64::from_be_bytes(word) } else { u64::from_le_bytes(word) })
    }
}

/// Link type 1, for frames that this product understands.
const ETHERNET: u16 = 1;

/// Names for the link types that people meet (tcpdump.org/linktypes.html).
fn link_type_name(link_type: u16) -> &'static str {
    match link_type {
        0 => "NULL, BSD loopback",
        9 => "PPP",
        12 | 14 | 101 => "RAW, IP without a link layer",
        105 => "IEEE802_11",
        113 => "LINUX_SLL, made by capturing on `any`",
        127 => "IEEE802_11_RADIOTAP",
        189 | 220 => "USB_LINUX",
        228 => "IPV4",
        229 => "IPV6",
        253 => "NETLINK",
        276 => "LINUX_SLL2, made by capturing on `any`",
        _ => "see tcpdump.org/linktypes.html",
    }
}
