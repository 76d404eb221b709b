//! What may be sent: VIF and list ids, upward and downward tags, and the reason why something else may not.

use crate::tag::Vntag;

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

/// Why a tag is not legal. Each value is one line of the conformance tables.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fault {
    /// The tag's own octets are not all there (V3, I8).
    Truncated,
    /// The tag is whole but no EtherType follows it (V4, I8).
    NoInnerType,
    /// Wrong direction (V5, I9).
    Direction,
    /// `p` set on the way up (V6).
    Pointer,
    /// `l` set on the way up (V7).
    Looped,
    /// A destination on the way up (V8).
    Destination,
    /// The reserved bit is set (V9, I10).
    Reserved,
    /// A version other than 0 (V10, I11).
    Version,
    /// A source that cannot be assigned (V11).
    Source,
    /// `p` clear and a destination over 0xFFF (I13).
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

    /// Judges the tag that begins at `at` on the way down.
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

fn word_at(bytes: &[u8], at: usize) -> Result<Vntag, Fault> {
    let tail = bytes.get(at + 2..).ok_or(Fault::Truncated)?;
    let word = tail.first_chunk::<4>().ok_or(Fault::Truncated)?;
    if tail.len() < 6 {
        return Err(Fault::NoInnerType);
    }
    Ok(Vntag::from_word(u32::from_be_bytes(*word)))
}

fn put(word: Vntag, out: &mut [u8]) {
    let [t0, t1] = Vntag::TPID.to_be_bytes();
    let [a, b, c, d] = word.word().to_be_bytes();
    if let Some(place) = out.first_chunk_mut::<6>() {
        *place = [t0, t1, a, b, c, d];
    }
}

impl NivTag for Vntag {
    const TPID: u16 = crate::ethernet::TYPE_VNTAG;
    const LEN: usize = Self::LEN;

    #[inline]
    fn parse_up(bytes: &[u8], at: usize) -> Result<UpTag, Fault> {
        let tag = word_at(bytes, at)?;
        let source = tag.src_vif();
        // One comparison decides the common case: no bit set outside src_vif.
        if tag.word() & 0xffff_f000 != 0 {
            return Err(if tag.d() {
                Fault::Direction
            } else if tag.p() {
                Fault::Pointer
            } else if tag.l() {
                Fault::Looped
            } else if tag.dst_vif() != 0 {
                Fault::Destination
            } else if tag.r() {
                Fault::Reserved
            } else {
                Fault::Version
            });
        }
        if VifId::new(source).is_none() {
            return Err(Fault::Source);
        }
        Ok(UpTag { source: u32::from(source) })
    }

    #[inline]
    fn parse_down(bytes: &[u8], at: usize) -> Result<DownTag, Fault> {
        let tag = word_at(bytes, at)?;
        if !tag.d() {
            return Err(Fault::Direction);
        }
        if tag.r() {
            return Err(Fault::Reserved);
        }
        if tag.ver() != 0 {
            return Err(Fault::Version);
        }
        let dst = u32::from(tag.dst_vif());
        let looped = tag.l().then(|| u32::from(tag.src_vif()));
        let target = if tag.p() {
            Target::List(dst)
        } else if dst > 0xfff {
            return Err(Fault::DestinationRange);
        } else {
            Target::Channel(dst)
        };
        Ok(DownTag { target, looped })
    }

    #[inline]
    fn has_stray_source(bytes: &[u8], at: usize) -> bool {
        word_at(bytes, at).is_ok_and(|tag| !tag.l() && tag.src_vif() != 0)
    }

    #[inline]
    fn emit_up(tag: UpTag, out: &mut [u8]) {
        put(Self::default().with_src_vif(tag.source as u16), out);
    }

    #[inline]
    fn emit_down(tag: DownTag, out: &mut [u8]) {
        let (p, dst) = match tag.target {
            Target::Channel(id) => (false, id),
            Target::List(id) => (true, id),
        };
        put(
            Self::default()
                .with_d(true)
                .with_p(p)
                .with_dst_vif(dst as u16)
                .with_l(tag.looped.is_some())
                .with_src_vif(tag.looped.unwrap_or(0) as u16),
            out,
        );
    }
}
