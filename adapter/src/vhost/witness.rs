//! A process beside the adapter that looks where the adapter may not.
//!
//! Whether a front end keeps its memory to itself stands in its list of mappings. The adapter's sandbox hides the processes
//! of others, all of them or none. So a second process, started before the sandbox is entered and in a narrower one
//! (`niv_node::sandbox::onlooker`), answers one question with yes or no: has that process mapped this file privately at that
//! address? It is this program with `--witness`, and ends with the adapter.

use super::peer;
use parking_lot::Mutex;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// The option by which this program is the witness.
const OPTION: &str = "--witness";
/// A list of mappings is read in less than a millisecond; the front door does not wait for one that is not.
const PATIENCE: Duration = Duration::from_millis(500);

/// The adapter's end; nothing once it did not answer. There is one sandbox for a process, and so one witness.
static WITNESS: OnceLock<Mutex<Option<UnixStream>>> = OnceLock::new();

/// Starts the witness. Where it cannot be had the adapter does without.
///
/// # Errors
/// No process can be started.
pub fn start() -> io::Result<()> {
    let (ours, its) = UnixStream::pair()?;
    ours.set_read_timeout(Some(PATIENCE))?;
    // Not waited for: it lives as long as the adapter, whose end it hears of by the socket.
    Command::new("/proc/self/exe")
        .arg0("niv-adapter")
        .arg(OPTION)
        .stdin(OwnedFd::from(its))
        .stdout(Stdio::null())
        .spawn()?;
    *WITNESS.get_or_init(Mutex::default).lock() = Some(ours);
    Ok(())
}

/// What the witness does, until the adapter is gone.
#[must_use]
pub fn serve() -> ExitCode {
    let Ok(socket) = io::stdin().as_fd().try_clone_to_owned() else { return ExitCode::FAILURE };
    if niv_node::sandbox::onlooker().is_err() {
        return ExitCode::FAILURE;
    }
    let mut socket = UnixStream::from(socket);
    let mut question = [0; Question::LEN];
    while socket.read_exact(&mut question).is_ok() {
        let Question { pid, addr, inode } = Question::parse(question);
        let answer = peer::list_has_private(pid, addr, inode).unwrap_or(false);
        if socket.write_all(&[u8::from(answer)]).is_err() {
            break;
        }
    }
    ExitCode::SUCCESS
}

/// The process has the file of this inode mapped privately at `addr`. `None` where nobody can tell.
pub(super) fn ask(pid: i32, addr: u64, inode: u64) -> Option<bool> {
    let mut witness = WITNESS.get()?.lock();
    let socket = witness.as_mut()?;
    let mut answer = [0];
    let asked = socket.write_all(&Question { pid, addr, inode }.emit());
    if let Err(error) = asked.and_then(|()| socket.read_exact(&mut answer)) {
        tracing::warn!(%error, "the witness is gone; memory that a guest does not share will not be named");
        *witness = None;
        return None;
    }
    Some(answer == [1])
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Question {
    pid: i32,
    addr: u64,
    inode: u64,
}

impl Question {
    const LEN: usize = 24;

    fn emit(self) -> [u8; Self::LEN] {
        let mut octets = [0; Self::LEN];
        let words = [u64::from(self.pid.unsigned_abs()), self.addr, self.inode];
        for (to, word) in octets.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_ne_bytes());
        }
        octets
    }

    fn parse(octets: [u8; Self::LEN]) -> Self {
        let [pid, addr, inode] = core::array::from_fn(|n| {
            let word = octets.get(8 * n..8 * n + 8).and_then(|word| word.try_into().ok());
            u64::from_ne_bytes(word.unwrap_or_default())
        });
        Self { pid: i32::try_from(pid).unwrap_or_default(), addr, inode }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_arrives_as_it_was_asked() {
        let question = Question { pid: i32::MAX, addr: u64::MAX - 7, inode: 1 << 40 };
        assert_eq!(Question::parse(question.emit()), question);
        assert_eq!(Question::parse([0xff; Question::LEN]).pid, 0);
    }

    #[test]
    fn without_a_witness_nobody_can_tell() {
        assert_eq!(ask(1, 2, 3), None);
    }
}
