//! QEMU's machine monitor (QMP): one JSON object a line, events between the answers.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// A connection to a monitor.
pub struct Monitor {
    reader: BufReader<UnixStream>,
    events: VecDeque<Value>,
}

impl Monitor {
    /// Connects to QEMU's socket as soon as it is there.
    ///
    /// # Errors
    /// When it does not come, or is no monitor.
    pub fn connect(socket: &Path, patience: Duration) -> Result<Self> {
        let deadline = Instant::now() + patience;
        let stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() >= deadline => {
                    return Err(error).with_context(|| format!("no monitor at {}", socket.display()));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        stream.set_read_timeout(Some(patience))?;
        let mut monitor = Self { reader: BufReader::new(stream), events: VecDeque::new() };
        monitor.line().context("no greeting")?;
        monitor.run("qmp_capabilities", &json!({}))?;
        Ok(monitor)
    }

    fn line(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            bail!("QEMU has closed its monitor");
        }
        Ok(serde_json::from_str(&line)?)
    }

    /// Carries out a command and gives what it returned.
    ///
    /// # Errors
    /// When QEMU refuses, or is gone.
    pub fn run(&mut self, command: &str, arguments: &Value) -> Result<Value> {
        let line = json!({ "execute": command, "arguments": arguments });
        writeln!(self.reader.get_mut(), "{line}")?;
        loop {
            let mut answer = self.line()?;
            if answer.get("event").is_some() {
                self.events.push_back(answer);
            } else if let Some(error) = answer.get("error") {
                bail!("{command}: {error}");
            } else {
                return Ok(answer["return"].take());
            }
        }
    }

    /// Waits for an event of this name, which may have come already.
    ///
    /// # Errors
    /// When it does not come while the monitor's patience lasts.
    pub fn event(&mut self, name: &str) -> Result<()> {
        loop {
            let event = match self.events.pop_front() {
                Some(event) => event,
                None => self.line().with_context(|| format!("no {name}"))?,
            };
            if event["event"] == name {
                return Ok(());
            }
        }
    }
}
