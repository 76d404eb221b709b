//! Writing captures: pcap with nanoseconds, which every reader of pcap knows.

use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::unix::fs::MetadataExt;

use anyhow::Context;

use super::WrongRequest;
use super::args::Files;
use super::capture::Time;

/// The snapshot length in the header: what libpcap takes for "everything".
const SNAPSHOT_LEN: u32 = 262_144;
/// Ethernet.
const LINK_TYPE: u32 = 1;

/// A pcap file that is being written.
pub(crate) struct Output {
    inner: BufWriter<Box<dyn Write>>,
    name: String,
}

impl Output {
    /// Creates the output and writes the file header.
    pub(crate) fn create(files: &Files) -> anyhow::Result<Self> {
        let (name, inner): (_, Box<dyn Write>) = if files.output == "-" {
            if io::stdout().is_terminal() {
                let hint = "a capture is not written to a terminal; name an output file, or `-` with a pipe";
                return Err(WrongRequest(hint).into());
            }
            ("standard output".to_owned(), Box::new(io::stdout().lock()))
        } else {
            if is_same_file(&files.input, &files.output) {
                return Err(WrongRequest("input and output are the same file").into());
            }
            let file = File::create(&files.output).with_context(|| files.output.clone())?;
            (files.output.clone(), Box::new(file))
        };
        let mut output = Self { inner: BufWriter::new(inner), name };
        output.words([0xa1b2_3c4d, 0x0004_0002, 0, 0, SNAPSHOT_LEN, LINK_TYPE])?;
        Ok(output)
    }

    /// Appends one frame.
    pub(crate) fn frame(&mut self, time: Time, data: &[u8], wire_len: usize) -> anyhow::Result<()> {
        let length = |octets: usize| u32::try_from(octets).unwrap_or(u32::MAX);
        let seconds = u32::try_from(time.seconds).unwrap_or(u32::MAX);
        self.words([seconds, time.nanoseconds, length(data.len()), length(wire_len)])?;
        self.inner.write_all(data).with_context(|| self.name.clone())
    }

    /// Writes out what is still held back.
    pub(crate) fn finish(mut self) -> anyhow::Result<()> {
        self.inner.flush().with_context(|| self.name.clone())
    }

    fn words<const N: usize>(&mut self, words: [u32; N]) -> anyhow::Result<()> {
        for word in words {
            self.inner.write_all(&word.to_le_bytes()).with_context(|| self.name.clone())?;
        }
        Ok(())
    }
}

/// Writing to the file that is read would empty it first.
fn is_same_file(input: &str, output: &str) -> bool {
    let identity = |path: &str| fs::metadata(path).map(|data| (data.dev(), data.ino())).ok();
    let regular = fs::metadata(output).is_ok_and(|data| data.is_file());
    regular && input != "-" && identity(input) == identity(output)
}
