//! The thread that serves.

use super::access::{Access, Client, Role};
use super::capture::Lasting;
use super::socket::{SocketFile, listen};
use super::{Daemon, http};
use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, oneshot};

/// Connections served at once; others wait in the kernel's queue.
const MOST_CONNECTIONS: usize = 32;

/// Of them, those of readers and of strangers, so that there is always room for who may do everything.
const MOST_READERS: usize = 24;
const MOST_STRANGERS: usize = 2;

/// A connection carries one request and lives so long at the most, unless it carries a capture.
const LONGEST_CONNECTION: Duration = Duration::from_secs(60);

/// A client that connects says what it wants within this time.
const LONGEST_HEADER: Duration = Duration::from_secs(5);

/// Threads for what a daemon does on request.
const MOST_CALLS: usize = 4;

/// A running API. Its socket's file is removed when this is dropped.
#[derive(Debug)]
pub struct Server {
    thread: Option<JoinHandle<()>>,
    /// Dropped to end the thread.
    running: Option<oneshot::Sender<()>>,
    _file: SocketFile,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.running.take());
        if let Some(thread) = self.thread.take() {
            // It ended by itself, or by a panic that was reported when it happened.
            let _ = thread.join();
        }
    }
}

/// Serves the daemon's API at `socket` on a thread of its own, until the server is dropped.
///
/// # Errors
/// The socket cannot be made, or is in use; the message names it.
pub fn serve(socket: &Path, access: Access, daemon: Arc<dyn Daemon>) -> io::Result<Server> {
    let (listener, file) = listen(socket, access.mode())?;
    listener.set_nonblocking(true)?;
    let (running, dropped) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(MOST_CALLS)
        .thread_name("api-call")
        .build()?;
    let thread = std::thread::Builder::new().name("api".to_owned()).spawn(move || {
        let served = runtime.block_on(accept(listener, dropped, access, daemon));
        // A call that hangs must not hold up the end.
        runtime.shutdown_timeout(Duration::from_secs(1));
        if let Err(error) = served {
            tracing::error!(%error, "the admin API ended");
        }
    })?;
    Ok(Server { thread: Some(thread), running: Some(running), _file: file })
}

async fn accept(
    listener: std::os::unix::net::UnixListener,
    mut dropped: oneshot::Receiver<()>,
    access: Access,
    daemon: Arc<dyn Daemon>,
) -> io::Result<()> {
    let listener = tokio::net::UnixListener::from_std(listener)?;
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let guests = Arc::new(Guests {
        access,
        readers: Semaphore::new(MOST_READERS),
        strangers: Semaphore::new(MOST_STRANGERS),
    });
    let service = TowerToHyperService::new(http::router(daemon));
    loop {
        let next = async {
            let permit = Arc::clone(&room).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            next = next => next,
            _ = &mut dropped => return Ok(()),
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, most likely: others may close theirs.
                tracing::warn!(%error, "the admin API cannot accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let service = service.clone();
        let guests = Arc::clone(&guests);
        tokio::spawn(async move {
            let _permit = permit;
            guests.serve(stream, service).await;
        });
    }
}

/// Who may connect, and how many of those who may not do everything at once.
struct Guests {
    access: Access,
    readers: Semaphore,
    strangers: Semaphore,
}

impl Guests {
    async fn serve(self: Arc<Self>, stream: UnixStream, service: TowerToHyperService<Router>) {
        let Ok(peer) = stream.peer_cred() else { return };
        let (uid, gid) = (peer.uid(), peer.gid());
        let judge = Arc::clone(&self);
        let Ok(role) = tokio::task::spawn_blocking(move || judge.access.role(uid, gid)).await else { return };
        let room = match role {
            Some(Role::Admin) => None,
            Some(Role::Reader) => Some(&self.readers),
            None => Some(&self.strangers),
        };
        // Who comes when there is no room may come again; waiting here would take the place of others.
        let Ok(_room) = room.map(Semaphore::try_acquire).transpose() else { return };
        let client = Client { uid, pid: peer.pid(), role, rule: self.access.rule() };
        serve_one(stream, client, service).await;
    }
}

/// One connection, which is one request.
async fn serve_one(stream: UnixStream, client: Client, service: TowerToHyperService<Router>) {
    let lasting = Lasting::default();
    let mark = lasting.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(mark.clone());
        request.extensions_mut().insert(client.clone());
        service.call(request)
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(LONGEST_HEADER)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = core::pin::pin!(connection);
    let ended = loop {
        match tokio::time::timeout(LONGEST_CONNECTION, &mut connection).await {
            Err(_) if lasting.is_set() => {}
            ended => break ended,
        }
    };
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "an admin connection broke off"),
        Err(_) => tracing::debug!("an admin connection took too long"),
    }
}
