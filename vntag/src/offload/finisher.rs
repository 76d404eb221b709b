//! Finishing one frame, in memory kept for that.

use super::{BadOffload, HEADERS_MAX, NetHeader, Offload, Segment, Segmentation};

/// Frames that come at once at the most.
pub const BATCH: usize = 64;

/// Octets for the headers of one segment.
const SLOT: usize = HEADERS_MAX;

/// Finishes one frame at a time.
#[derive(Debug, Default)]
pub struct Finisher {
    frame: Vec<u8>,
    /// [`BATCH`] slots.
    headers: Vec<u8>,
}

/// A frame as a wire carries it: its first octets, and the others.
pub type Piece<'a> = (&'a [u8], &'a [u8]);

/// What is to come of a frame.
#[derive(Debug)]
pub struct Finished<'a> {
    frame: &'a [u8],
    headers: &'a mut [u8],
    /// How it is cut; `None`: it is one frame.
    cut: Option<Segmentation>,
}

impl Finisher {
    /// Takes a private copy of a frame of `len` octets, which `copy` makes, and judges that: what comes out is the
    /// judged one, whatever becomes of the original.
    ///
    /// # Errors
    /// As [`Offload::of`].
    pub fn frame(
        &mut self,
        header: &NetHeader,
        len: usize,
        copy: impl FnOnce(&mut [u8]),
    ) -> Result<Finished<'_>, BadOffload> {
        let Self { frame, headers } = self;
        if headers.is_empty() {
            headers.resize(BATCH * SLOT, 0);
        }
        if frame.len() < len {
            frame.resize(len, 0);
        }
        let frame = frame.get_mut(..len).unwrap_or_default();
        copy(frame);
        let front = frame.get(..len.min(HEADERS_MAX)).unwrap_or_default();
        let cut = match Offload::of(header, front, len)? {
            None => None,
            Some(Offload::Checksum(checksum)) => {
                checksum.complete(frame);
                None
            }
            Some(Offload::Cut(cut)) => Some(cut),
        };
        Ok(Finished { frame, headers, cut })
    }
}

/// Makes a segment `least` octets long, all of them behind its headers in `slot`; `false`: it is so long without that.
#[inline]
fn pad(slot: &mut [u8], segment: Segment<'_>, least: usize) -> bool {
    let len = segment.headers + segment.payload.len();
    if len >= least {
        return false;
    }
    let (Some(payload), true) = (slot.get_mut(segment.headers..len), least <= SLOT) else { return false };
    payload.copy_from_slice(segment.payload);
    slot.get_mut(len..least).unwrap_or_default().fill(0);
    true
}

impl Finished<'_> {
    /// How many frames it is.
    #[must_use]
    pub fn count(&self) -> usize {
        self.cut.map_or(1, |cut| cut.count())
    }

    /// Gives the frames to `each`, in order and at most [`BATCH`] of them at once. Segments of fewer than `least` octets (at
    /// most [`HEADERS_MAX`]) have zeros behind them until they have so many.
    pub fn batches(self, least: usize, mut each: impl FnMut(&[Piece<'_>])) {
        let Self { frame, headers, cut } = self;
        let Some(cut) = cut else { return each(&[(frame, &[])]) };
        let Some((own, mut payload)) = frame.split_at_checked(cut.headers()) else { return };
        let mut next = 0;
        while next < cut.count() {
            let mut pieces: [Piece<'_>; BATCH] = [(&[], &[]); BATCH];
            let mut segments = cut.segments(own, payload, next);
            let mut done = 0;
            for (slot, piece) in headers.chunks_exact_mut(SLOT).zip(&mut pieces) {
                let Some(segment) = segments.next_into(slot) else { break };
                *piece = match pad(slot, segment, least) {
                    true => (slot.get(..least).unwrap_or_default(), &[]),
                    false => (slot.get(..segment.headers).unwrap_or_default(), segment.payload),
                };
                payload = payload.get(segment.payload.len()..).unwrap_or_default();
                done += 1;
            }
            if done == 0 {
                // Never: everything was measured.
                return;
            }
            each(pieces.get(..done).unwrap_or_default());
            next += done;
        }
    }
}
