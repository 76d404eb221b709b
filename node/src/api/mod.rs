//! The admin API: HTTP/JSON on a Unix socket, the same for every daemon.
//!
//! | request | answer |
//! |---|---|
//! | `POST /v1/exec` `{"line": "show counters"}` | `{"output": ...}` |
//! | `POST /v1/configure` `{"text": "interface vethernet 1\n ..."}` | `{"output": ...}`: the notes; all lines or none |
//! | `POST /v1/line` `{"place": [], "line": "configure terminal"}` | `{"text", "place": ["configure terminal"], "prompt"?: "config"}`: a [conversation](crate::command::Place); what it does takes effect at once |
//! | `POST /v1/hints` `{"place": [], "line": "show v"}` | `[{"word", "help"}]`: what may be typed there |
//! | `GET /v1/commands` | the command table: `[{"mode", "syntax", "no"?, "default"?, "enters"?, "help"}]` |
//! | `GET /v1/ports` | what can be captured: `["ethernet1/1", ...]` |
//! | `GET /v1/capture?port=ethernet1/1[&count=N]` | pcapng as it grows, until the client ends it or N frames are there |
//! | `GET /v1/health` | `{"status": "ok", "daemon", "name", "version"}`, or 503 with the reason in `status` |
//! | `GET /metrics` | OpenMetrics text |
//!
//! With `Accept: text/plain`, `exec` and `configure` answer with the text face instead. Errors are
//! `{"error": ..., "kind": ..., "line"?, "column"?, "text"?}`: 400 for a line that was not understood, 409 for one
//! that was refused, 501 for what this daemon does not have, 413 and 504 for requests out of bounds.
//!
//! A client is not trusted to be quick or modest: requests are bounded in size and time, connections in number, and
//! nothing here runs on a thread that moves frames. (A capture has no bound in time; how many run is the daemon's to
//! bound.) Who may connect is decided by the socket's mode, 0660; or, where [`Access`] names groups, by the user who
//! connects: readers get what only shows, everybody else a 403. Whatever changes something is
//! [accounted for](crate::accounting).

mod access;
mod capture;
mod conversation;
pub(crate) mod http;
mod server;
mod socket;

pub use access::{Access, Client, NamedGroup, Role};
pub use conversation::Step;
pub use server::{Server, serve};
pub(crate) use socket::make_folder;

use crate::accounting::Accounting;
use crate::command::{CommandError, Language};
use crate::metrics::Metrics;
use crate::output::Output;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Octets a request may have.
pub const LONGEST_REQUEST: usize = 1 << 20;

/// What the API needs from a daemon. Its functions are called from several threads at once and may block for a
/// moment; they never run on a worker.
pub trait Daemon: Send + Sync + 'static {
    /// Who this is.
    fn identity(&self) -> Identity;

    /// Runs one exec line.
    ///
    /// # Errors
    /// The line was not understood, or refused.
    fn exec(&self, line: &str) -> Result<Output, CommandError>;

    /// Runs a text as configuration: all of it, or nothing. The default is a daemon without such commands.
    ///
    /// # Errors
    /// A line was not understood or refused.
    fn configure(&self, text: &str) -> Result<Output, CommandError> {
        let _ = text;
        Err(CommandError::unsupported(format!("{} has no configuration commands", self.identity().daemon)))
    }

    /// The command table.
    fn language(&self) -> &dyn Language;

    /// The names under which ports can be captured. The default is a daemon without ports.
    fn ports(&self) -> Vec<String> {
        Vec::new()
    }

    /// Who changed what.
    fn accounting(&self) -> &Accounting;

    /// Captures what passes a port, from now on; of `count` frames if that is given. The default is a daemon without
    /// ports.
    ///
    /// # Errors
    /// There is no such port, or too many captures run.
    fn capture(&self, port: &str, count: Option<u64>) -> Result<Box<dyn Capture>, CommandError> {
        let _ = (port, count);
        Err(CommandError::unsupported(format!("{} has no ports", self.identity().daemon)))
    }

    /// Adds this daemon's metrics.
    fn metrics(&self, metrics: &mut Metrics);

    /// Whether it does its work; the reason if not.
    ///
    /// # Errors
    /// Why not.
    fn health(&self) -> Result<(), String> {
        Ok(())
    }
}

/// A running capture; dropping it ends it.
pub trait Capture: Send {
    /// The next whole pcapng blocks. Empty where nothing came for so long, `None` where nothing will come any more.
    fn read(&mut self, patience: Duration) -> Option<Vec<u8>>;
}

/// Who serves an API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The program: `vis-switch`, `niv-adapter`.
    pub daemon: String,
    /// The node's name.
    pub name: String,
    /// The program's version.
    pub version: String,
}
