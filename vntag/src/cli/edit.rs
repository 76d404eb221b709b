//! `strip`, `insert`, `to-etag`, `from-etag`: frames in, frames with another tag out.

use vntag::ethernet::{ADDRESSES, HEADER, TYPE_ETAG, TYPE_VNTAG, be16};
use vntag::{DownTag, Etag, Headers, NivTag, Outer, Refused, Target, UpTag, Vntag, splice};

use super::Outcome;
use super::args::{Files, FromEtag, Insert, Strip, ToEtag};
use super::capture::Capture;
use super::output::Output;

/// What becomes of one frame.
enum Change {
    /// It passes as it is.
    None,
    /// So many octets after the addresses are replaced by a tag, of which so many octets count.
    Replace(usize, [u8; Etag::LEN], usize),
}

/// Why a frame is left out.
#[derive(Debug, thiserror::Error)]
enum LeftOut {
    #[error("it has a tag already")]
    Tagged,
    #[error("shorter than two addresses and a type")]
    Short,
    #[error(transparent)]
    Refused(#[from] Refused),
}

pub(crate) fn strip(args: &Strip) -> anyhow::Result<Outcome> {
    each_frame(&args.files, |frame| {
        let outer = Headers::parse(frame).outer;
        Ok(outer.map_or(Change::None, |tag| Change::Replace(tag.wire_len(), [0; Etag::LEN], 0)))
    })
}

pub(crate) fn insert(args: &Insert) -> anyhow::Result<Outcome> {
    let mut tag = [0; Etag::LEN];
    if let Some(vif) = args.vif {
        Vntag::emit_up(UpTag { source: vif.get().into() }, &mut tag);
    } else {
        let channel = args.dst.map(|vif| Target::Channel(vif.get().into()));
        let list = args.list.map(|list| Target::List(list.get().into()));
        let looped = args.looped.map(|vif| vif.get().into());
        if let Some(target) = channel.or(list) {
            Vntag::emit_down(DownTag { target, looped }, &mut tag);
        }
    }
    each_frame(&args.files, |frame| {
        if frame.len() < HEADER {
            return Err(LeftOut::Short);
        }
        match be16(frame, ADDRESSES) {
            Some(TYPE_VNTAG | TYPE_ETAG) => Err(LeftOut::Tagged),
            _ => Ok(Change::Replace(0, tag, Vntag::LEN)),
        }
    })
}

pub(crate) fn to_etag(args: &ToEtag) -> anyhow::Result<Outcome> {
    each_frame(&args.files, |frame| {
        let headers = Headers::parse(frame);
        let Some(Outer::Vntag(vntag)) = headers.outer else { return Ok(Change::None) };
        let mut etag = vntag.to_etag()?;
        if let Some(vlan) = headers.vlan {
            etag = etag.with_pcp(vlan.pcp()).with_dei(vlan.dei());
        }
        let ([t0, t1], [a, b, c, d, e, f]) = (TYPE_ETAG.to_be_bytes(), etag.to_bytes());
        Ok(Change::Replace(Vntag::LEN, [t0, t1, a, b, c, d, e, f], Etag::LEN))
    })
}

pub(crate) fn from_etag(args: &FromEtag) -> anyhow::Result<Outcome> {
    let direction = args.direction.into();
    each_frame(&args.files, |frame| {
        let Some(Outer::Etag(etag)) = Headers::parse(frame).outer else { return Ok(Change::None) };
        let vntag = etag.to_vntag(direction)?;
        let ([t0, t1], [a, b, c, d]) = (TYPE_VNTAG.to_be_bytes(), vntag.word().to_be_bytes());
        Ok(Change::Replace(Etag::LEN, [t0, t1, a, b, c, d, 0, 0], Vntag::LEN))
    })
}

/// Copies a capture, each frame changed as `change` says. Where the input breaks off, what came before is
/// written.
fn each_frame(files: &Files, change: impl Fn(&[u8]) -> Result<Change, LeftOut>) -> anyhow::Result<Outcome> {
    let mut capture = Capture::open(&files.input)?;
    let mut output = Output::create(files)?;
    let mut outcome = Outcome::Done;
    let mut room = Vec::new();
    let end = loop {
        let frame = match capture.next() {
            Ok(Some(frame)) => frame,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        };
        match change(frame.data) {
            Ok(Change::None) => output.frame(frame.time, frame.data, frame.wire_len)?,
            Ok(Change::Replace(remove, tag, tag_len)) => {
                let tag = tag.get(..tag_len).unwrap_or_default();
                room.resize(frame.data.len() + tag.len(), 0);
                let Some(len) = splice::copy(frame.data, remove, tag, &mut room) else {
                    outcome = left_out(frame.number, &LeftOut::Short);
                    continue;
                };
                let changed = room.get(..len).unwrap_or_default();
                output.frame(frame.time, changed, (frame.wire_len + tag.len()).saturating_sub(remove))?;
            }
            Err(reason) => outcome = left_out(frame.number, &reason),
        }
    };
    output.finish()?;
    end?;
    Ok(outcome)
}

fn left_out(frame: u64, reason: &LeftOut) -> Outcome {
    eprintln!("vntag: frame {frame} left out: {reason}");
    Outcome::Findings
}
