//! vhost-user messages on a socket that never blocks: header, payload, file descriptors.
//!
//! Codes, flags and payload layouts are those of the crate `vhost`; see
//! `docs/decisions/0001-vhost-user-front-end.md` for why its request handler is not used.

use core::mem::MaybeUninit;
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use vhost::vhost_user::message::{FrontendReq, VhostUserHeaderFlag};
use vm_memory::ByteValued;

/// Octets of code, flags and size.
const HEADER: usize = 12;

/// Octets of a payload at the most; the longest in use is a table of 32 memory regions.
const MAX_PAYLOAD: usize = 4096;

/// Descriptors of one message at the most.
const MAX_FDS: usize = 64;

/// Protocol version, in the lowest two bits of the flags.
const VERSION: u32 = 1;

/// One request of the front end.
#[derive(Debug, Default)]
pub(super) struct Message {
    /// What it asks; not necessarily a known code.
    pub(super) code: u32,
    /// It wants an acknowledgement, if these were negotiated.
    pub(super) need_reply: bool,
    /// Payload.
    pub(super) payload: Vec<u8>,
    /// Descriptors.
    pub(super) fds: Vec<OwnedFd>,
}

impl Message {
    /// The request, if it is known.
    pub(super) fn request(&self) -> Option<FrontendReq> {
        FrontendReq::try_from(self.code).ok()
    }

    /// The payload as a `T`, if it has exactly its size.
    pub(super) fn body<T: ByteValued>(&self) -> Option<T> {
        if self.payload.len() != size_of::<T>() {
            return None;
        }
        let mut value = T::zeroed();
        value.as_mut_slice().copy_from_slice(&self.payload);
        Some(value)
    }

    /// The only descriptor.
    pub(super) fn take_fd(&mut self) -> Option<OwnedFd> {
        if self.fds.len() == 1 { self.fds.pop() } else { None }
    }
}

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    /// The front end went away.
    #[error("the guest disconnected")]
    Closed,
    /// What cannot be skipped, for its end is not known.
    #[error("malformed vhost-user message: {0}")]
    Malformed(&'static str),
    /// The front end does not read its replies.
    #[error("the front end does not read its replies")]
    Unread,
    /// Anything else.
    #[error("vhost-user socket: {0}")]
    Io(#[from] Errno),
}

/// The message that is being read from one connection.
#[derive(Debug, Default)]
pub(super) struct Reader {
    bytes: Vec<u8>,
    fds: Vec<OwnedFd>,
}

impl Reader {
    /// Reads on; a message when one is complete, `None` when the socket has no more for now. Never reads
    /// beyond the message, so that descriptors stay with the message they came with.
    pub(super) fn read(&mut self, socket: BorrowedFd<'_>) -> Result<Option<Message>, WireError> {
        loop {
            let wanted = match self.size()? {
                None => HEADER,
                Some(size) if self.bytes.len() == HEADER + size => return Ok(Some(self.take())),
                Some(size) => HEADER + size,
            };
            let have = self.bytes.len();
            self.bytes.resize(wanted, 0);
            let got = self.receive(socket, have);
            self.bytes.truncate(have + got.as_ref().map_or(0, |n| *n));
            match got {
                Ok(0) => return Err(WireError::Closed),
                Ok(_) => {}
                Err(WireError::Io(Errno::AGAIN)) => return Ok(None),
                Err(WireError::Io(Errno::INTR)) => {}
                Err(WireError::Io(Errno::CONNRESET)) => return Err(WireError::Closed),
                Err(error) => return Err(error),
            }
        }
    }

    /// Octets of the payload, once the header is there.
    fn size(&self) -> Result<Option<usize>, WireError> {
        let Some([_, flags, size]) = words(&self.bytes) else { return Ok(None) };
        if flags & VhostUserHeaderFlag::VERSION.bits() != VERSION {
            return Err(WireError::Malformed("protocol version is not 1"));
        }
        let size = size as usize;
        if size > MAX_PAYLOAD { Err(WireError::Malformed("payload too long")) } else { Ok(Some(size)) }
    }

    fn receive(&mut self, socket: BorrowedFd<'_>, from: usize) -> Result<usize, WireError> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let rest = self.bytes.get_mut(from..).unwrap_or_default();
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        let got = recvmsg(socket, &mut [IoSliceMut::new(rest)], &mut control, flags)?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                self.fds.extend(fds);
            }
        }
        if got.flags.contains(ReturnFlags::CTRUNC) || self.fds.len() > MAX_FDS {
            return Err(WireError::Malformed("too many file descriptors"));
        }
        Ok(got.bytes)
    }

    fn take(&mut self) -> Message {
        let [code, flags, _] = words(&self.bytes).unwrap_or_default();
        let message = Message {
            code,
            need_reply: flags & VhostUserHeaderFlag::NEED_REPLY.bits() != 0,
            payload: self.bytes.split_off(HEADER),
            fds: core::mem::take(&mut self.fds),
        };
        self.bytes.clear();
        message
    }
}

/// Code, flags, size of a header.
fn words(bytes: &[u8]) -> Option<[u32; 3]> {
    let header = bytes.first_chunk::<HEADER>()?;
    let word = |at: usize| {
        let word = header.get(at..at + 4).and_then(|word| word.try_into().ok());
        u32::from_ne_bytes(word.unwrap_or_default())
    };
    Some([word(0), word(4), word(8)])
}

/// What goes back to a front end.
#[derive(Debug, Default)]
pub(super) struct Reply {
    /// Payload.
    pub(super) payload: Vec<u8>,
    /// A descriptor to go with it.
    pub(super) fd: Option<OwnedFd>,
}

impl From<u64> for Reply {
    fn from(number: u64) -> Self {
        Self { payload: number.to_ne_bytes().to_vec(), fd: None }
    }
}

/// Sends a reply at once, or not at all: one that does not fit ends the connection.
pub(super) fn reply(socket: BorrowedFd<'_>, code: u32, reply: &Reply) -> Result<(), WireError> {
    let flags = VERSION | VhostUserHeaderFlag::REPLY.bits();
    let mut bytes = Vec::with_capacity(HEADER + reply.payload.len());
    for word in [code, flags, reply.payload.len() as u32] {
        bytes.extend(word.to_ne_bytes());
    }
    bytes.extend(&reply.payload);
    let fds: Vec<BorrowedFd<'_>> = reply.fd.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(WireError::Unread);
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    match sendmsg(socket, &[IoSlice::new(&bytes)], &mut control, flags) {
        Ok(n) if n == bytes.len() => Ok(()),
        Ok(_) | Err(Errno::AGAIN) => Err(WireError::Unread),
        Err(Errno::PIPE | Errno::CONNRESET) => Err(WireError::Closed),
        Err(error) => Err(error.into()),
    }
}
