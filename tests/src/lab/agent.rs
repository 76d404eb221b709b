//! Commands in a guest, over its second serial port: the near end. [`super::inside`] is the far end.
//!
//! Both ways one JSON object a line. A serial port can lose the line it is in the middle of when somebody comes
//! or goes, so each line stands alone, starts after a line feed, and what does not parse is skipped.
//! Any number of commands run at once, told apart by a random id.
//!
//! ```text
//! -> {"id":7,"run":"ping -c 1 10.10.0.2","timeout_ms":5000}
//! <- {"id":7,"out":"PING 10.10.0.2 ..."}      as it is printed, standard error with it
//! <- {"id":7,"end":0}                          exit code; 124: timed out, 128 + n: killed by signal n
//! ```

use anyhow::{Context, Result, bail};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// A command for the guest. An empty one is answered at once.
#[derive(Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) id: u64,
    pub(crate) run: String,
    pub(crate) timeout_ms: u64,
}

/// What the guest says to it: some output, or the end.
#[derive(Serialize, Deserialize)]
pub(crate) struct Reply {
    pub(crate) id: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) out: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) end: Option<i32>,
}

/// Exit code of a command that was killed because its time was over, as `timeout(1)` has it.
pub(crate) const TIMED_OUT: i32 = 124;

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Output {
    /// Its exit code; 128 + n where signal n killed it.
    pub code: i32,
    /// Standard output and standard error.
    pub text: String,
}

type Pending = Mutex<HashMap<u64, Sender<Reply>>>;

/// The connection to one guest's agent.
pub struct Agent {
    name: String,
    out: Mutex<UnixStream>,
    pending: Arc<Pending>,
    next: AtomicU64,
}

impl Agent {
    /// Connects to QEMU's socket and waits until the guest answers: then it is up.
    pub(crate) fn connect(name: &str, socket: &Path, patience: Duration) -> Result<Self> {
        let deadline = Instant::now() + patience;
        let stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() >= deadline => {
                    return Err(error)
                        .with_context(|| format!("no console of {name} at {}", socket.display()));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        let pending = Arc::<Pending>::default();
        let reader = stream.try_clone()?;
        let for_reader = Arc::clone(&pending);
        std::thread::spawn(move || read(reader, &for_reader));
        // Ids start anywhere, so that the rest of an earlier client's answer is nobody's.
        let next = AtomicU64::new(
            u64::from(std::process::id()) << 32 | u64::from(Instant::now().elapsed().subsec_nanos()),
        );
        let agent = Self { name: name.to_owned(), out: Mutex::new(stream), pending, next };
        loop {
            // A guest that is still booting hears nothing; ask again until it does.
            let answered = agent.begin("", Duration::ZERO)?.wait(Duration::from_millis(250)).is_ok();
            if answered {
                return Ok(agent);
            }
            if Instant::now() >= deadline {
                bail!("{name} was not up within {} s", patience.as_secs());
            }
        }
    }

    /// Starts `command` by the guest's shell; it is killed there after `limit`.
    pub fn begin(&self, command: &str, limit: Duration) -> Result<Running<'_>> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, replies) = channel();
        self.pending.lock().insert(id, sender);
        let timeout_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let request = Request { id, run: command.to_owned(), timeout_ms };
        let line = format!("\n{}\n", serde_json::to_string(&request)?);
        self.out.lock().write_all(line.as_bytes()).with_context(|| format!("{} is gone", self.name))?;
        Ok(Running { agent: self, id, replies, command: command.to_owned() })
    }

    /// Runs `command` to its end.
    pub fn run(&self, command: &str, limit: Duration) -> Result<Output> {
        // The guest enforces the limit; the margin is for the answer's way.
        self.begin(command, limit)?.wait(limit + Duration::from_secs(10))
    }

    /// Runs `command`, which must succeed, and gives what it printed.
    pub fn must(&self, command: &str, limit: Duration) -> Result<String> {
        let output = self.run(command, limit)?;
        if output.code != 0 {
            bail!("{}: `{command}` ended with {}: {}", self.name, output.code, output.text.trim());
        }
        Ok(output.text)
    }
}

impl Drop for Agent {
    /// The reading thread holds the socket too; without this QEMU would serve nobody else.
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.out.lock().shutdown(Shutdown::Both);
    }
}

fn read(stream: UnixStream, pending: &Pending) {
    for line in BufReader::new(stream).split(b'\n') {
        let Ok(line) = line else { break };
        let Ok(reply) = serde_json::from_slice::<Reply>(&line) else { continue };
        let mut pending = pending.lock();
        let over = reply.end.is_some();
        let id = reply.id;
        if let Some(sender) = pending.get(&id) {
            // Nobody waits any more: nothing to do.
            let _ = sender.send(reply);
        }
        if over {
            pending.remove(&id);
        }
    }
    // The guest is gone: every wait ends now, by its channel's end.
    pending.lock().clear();
}

/// A command that runs in a guest.
pub struct Running<'a> {
    agent: &'a Agent,
    id: u64,
    replies: Receiver<Reply>,
    command: String,
}

impl Running<'_> {
    /// The next piece of output, or `None` at the end with the exit code.
    pub fn next(&self, patience: Duration) -> Result<std::result::Result<String, i32>> {
        let Self { agent, command, .. } = self;
        match self.replies.recv_timeout(patience) {
            Ok(Reply { end: Some(code), .. }) => Ok(Err(code)),
            Ok(Reply { out, .. }) => Ok(Ok(out.unwrap_or_default())),
            Err(RecvTimeoutError::Timeout) => bail!("{}: no answer to `{command}`", agent.name),
            Err(RecvTimeoutError::Disconnected) => bail!("{}: gone during `{command}`", agent.name),
        }
    }

    /// Everything up to the end, within `patience` in all.
    pub fn wait(self, patience: Duration) -> Result<Output> {
        self.wait_with(patience, |_| {})
    }

    /// The same, showing each piece as it comes.
    pub fn wait_with(self, patience: Duration, mut show: impl FnMut(&str)) -> Result<Output> {
        let deadline = Instant::now() + patience;
        let mut text = String::new();
        loop {
            match self.next(deadline.saturating_duration_since(Instant::now()))? {
                Ok(piece) => {
                    show(&piece);
                    text.push_str(&piece);
                }
                Err(code) => return Ok(Output { code, text }),
            }
        }
    }

    /// Waits until a line of the output satisfies `want`, and gives that line.
    pub fn until(&self, patience: Duration, want: impl Fn(&str) -> bool) -> Result<String> {
        let deadline = Instant::now() + patience;
        let mut text = String::new();
        loop {
            match self.next(deadline.saturating_duration_since(Instant::now()))? {
                Ok(piece) => text.push_str(&piece),
                Err(code) => {
                    bail!("{}: `{}` ended with {code}: {}", self.agent.name, self.command, text.trim())
                }
            }
            while let Some(end) = text.find('\n') {
                let line: String = text.drain(..=end).collect();
                if want(line.trim_end()) {
                    return Ok(line.trim_end().to_owned());
                }
            }
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.agent.pending.lock().remove(&self.id);
    }
}

/// Where QEMU offers a guest's agent.
pub(crate) fn socket(name: &str) -> PathBuf {
    Path::new(super::paths::RUN).join(format!("{name}.agent"))
}
