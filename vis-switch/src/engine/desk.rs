//! Where the frames of one burst lie while they are judged: a private copy of each head, and spare heads for the
//! further copies of flooded frames. Made once, used for every burst.

use super::outbox::Waiting;
use link::{BURST, Frame, OutFrame};
use vntag::Head;

/// Heads for copies of flooded frames. When they are used up, what waits is sent first.
const SPARE: usize = 192;

/// Heads of a burst.
pub(super) struct Desk {
    heads: Vec<Head>,
    /// How many octets of each frame went into its head.
    taken: [u8; BURST],
    next_spare: usize,
    /// Nobody looks at a frame of the burst after it was sent.
    lends: bool,
}

impl Desk {
    pub(super) fn new() -> Self {
        Self {
            heads: vec![Head::default(); BURST + SPARE],
            taken: [0; BURST],
            next_spare: BURST,
            lends: false,
        }
    }

    /// A new burst: the spare heads are free. Where it `lends`, frames may be given away when they are sent: nobody looks at them
    /// afterwards.
    #[inline]
    pub(super) fn begin(&mut self, lends: bool) {
        (self.next_spare, self.lends) = (BURST, lends);
    }

    /// The spare heads are free again.
    #[inline]
    pub(super) fn clear(&mut self) {
        self.next_spare = BURST;
    }

    /// No spare head is left.
    #[inline]
    pub(super) fn is_used_up(&self) -> bool {
        self.next_spare >= self.heads.len()
    }

    /// Copies the head of a frame, once. What it says is judged and sent, whatever its owner writes meanwhile.
    #[inline]
    pub(super) fn load(&mut self, index: usize, frame: &Frame<'_>) -> &[u8] {
        let (Some(head), Some(taken)) = (self.heads.get_mut(index), self.taken.get_mut(index)) else {
            return &[];
        };
        // Never more than `vntag::head::HEAD_MAX`, 128.
        *taken = head.load(|room| frame.data.copy_to(room)) as u8;
        head.bytes()
    }

    /// A frame of the burst as it was judged: its head, and what lies behind that.
    pub(super) fn whole<'a>(&'a self, index: usize, frame: &Frame<'a>) -> OutFrame<'a> {
        let head = self.heads.get(index).map_or(&[][..], Head::bytes);
        let taken = self.taken.get(index).copied().unwrap_or(0);
        OutFrame::complete(head, frame.data.skip(usize::from(taken)))
    }

    /// The head of a frame of the burst.
    #[inline]
    pub(super) fn head(&mut self, index: usize) -> Option<&mut Head> {
        self.heads.get_mut(index)
    }

    /// A copy of the head of a frame of the burst, and its number; `None` when the spare ones are used up.
    #[inline]
    pub(super) fn copy(&mut self, index: usize) -> Option<(u16, &mut Head)> {
        let (frames, spare) = self.heads.split_at_mut_checked(self.next_spare)?;
        let copy = spare.first_mut()?;
        copy.clone_from(frames.get(index)?);
        let number = self.next_spare as u16;
        self.next_spare += 1;
        Some((number, copy))
    }

    /// A frame that waits, ready to be sent.
    #[inline]
    pub(super) fn outgoing<'a>(&'a self, waiting: &Waiting, burst: &[Frame<'a>]) -> OutFrame<'a> {
        let index = usize::from(waiting.frame);
        let head = self.heads.get(usize::from(waiting.head)).map_or(&[][..], Head::bytes);
        let taken = self.taken.get(index).copied().unwrap_or(0);
        let data = burst.get(index).map_or(link::Gather::EMPTY, |frame| frame.data);
        let mut body = data.skip(usize::from(taken));
        // A head of the same length, and the frame's own, so that this is its only copy.
        if self.lends && head.len() == usize::from(taken) && usize::from(waiting.head) == index {
            body = body.lent_as(data.lent());
        }
        OutFrame::complete(head, body)
    }

    /// How many octets longer the tags of such a frame are than when it came; shorter, where that is negative.
    pub(super) fn inserted(&self, waiting: &Waiting) -> isize {
        self.heads.get(usize::from(waiting.head)).map_or(0, Head::inserted)
    }
}
