//! A capture as a streaming answer: a thread that reads the capture, a body that the server sends as it grows.
//!
//! The stream ends with the capture; the capture ends with the stream, when its reader goes away or the daemon stops.

use super::Capture;
use crate::api::http::Problem;
use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use core::convert::Infallible;
use core::pin::Pin;
use core::task::{Context, Poll};
use hyper::body::{Bytes, Frame};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// What the body of a capture is.
const CONTENT_TYPE: &str = "application/x-pcapng";

/// How often the thread looks whether its reader is still there.
const LOOK: Duration = Duration::from_millis(250);

/// Pieces that wait for the reader; what comes meanwhile waits, and is counted as lost, where frames are recorded.
const PIECES: usize = 4;

/// The connection of a request, which may outlast the time that others have.
#[derive(Clone, Debug, Default)]
pub(super) struct Lasting(Arc<AtomicBool>);

impl Lasting {
    fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Answers with what the capture brings.
pub(super) fn answer(
    mut capture: Box<dyn Capture>,
    connection: Option<&Lasting>,
) -> Result<Response, Problem> {
    let (sender, pieces) = mpsc::channel::<Vec<u8>>(PIECES);
    let read = move || {
        while let Some(piece) = capture.read(LOOK) {
            let gone =
                if piece.is_empty() { sender.is_closed() } else { sender.blocking_send(piece).is_err() };
            if gone {
                break;
            }
        }
    };
    std::thread::Builder::new().name("capture".to_owned()).spawn(read).map_err(|error| {
        Problem::plain(StatusCode::SERVICE_UNAVAILABLE, format!("no thread for a capture: {error}"))
    })?;
    if let Some(connection) = connection {
        connection.set();
    }
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], Body::new(Stream(pieces))).into_response())
}

struct Stream(mpsc::Receiver<Vec<u8>>);

impl hyper::body::Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece.into()))))
    }
}
