//! `nivctl capture`: what passes a port, from the daemon to a file or to whoever reads our output.

use super::Failure;
use super::daemons::Daemons;
use crate::client::Client;
use core::ops::ControlFlow;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Capture what passes a port, link or vNIC, with what became of each frame, as pcapng
///
/// Every frame's comment says where it went, or why it was dropped. Frames that the reader was too slow for are counted.
/// Ctrl-C ends the capture.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The port (ethernet1/1) of a switch, the link or vNIC of an adapter
    #[arg(required = true, value_name = "PORT")]
    port: Vec<String>,

    /// The file; without it, standard output
    #[arg(short, long, value_name = "FILE")]
    write: Option<PathBuf>,

    /// End after so many frames
    #[arg(short, long, value_name = "N")]
    count: Option<u64>,
}

const EXAMPLES: &str = "\
Examples:
  nivctl capture vnic0 -w vnic0.pcapng
  nivctl capture ethernet1/1 -c 100 | tshark -r - -T fields -e frame.number -e frame.comment
  nivctl capture link0 | wireshark -k -i -";

pub(super) fn run(daemons: &Daemons, args: &Args) -> Result<(), Failure> {
    if args.write.is_none() && io::stdout().is_terminal() {
        let hint =
            "write it to a file (-w FILE), or let something read it (nivctl capture PORT | tshark -r -)";
        return Err(Failure::Wrong(format!("nivctl: a capture is not for a terminal: {hint}")));
    }
    let port = args.port.join(" ");
    let mut output = Output { blocks: Blocks::default(), target: None };
    daemons.first(|client| output.fill(client, &port, args.count, args.write.as_deref()))??;
    let Blocks { frames, lost, .. } = output.blocks;
    let missing = match lost {
        0 => String::new(),
        lost => format!(", {lost} frames not captured: the reader was too slow"),
    };
    // If standard error is gone too, nobody wants to know.
    let _ = writeln!(io::stderr(), "{frames} frames captured{missing}");
    Ok(())
}

/// How long after Ctrl-C frames are still taken: those that had passed by then may wait in the daemon for company.
const LAST: Duration = Duration::from_millis(300);

struct Output {
    blocks: Blocks,
    target: Option<Box<dyn Write>>,
}

impl Output {
    /// Copies the capture until it ends, or until somebody ends it.
    fn fill(
        &mut self,
        client: &Client,
        port: &str,
        count: Option<u64>,
        file: Option<&Path>,
    ) -> Result<Result<(), Failure>, crate::client::ClientError> {
        let interrupted = async {
            match signal(SignalKind::interrupt()) {
                Ok(mut signal) => {
                    signal.recv().await;
                    tokio::time::sleep(LAST).await;
                }
                // Then Ctrl-C ends us as it ends any program.
                Err(_) => core::future::pending().await,
            }
        };
        let ended = client.capture(port, count, interrupted, |piece| match self.take(piece, file) {
            Ok(()) => ControlFlow::Continue(()),
            Err(failure) => ControlFlow::Break(failure),
        })?;
        Ok(match ended {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(failure) => Err(failure),
        })
    }

    /// Passes on what is whole by now, so that what is written can be read at any time.
    fn take(&mut self, piece: &[u8], file: Option<&Path>) -> Result<(), Failure> {
        let whole = self.blocks.take(piece);
        match (&mut self.target, file) {
            // Only now, when there is something to write: a port that does not exist makes no file.
            (None, Some(path)) => {
                let named =
                    |error: io::Error| Failure::Failed(format!("nivctl: {}: {error}", path.display()));
                let mut file = std::fs::File::create(path).map_err(named)?;
                file.write_all(&whole).map_err(named)?;
                self.target = Some(Box::new(file));
            }
            (Some(target), _) => {
                target.write_all(&whole).map_err(|error| match file {
                    Some(path) => Failure::Failed(format!("nivctl: {}: {error}", path.display())),
                    None => error.into(),
                })?;
            }
            (None, None) => {
                let mut out = io::stdout().lock();
                out.write_all(&whole)?;
                out.flush()?;
            }
        }
        Ok(())
    }
}

const ENHANCED_PACKET: u32 = 6;
const INTERFACE_STATISTICS: u32 = 5;
const ISB_IFDROP: u16 = 5;

/// Cuts a stream of pcapng into its blocks, and counts.
#[derive(Debug, Default, PartialEq, Eq)]
struct Blocks {
    begun: Vec<u8>,
    frames: u64,
    lost: u64,
}

impl Blocks {
    /// Everything that is whole with this piece. What is no block is passed on as it is.
    fn take(&mut self, piece: &[u8]) -> Vec<u8> {
        self.begun.extend_from_slice(piece);
        let mut at = 0;
        while let Some(rest) = self.begun.get(at..)
            && let (Some(kind), Some(len)) = (word(rest, 0), word(rest, 4))
        {
            let len = (len as usize).max(12);
            let Some(block) = rest.get(..len) else { break };
            match kind {
                ENHANCED_PACKET => self.frames += 1,
                INTERFACE_STATISTICS => self.lost = lost(block).unwrap_or(self.lost),
                _ => {}
            }
            at += len;
        }
        let rest = self.begun.split_off(at);
        core::mem::replace(&mut self.begun, rest)
    }
}

/// The option of a statistics block that counts lost frames.
fn lost(block: &[u8]) -> Option<u64> {
    let mut options = block.get(20..)?;
    loop {
        let half =
            |at: usize| options.get(at..at + 2).and_then(|two| two.try_into().ok()).map(u16::from_le_bytes);
        let (code, len) = (half(0)?, usize::from(half(2)?));
        if code == ISB_IFDROP {
            return options.get(4..12)?.try_into().ok().map(u64::from_le_bytes);
        }
        options = options.get(4 + len.next_multiple_of(4)..).filter(|_| code != 0)?;
    }
}

fn word(octets: &[u8], at: usize) -> Option<u32> {
    octets.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(kind: u32, body: &[u8]) -> Vec<u8> {
        let len = (12 + body.len() as u32).to_le_bytes();
        [&kind.to_le_bytes()[..], &len, body, &len].concat()
    }

    #[test]
    fn blocks_are_passed_on_whole_and_counted_however_they_come() {
        let statistics =
            [&[0; 12][..], &[4, 0, 8, 0], &[9; 8], &[5, 0, 8, 0], &7u64.to_le_bytes(), &[0; 4]].concat();
        let stream =
            [block(0x0a0d_0d0a, &[1; 16]), block(6, &[2; 80]), block(6, &[]), block(5, &statistics)].concat();
        for size in [1, 3, 50, stream.len()] {
            let mut blocks = Blocks::default();
            let mut passed = Vec::new();
            for piece in stream.chunks(size) {
                passed.extend(blocks.take(piece));
            }
            assert_eq!(passed, stream);
            assert_eq!(blocks, Blocks { begun: vec![], frames: 2, lost: 7 });
        }
        let mut blocks = Blocks::default();
        assert_eq!(blocks.take(&stream[..40]), stream[..28], "what was begun waits");
    }

    #[test]
    fn whatever_comes_does_no_harm() {
        let mut blocks = Blocks::default();
        blocks.take(&[0xff; 100]);
        blocks.take(&[0; 100]);
        let statistics = block(5, &[0xff; 15]);
        assert_eq!(Blocks::default().take(&statistics), statistics);
    }
}
