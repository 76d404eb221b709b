//! Talking to a daemon's admin API.
//!
//! ```no_run
//! # fn main() -> Result<(), niv_node::client::ClientError> {
//! let client = niv_node::client::Client::new("niv-run/vis0.sock");
//! print!("{}", client.exec_text("show mac address-table")?);
//! let counters = client.exec("show counters")?;
//! # let _ = counters; Ok(()) }
//! ```

mod find;

pub use find::{NotFound, find, not_there};

use crate::api::Step;
use crate::api::http::Problem;
use crate::command::{CommandError, CommandInfo, Hint, Place};
use core::fmt::Display;
use core::ops::ControlFlow;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};

/// An answer may have so many octets (100,000 interfaces as JSON are about 30 MiB).
const LONGEST_ANSWER: usize = 256 << 20;

/// How long a daemon may take, unless a client says otherwise.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error("{}: {reason}", path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Somebody listens there, and does not answer.
    #[error("{}: no answer within {seconds} s", path.display())]
    Silent {
        /// The socket.
        path: PathBuf,
        /// How long was waited.
        seconds: u64,
    },
    /// The daemon did not accept the line or text.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The daemon, or what listens in its place, answered with something else.
    #[error("{}: {message}", path.display())]
    Failed {
        /// The socket.
        path: PathBuf,
        /// What.
        message: String,
    },
}

/// A client of one daemon. Each request is a connection of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    path: PathBuf,
    patience: Duration,
}

impl Client {
    /// A client of the daemon at this socket.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), patience: PATIENCE }
    }

    /// The same, which gives up after so long.
    #[must_use]
    pub fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The socket.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs an exec line, for people.
    ///
    /// # Errors
    /// As [`ClientError`] says.
    pub fn exec_text(&self, line: &str) -> Result<String, ClientError> {
        self.text("/v1/exec", &json!({ "line": line }))
    }

    /// Runs an exec line, for programs.
    ///
    /// # Errors
    /// As [`ClientError`] says.
    pub fn exec(&self, line: &str) -> Result<Value, ClientError> {
        self.output("/v1/exec", &json!({ "line": line }))
    }

    /// Applies a configuration, all or nothing; returns its notes for people.
    ///
    /// # Errors
    /// As [`ClientError`] says.
    pub fn configure_text(&self, text: &str) -> Result<String, ClientError> {
        self.text("/v1/configure", &json!({ "text": text }))
    }

    /// Applies a configuration, all or nothing; returns its notes for programs.
    ///
    /// # Errors
    /// As [`ClientError`] says.
    pub fn configure(&self, text: &str) -> Result<Value, ClientError> {
        self.output("/v1/configure", &json!({ "text": text }))
    }

    /// Runs a line where a conversation stands.
    ///
    /// # Errors
    /// As [`ClientError`] says.
    pub fn line(&self, place: &Place, line: &str) -> Result<Step, ClientError> {
        self.parsed(Method::POST, "/v1/line", Some(&json!({ "place": place, "line": line })))
    }

    /// What may be typed after a line where a conversation stands.
    ///
    /// # Errors
    /// As [`ClientError`] says.
    pub fn hints(&self, place: &Place, line: &str) -> Result<Vec<Hint>, ClientError> {
        self.parsed(Method::POST, "/v1/hints", Some(&json!({ "place": place, "line": line })))
    }

    /// The daemon's command table.
    ///
    /// # Errors
    /// As [`ClientError`] says.
    pub fn commands(&self) -> Result<Vec<CommandInfo>, ClientError> {
        self.parsed(Method::GET, "/v1/commands", None)
    }

    /// What can be captured there.
    ///
    /// # Errors
    /// As [`ClientError`] says.
    pub fn ports(&self) -> Result<Vec<String>, ClientError> {
        self.parsed(Method::GET, "/v1/ports", None)
    }

    /// Who serves there, and how it is.
    ///
    /// # Errors
    /// As [`ClientError`] says; also if the daemon is not well.
    pub fn health(&self) -> Result<Value, ClientError> {
        self.json(Method::GET, "/v1/health", None)
    }

    /// Reads a capture of a port as it grows, until `take` breaks it off, `stop` is done or the capture ends. Pieces
    /// come as they are read, which need not be whole blocks.
    ///
    /// # Errors
    /// As [`ClientError`] says; also where the stream breaks off in the middle.
    pub fn capture<B>(
        &self,
        port: &str,
        count: Option<u64>,
        stop: impl Future<Output = ()>,
        mut take: impl FnMut(&[u8]) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>, ClientError> {
        let count = count.map_or_else(String::new, |count| format!("&count={count}"));
        let path = format!("/v1/capture?port={}{count}", percent(port));
        let request = self.http(Method::GET, &path, "*/*", String::new())?;
        self.runtime()?.block_on(async {
            let mut body = tokio::time::timeout(self.patience, async {
                let response = self.send(request).await?;
                let status = response.status();
                let body = response.into_body();
                if status.is_success() {
                    Ok(body)
                } else {
                    Err(self.problem(status, &self.whole(body).await?))
                }
            })
            .await
            .map_err(|_| self.silent())??;
            let mut stop = core::pin::pin!(stop);
            loop {
                let frame = tokio::select! {
                    frame = body.frame() => frame,
                    () = &mut stop => None,
                };
                let Some(frame) = frame else { return Ok(ControlFlow::Continue(())) };
                let frame = frame.map_err(|_| self.failed(&"the capture broke off"))?;
                if let Some(piece) = frame.data_ref()
                    && let ControlFlow::Break(why) = take(piece)
                {
                    return Ok(ControlFlow::Break(why));
                }
            }
        })
    }

    /// The page of metrics.
    ///
    /// # Errors
    /// As [`ClientError`] says.
    pub fn metrics(&self) -> Result<String, ClientError> {
        self.request(Method::GET, "/metrics", "*/*", None)
    }

    fn text(&self, path: &str, body: &Value) -> Result<String, ClientError> {
        self.request(Method::POST, path, "text/plain", Some(body))
    }

    fn output(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        let mut answer = self.json(Method::POST, path, Some(body))?;
        answer.get_mut("output").map(Value::take).ok_or_else(|| self.failed(&"an answer without output"))
    }

    fn json(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, ClientError> {
        self.parsed(method, path, body)
    }

    fn parsed<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, ClientError> {
        let text = self.request(method, path, "application/json", body)?;
        serde_json::from_str(&text).map_err(|error| self.failed(&error))
    }

    fn failed(&self, message: &dyn Display) -> ClientError {
        ClientError::Failed { path: self.path.clone(), message: message.to_string() }
    }

    fn silent(&self) -> ClientError {
        ClientError::Silent { path: self.path.clone(), seconds: self.patience.as_secs() }
    }

    fn unreachable(&self, error: &io::Error) -> ClientError {
        let reason = match error.kind() {
            io::ErrorKind::ConnectionRefused => "connection refused, no daemon listens there".to_owned(),
            io::ErrorKind::NotFound => "no such socket".to_owned(),
            io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            _ => error.to_string(),
        };
        ClientError::Unreachable { path: self.path.clone(), reason }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        accept: &'static str,
        body: Option<&Value>,
    ) -> Result<String, ClientError> {
        let request = self.http(method, path, accept, body.map(ToString::to_string).unwrap_or_default())?;
        let (status, text) = self.runtime()?.block_on(async {
            tokio::time::timeout(self.patience, async {
                let response = self.send(request).await?;
                let status = response.status();
                Ok::<_, ClientError>((status, self.whole(response.into_body()).await?))
            })
            .await
            .map_err(|_| self.silent())?
        })?;
        if status.is_success() { Ok(text) } else { Err(self.problem(status, &text)) }
    }

    fn runtime(&self) -> Result<Runtime, ClientError> {
        Builder::new_current_thread().enable_all().build().map_err(|error| self.failed(&error))
    }

    fn http(
        &self,
        method: Method,
        path: &str,
        accept: &'static str,
        body: String,
    ) -> Result<Request<Full<Bytes>>, ClientError> {
        Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "niv")
            .header(header::ACCEPT, accept)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| self.failed(&error))
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, ClientError> {
        let stream = UnixStream::connect(&self.path).await.map_err(|error| self.unreachable(&error))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.failed(&error))?;
        // It ends with its last user, at the latest with the runtime.
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(|error| self.failed(&error))
    }

    async fn whole(&self, body: Incoming) -> Result<String, ClientError> {
        let body = Limited::new(body, LONGEST_ANSWER).collect().await.map_err(|error| self.failed(&error))?;
        String::from_utf8(body.to_bytes().to_vec()).map_err(|error| self.failed(&error))
    }

    fn problem(&self, status: StatusCode, text: &str) -> ClientError {
        match serde_json::from_str::<Problem>(text) {
            Ok(Problem { error, kind: Some(kind), line, column, text, .. }) => CommandError {
                kind,
                line,
                column: column.unwrap_or(0),
                text: text.unwrap_or_default(),
                message: error,
            }
            .into(),
            Ok(problem) => self.failed(&problem.error),
            Err(_) => self.failed(&format!("{status}: {}", text.chars().take(200).collect::<String>())),
        }
    }
}

/// A value of a query.
fn percent(text: &str) -> String {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~/".contains(&octet);
    text.bytes()
        .map(|octet| if plain(octet) { char::from(octet).to_string() } else { format!("%{octet:02X}") })
        .collect()
}
