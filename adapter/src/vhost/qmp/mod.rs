//! A link set by QEMU's own monitor (QMP): one short connection for each change, never a wait.
//!
//! QEMU serves its monitor between two of its steps, so what is set here comes behind whatever it does itself when
//! a back end connects (it then takes the link up).

mod dialog;

use dialog::{Dialog, DialogError, Next};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::listen::connect_to;

/// How long until a setting that failed is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Octets of one answer at the most; each device that QEMU lists takes about a hundred.
const MAX_LINE: usize = 1 << 20;

/// Pieces of an answer read in one turn.
const PIECES_PER_TURN: usize = 64;

/// Why a link could not be set.
#[derive(Debug, thiserror::Error)]
enum QmpError {
    #[error("cannot connect: {0}")]
    Connect(Errno),
    #[error("{0}")]
    Io(#[from] Errno),
    #[error("QEMU closed the connection")]
    Closed,
    #[error("no answer within {} s (does something else use this monitor?)", PATIENCE.as_secs())]
    Late,
    #[error("an answer of more than {MAX_LINE} octets")]
    TooLong,
    #[error(transparent)]
    Dialog(#[from] DialogError),
}

/// The link of one NIC of one QEMU.
#[derive(Debug)]
pub(super) struct Qmp {
    monitor: PathBuf,
    /// The socket of the vNIC.
    socket: PathBuf,
    exchange: Option<Exchange>,
    /// The guest's link is down, as far as is known.
    down: bool,
    again: Option<Instant>,
    error: Option<String>,
}

#[derive(Debug)]
struct Exchange {
    fd: OwnedFd,
    heard: Vec<u8>,
    dialog: Dialog,
    until: Instant,
}

impl Qmp {
    /// By the monitor at `monitor`, for the NIC whose back end is at `socket`.
    pub(super) fn new(monitor: &Path, socket: &Path) -> Self {
        Self {
            monitor: monitor.to_owned(),
            socket: socket.to_owned(),
            exchange: None,
            down: false,
            again: None,
            error: None,
        }
    }

    /// QEMU connected, or the connection ended: it sets the link by itself then.
    pub(super) fn reset(&mut self) {
        (self.exchange, self.down, self.again, self.error) = (None, false, None, None);
    }

    /// The guest's link is down because we said so.
    pub(super) fn is_down(&self) -> bool {
        self.down
    }

    /// It is, or may be by now.
    pub(super) fn may_be_down(&self) -> bool {
        match &self.exchange {
            Some(exchange) if exchange.dialog.is_said() => !exchange.dialog.up(),
            _ => self.down,
        }
    }

    /// Why the link is not what it should be.
    pub(super) fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// When to call [`Qmp::settle`] although nothing happened.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.exchange.as_ref().map(|exchange| exchange.until).or(self.again)
    }

    /// Works towards a link that is down, or up. `watch` is called with a new connection, to be told when it has
    /// something to read.
    pub(super) fn settle(
        &mut self,
        down: bool,
        now: Instant,
        watch: impl FnOnce(BorrowedFd<'_>) -> rustix::io::Result<()>,
    ) {
        if let Some(exchange) = &mut self.exchange {
            let up = exchange.dialog.up();
            let done = match exchange.turn() {
                Ok(false) if exchange.until <= now => Err(QmpError::Late),
                other => other,
            };
            match done {
                Ok(false) => return,
                Ok(true) => {
                    (self.down, self.exchange, self.again, self.error) = (!up, None, None, None);
                }
                Err(error) => self.failed(&error, now),
            }
        }
        if self.down == down {
            (self.again, self.error) = (None, None);
            return;
        }
        if self.again.is_some_and(|at| at > now) {
            return;
        }
        self.again = None;
        let begun = connect_to(&self.monitor).map_err(QmpError::Connect).and_then(|fd| {
            watch(fd.as_fd())?;
            let dialog = Dialog::new(&self.socket, !down);
            Ok(Exchange { fd, heard: Vec::new(), dialog, until: now + PATIENCE })
        });
        match begun {
            Ok(exchange) => self.exchange = Some(exchange),
            Err(error) => self.failed(&error, now),
        }
    }

    fn failed(&mut self, error: &QmpError, now: Instant) {
        self.exchange = None;
        self.again = Some(now + RETRY);
        self.error = Some(format!("qmp:{}: {error}", self.monitor.display()));
    }
}

impl Exchange {
    /// Reads what QEMU has said, and answers. Says whether the link is set.
    fn turn(&mut self) -> Result<bool, QmpError> {
        let mut piece = [0; 4096];
        for _ in 0..PIECES_PER_TURN {
            while let Some(end) = self.heard.iter().position(|octet| *octet == b'\n') {
                let line: Vec<u8> = self.heard.drain(..=end).collect();
                match self.dialog.heard(&line)? {
                    Next::Done => return Ok(true),
                    Next::Wait => {}
                    Next::Say(line) => {
                        // A few hundred octets, one at a time: what does not fit has not been read for long.
                        let sent =
                            send(&self.fd, line.as_bytes(), SendFlags::NOSIGNAL | SendFlags::DONTWAIT)?;
                        if sent != line.len() {
                            return Err(QmpError::Late);
                        }
                    }
                }
            }
            if self.heard.len() > MAX_LINE {
                return Err(QmpError::TooLong);
            }
            match recv(&self.fd, &mut piece[..], RecvFlags::DONTWAIT) {
                Ok((0, _)) => return Err(QmpError::Closed),
                Ok((count, _)) => self.heard.extend_from_slice(piece.get(..count).unwrap_or_default()),
                Err(Errno::AGAIN) => return Ok(false),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(false)
    }
}
