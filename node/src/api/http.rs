//! Requests and answers.

use super::access::{Client, Role, known};
use super::capture::Lasting;
use super::{Daemon, LONGEST_REQUEST, conversation};
use crate::command::{CommandError, ErrorKind, Place};
use crate::metrics::{self, Metrics};
use crate::output::Output;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// A request is answered within this time, if only by saying that it took too long.
const PATIENCE: Duration = Duration::from_secs(30);

type Shared = State<Arc<dyn Daemon>>;

pub(super) fn router(daemon: Arc<dyn Daemon>) -> Router {
    Router::new()
        .route("/v1/exec", post(exec))
        .route("/v1/configure", post(configure))
        .route("/v1/line", post(line))
        .route("/v1/hints", post(hints))
        .route("/v1/commands", get(commands))
        .route("/v1/ports", get(ports))
        .route("/v1/capture", get(capture))
        .route("/v1/health", get(health))
        .route("/metrics", get(page))
        .fallback(|| async { Problem::plain(StatusCode::NOT_FOUND, "there is no such path") })
        .method_not_allowed_fallback(|| async {
            Problem::plain(StatusCode::METHOD_NOT_ALLOWED, "this path has another method")
        })
        .layer(DefaultBodyLimit::max(LONGEST_REQUEST))
        .layer(from_fn(in_time))
        .layer(from_fn(known))
        .with_state(daemon)
}

async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(PATIENCE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::plain(
            StatusCode::GATEWAY_TIMEOUT,
            "this takes too long to wait for; what it changes may still be done",
        )
        .into_response(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    line: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    text: String,
}

async fn exec(
    State(daemon): Shared,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    body: Result<Json<Line>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(Line { line }) = body?;
    let caller = client.clone();
    let run = move || {
        // What is not understood is refused by the daemon, in its own words.
        let changes = daemon
            .language()
            .understand(&Place::default(), &line)
            .is_ok_and(|understood| understood.changes());
        as_allowed(&*daemon, &client, changes.then_some(line.as_str()), || daemon.exec(&line))
    };
    let output = call(&caller, run).await??;
    Ok(face(&headers, &output))
}

async fn configure(
    State(daemon): Shared,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    body: Result<Json<Text>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(Text { text }) = body?;
    let caller = client.clone();
    let run = move || as_allowed(&*daemon, &client, Some(&text), || daemon.configure(&text));
    let output = call(&caller, run).await??;
    Ok(face(&headers, &output))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    place: Place,
    line: String,
}

async fn line(
    State(daemon): Shared,
    Extension(client): Extension<Client>,
    body: Result<Json<Typed>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(Typed { place, line }) = body?;
    let caller = client.clone();
    let step = move || conversation::step(&*daemon, &client, &place, &line);
    Ok(Json(call(&caller, step).await??).into_response())
}

async fn hints(
    State(daemon): Shared,
    Extension(client): Extension<Client>,
    body: Result<Json<Typed>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(Typed { place, line }) = body?;
    Ok(Json(call(&client, move || daemon.language().hints(&place, &line)).await??).into_response())
}

async fn commands(State(daemon): Shared, Extension(client): Extension<Client>) -> Result<Response, Problem> {
    Ok(Json(call(&client, move || daemon.language().commands()).await?).into_response())
}

async fn ports(State(daemon): Shared, Extension(client): Extension<Client>) -> Result<Response, Problem> {
    Ok(Json(call(&client, move || daemon.ports()).await?).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Port {
    port: String,
    count: Option<u64>,
}

async fn capture(
    State(daemon): Shared,
    Extension(client): Extension<Client>,
    connection: Option<Extension<Lasting>>,
    query: Result<Query<Port>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(Port { port, count }) = query?;
    // It changes nothing, but shows what guests say to each other.
    let caller = client.clone();
    let begin = move || {
        as_allowed(&*daemon, &client, Some(&format!("capture {port}")), || daemon.capture(&port, count))
    };
    let capture = call(&caller, begin).await??;
    super::capture::answer(capture, connection.as_deref())
}

async fn health(State(daemon): Shared, Extension(client): Extension<Client>) -> Result<Response, Problem> {
    let (identity, health) = call(&client, move || (daemon.identity(), daemon.health())).await?;
    let (code, status) = match health {
        Ok(()) => (StatusCode::OK, "ok".to_owned()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason),
    };
    let body = json!({
        "status": status, "daemon": identity.daemon, "name": identity.name, "version": identity.version,
    });
    Ok((code, Json(body)).into_response())
}

async fn page(State(daemon): Shared, Extension(client): Extension<Client>) -> Result<Response, Problem> {
    let text = call(&client, move || {
        let mut page = Metrics::default();
        daemon.metrics(&mut page);
        page.finish()
    });
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text.await?).into_response())
}

/// Does it if the client may, and accounts for it where `change` says what it is.
pub(super) fn as_allowed<T>(
    daemon: &dyn Daemon,
    client: &Client,
    change: Option<&str>,
    act: impl FnOnce() -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    let Some(change) = change else { return act() };
    let done =
        if client.role == Some(Role::Admin) { act() } else { Err(CommandError::denied(client.denial())) };
    daemon.accounting().record(client, change, done.as_ref().err());
    done
}

/// Calls of readers that are done at once: fewer than there are threads for calls, so that whatever they ask, there is one
/// for who may do everything.
const MOST_READERS_CALLS: usize = 2;

/// Does the daemon's part on a thread where it may block.
async fn call<T: Send + 'static>(
    client: &Client,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    static READERS: Semaphore = Semaphore::const_new(MOST_READERS_CALLS);
    let turn = match client.role {
        Some(Role::Admin) => None,
        _ => READERS.acquire().await.ok(),
    };
    let work = move || {
        let done = work();
        // Not before, though the client may have given up long ago.
        drop(turn);
        done
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Problem::plain(StatusCode::INTERNAL_SERVER_ERROR, "the daemon gave up on this request"))
}

/// The face of an output that the client asked for.
fn face(headers: &HeaderMap, output: &Output) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if accept.is_some_and(|accept| accept.trim_start().starts_with("text/plain")) {
        ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], output.to_string()).into_response()
    } else {
        Json(json!({ "output": output.to_json() })).into_response()
    }
}

/// An error as the API answers it; [`crate::client`] reads it back.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Problem {
    #[serde(skip)]
    status: StatusCode,
    /// What is wrong, in words.
    pub(crate) error: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<ErrorKind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) column: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
}

impl Problem {
    pub(super) fn plain(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, error: error.into(), kind: None, line: None, column: None, text: None }
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        let status = match error.kind {
            ErrorKind::Invalid | ErrorKind::Ambiguous | ErrorKind::Incomplete => StatusCode::BAD_REQUEST,
            ErrorKind::Refused => StatusCode::CONFLICT,
            ErrorKind::Denied => StatusCode::FORBIDDEN,
            ErrorKind::Unsupported => StatusCode::NOT_IMPLEMENTED,
        };
        Self {
            status,
            error: error.message,
            kind: Some(error.kind),
            line: error.line,
            column: Some(error.column).filter(|column| *column > 0),
            text: Some(error.text).filter(|text| !text.is_empty()),
        }
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        Self::plain(rejection.status(), rejection.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::plain(rejection.status(), rejection.body_text())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, Json(self)).into_response()
    }
}
