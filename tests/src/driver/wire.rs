//! The front end's side of a vhost-user socket, with nothing between a test and the bytes.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recv, recvmsg, sendmsg,
    sockopt::{Timeout, set_socket_timeout},
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

pub use vhost::vhost_user::message::FrontendReq as Request;

/// How long a reply may take before a test fails.
const REPLY: Duration = Duration::from_secs(20);

/// A connection to a vhost-user back end.
pub struct Wire {
    stream: UnixStream,
    /// Ask for an acknowledgement of everything that has no reply of its own.
    pub acknowledge: bool,
}

impl Wire {
    /// Connects to the socket at `path`.
    pub fn connect(path: &Path) -> io::Result<Self> {
        Self::new(UnixStream::connect(path)?)
    }

    /// Whether the back end has closed it.
    pub fn is_closed(&self) -> bool {
        let mut fds = [PollFd::new(&self.stream, PollFlags::RDHUP)];
        let now = rustix::event::Timespec::default();
        poll(&mut fds, Some(&now)).is_ok() && !fds[0].revents().is_empty()
    }

    /// On a connected socket.
    pub fn new(stream: UnixStream) -> io::Result<Self> {
        set_socket_timeout(&stream, Timeout::Recv, Some(REPLY))?;
        Ok(Self { stream, acknowledge: false })
    }

    /// Sends a request.
    pub fn send(&self, code: u32, flags: u32, payload: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(12 + payload.len());
        for word in [code, flags, payload.len() as u32] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(payload);
        self.raw(&bytes, fds)
    }

    /// Sends any octets with any descriptors.
    pub fn raw(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            assert!(
                control.push(SendAncillaryMessage::ScmRights(fds)),
                "too many descriptors for one message"
            );
        }
        let sent = sendmsg(&self.stream, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?;
        if sent == bytes.len() { Ok(()) } else { Err(io::Error::other("short send")) }
    }

    /// The payload of the next reply, and the code it answers.
    pub fn reply(&self) -> io::Result<(u32, Vec<u8>)> {
        let mut header = [0; 12];
        self.read(&mut header)?;
        let word =
            |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        assert_eq!(word(4) & 0x7, 0x5, "a reply has version 1 and the reply flag");
        let mut payload = vec![0; word(8) as usize];
        self.read(&mut payload)?;
        Ok((word(0), payload))
    }

    /// The payload of the next reply, which comes with a descriptor.
    pub fn reply_with_fd(&self, request: Request) -> io::Result<(Vec<u8>, OwnedFd)> {
        let mut header = [0; 12];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::WAITALL | RecvFlags::CMSG_CLOEXEC;
        let got = recvmsg(&self.stream, &mut [IoSliceMut::new(&mut header)], &mut control, flags)?;
        let mut fds = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        let fd = fds.next().filter(|_| got.bytes == 12).ok_or(io::ErrorKind::InvalidData)?;
        let [code, _, len] = [0, 4, 8].map(|at| u32::from_ne_bytes(std::array::from_fn(|i| header[at + i])));
        assert_eq!(code, request as u32, "a reply to something else");
        let mut payload = vec![0; len as usize];
        self.read(&mut payload)?;
        Ok((payload, fd))
    }

    fn read(&self, buffer: &mut [u8]) -> io::Result<()> {
        let mut done = 0;
        while done < buffer.len() {
            match recv(&self.stream, &mut buffer[done..], RecvFlags::empty())? {
                (0, _) => return Err(io::ErrorKind::UnexpectedEof.into()),
                (n, _) => done += n,
            }
        }
        Ok(())
    }

    /// A request with an acknowledgement, if these are on: fails when the back end refuses.
    pub fn set(&self, request: Request, payload: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.send(request as u32, if self.acknowledge { 0x9 } else { 0x1 }, payload, fds)?;
        if !self.acknowledge {
            return Ok(());
        }
        match self.number(request)? {
            0 => Ok(()),
            code => Err(io::Error::other(format!("{request:?} was refused ({code})"))),
        }
    }

    /// A request with a number.
    pub fn set_number(&self, request: Request, value: u64) -> io::Result<()> {
        self.set(request, &value.to_ne_bytes(), &[])
    }

    /// A request with {ring, number}.
    pub fn set_ring(&self, request: Request, ring: u32, value: u32) -> io::Result<()> {
        self.set(request, &pair(ring, value), &[])
    }

    /// A request with {ring} and a descriptor.
    pub fn set_fd(&self, request: Request, ring: u32, fd: impl AsFd) -> io::Result<()> {
        self.set(request, &u64::from(ring).to_ne_bytes(), &[fd.as_fd()])
    }

    /// A question with a number for an answer.
    pub fn get(&self, request: Request) -> io::Result<u64> {
        self.send(request as u32, 1, &[], &[])?;
        self.number(request)
    }

    /// A ring's base; stops the ring.
    pub fn get_base(&self, ring: u32) -> io::Result<u32> {
        self.send(Request::GET_VRING_BASE as u32, 1, &pair(ring, 0), &[])?;
        let (_, payload) = self.reply()?;
        let number: [u8; 4] =
            payload.get(4..8).and_then(|p| p.try_into().ok()).ok_or(io::ErrorKind::InvalidData)?;
        Ok(u32::from_ne_bytes(number))
    }

    fn number(&self, request: Request) -> io::Result<u64> {
        let (code, payload) = self.reply()?;
        assert_eq!(code, request as u32, "a reply to something else");
        let number: [u8; 8] = payload.try_into().map_err(|_| io::ErrorKind::InvalidData)?;
        Ok(u64::from_ne_bytes(number))
    }
}

fn pair(a: u32, b: u32) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&a.to_ne_bytes());
    bytes[4..].copy_from_slice(&b.to_ne_bytes());
    bytes
}
