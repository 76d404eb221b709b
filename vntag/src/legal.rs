//! What may be sent: VIF and list ids, upward and downward tags, and the reason why something else may not.

/// A VIF id that can be assigned: 1 to 0xFFE. 0 means "absent"; 0xFFF is never assigned (it is the low part of
/// the "no VIF" value of a public third-party adapter).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct VifId(u16);

impl VifId {
    /// The greatest assignable id.
    pub const MAX: u16 = 0xffe;

    /// `None` for what cannot be assigned.
    #[must_use]
    pub const fn new(id: u16) -> Option<Self> {
        if id == 0 || id > Self::MAX { None } else { Some(Self(id)) }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// A VIF list id: 1 to 0x3FFF.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ListId(u16);

impl ListId {
    /// The greatest list id.
    pub const MAX: u16 = 0x3fff;

    /// `None` for 0 and for more than 14 bits.
    #[must_use]
    pub const fn new(id: u16) -> Option<Self> {
        if id == 0 || id > Self::MAX { None } else { Some(Self(id)) }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// A legal tag on the way up: the channel (VIF) the frame entered the adapter by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct UpTag {
    /// Channel id: a VIF for VNTag, an E-CID for E-TAG.
    pub source: u32,
}

/// Where a downward tag points.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Target {
    /// One channel.
    Channel(u32),
    /// A list of channels, replicated by the adapter.
    List(u32),
}

/// A legal tag on the way down.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct DownTag {
    /// Who gets the frame.
    pub target: Target,
    /// Set where the frame came up this very link: the channel that must not get it back. `Some(0)` keeps a
    /// looped bit without a source, which matches nobody (I18).
    pub looped: Option<u32>,
}

impl DownTag {
    /// Looped unicast back to its own source (I20). Not a [`Fault`] of the word: the table asks first whether the
    /// destination is known at all (I12).
    #[must_use]
    pub const fn is_self_loop(self) -> bool {
        matches!((self.target, self.looped), (Target::Channel(dst), Some(source)) if dst == source)
    }
}

/// Why a tag is not legal. Each value is one line of the conformance tables, in the order in which they judge.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum Fault {
    /// The tag's own octets are not all there (V3, I8).
    #[error("the tag is truncated")]
    Truncated,
    /// The tag is whole but no EtherType follows it (V4, I8).
    #[error("no EtherType follows the tag")]
    NoInnerType,
    /// Wrong direction (V5, I9).
    #[error("wrong direction")]
    Direction,
    /// `p` set on the way up (V6).
    #[error("a list on the way up")]
    Pointer,
    /// `l` set on the way up (V7).
    #[error("looped on the way up")]
    Looped,
    /// A destination on the way up (V8).
    #[error("a destination on the way up")]
    Destination,
    /// The reserved bit is set (V9, I10).
    #[error("a reserved bit is set")]
    Reserved,
    /// A version other than 0 (V10, I11).
    #[error("the version is not 0")]
    Version,
    /// A source that cannot be assigned (V11).
    #[error("the source is never assigned")]
    Source,
    /// `p` clear and a destination over 0xFFF (I13).
    #[error("the destination is over 0xfff")]
    DestinationRange,
}

/// A tag of network interface virtualization, as the engines use it. Monomorphised: no cost.
pub trait NivTag: Copy {
    /// EtherType.
    const TPID: u16;
    /// Octets on the wire, EtherType included.
    const LEN: usize;

    /// Judges the tag that begins at `at` (its EtherType is known to be there) on the way up, in the order of
    /// the conformance table.
    ///
    /// # Errors
    /// The first [`Fault`] in table order.
    fn parse_up(bytes: &[u8], at: usize) -> Result<UpTag, Fault>;

    /// Judges the tag that begins at `at` on the way down. Whether the target is known (I12, I14) and then
    /// [`DownTag::is_self_loop`] (I20) is left to whoever has the tables.
    ///
    /// # Errors
    /// The first [`Fault`] in table order.
    fn parse_down(bytes: &[u8], at: usize) -> Result<DownTag, Fault>;

    /// A downward tag names a source without being looped: harmless, the source means nothing then (I17).
    fn has_stray_source(bytes: &[u8], at: usize) -> bool;

    /// Writes an upward tag; `out` has [`LEN`](Self::LEN) octets.
    fn emit_up(tag: UpTag, out: &mut [u8]);

    /// Writes a downward tag; `out` has [`LEN`](Self::LEN) octets.
    fn emit_down(tag: DownTag, out: &mut [u8]);
}
