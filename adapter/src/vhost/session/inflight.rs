//! The in-flight region: made here, kept by the front end, handed back to whoever serves it next.

use super::super::memory::{Inflight, InflightRegion};
use super::super::message::{Message, Reply};
use super::super::ring::MAX_RING_SIZE;
use super::{Refusal, Session};
use std::os::fd::AsFd;
use std::sync::Arc;
use vhost::vhost_user::message::FrontendReq;

/// Payload of both requests. Front ends send it with the padding of their compilers, or without.
struct Described {
    octets: u64,
    offset: u64,
    rings: u16,
    size: u16,
    /// Of the payload.
    len: usize,
}

impl Described {
    const LEN: usize = 20;

    fn read(request: FrontendReq, message: &Message) -> Result<Self, Refusal> {
        let payload = &message.payload;
        let wrong = || Refusal::Size(request);
        if !matches!(payload.len(), Self::LEN | 24) {
            return Err(wrong());
        }
        let word = |at: usize| {
            payload.get(at..at + 8).and_then(|octets| octets.try_into().ok()).map(u64::from_ne_bytes)
        };
        let half = |at: usize| {
            payload.get(at..at + 2).and_then(|octets| octets.try_into().ok()).map(u16::from_ne_bytes)
        };
        Ok(Self {
            octets: word(0).ok_or_else(wrong)?,
            offset: word(8).ok_or_else(wrong)?,
            rings: half(16).ok_or_else(wrong)?,
            size: half(18).ok_or_else(wrong)?,
            len: payload.len(),
        })
    }

    fn reply(&self) -> Vec<u8> {
        let mut payload = Vec::with_capacity(self.len);
        payload.extend(self.octets.to_ne_bytes());
        payload.extend(self.offset.to_ne_bytes());
        payload.extend(self.rings.to_ne_bytes());
        payload.extend(self.size.to_ne_bytes());
        payload.resize(self.len, 0);
        payload
    }
}

impl Session {
    /// A region for the front end to keep.
    pub(super) fn get_inflight(&self, message: &Message) -> Result<Reply, Refusal> {
        let asked = Described::read(FrontendReq::GET_INFLIGHT_FD, message)?;
        let (rings, size) = (asked.rings, asked.size);
        if usize::from(rings) > self.vrings.len() {
            return Err(Refusal::NoRing(rings.into()));
        }
        if size > MAX_RING_SIZE {
            return Err(Refusal::RingSize(0, size.into()));
        }
        let (file, octets) = InflightRegion::create(rings, size).map_err(Refusal::Inflight)?;
        let made = Described { octets, offset: 0, ..asked };
        Ok(Reply { payload: made.reply(), fd: Some(file) })
    }

    /// The region that the front end has kept.
    pub(super) fn set_inflight(&mut self, message: &mut Message) -> Result<(), Refusal> {
        let request = FrontendReq::SET_INFLIGHT_FD;
        let Described { octets, offset, rings, size, .. } = Described::read(request, message)?;
        let file = message.take_fd().ok_or(Refusal::Descriptors(request))?;
        let region =
            InflightRegion::map(file.as_fd(), offset, octets, rings, size).map_err(Refusal::Inflight)?;
        self.stop_all();
        self.inflight = Some(Arc::new(region));
        Ok(())
    }

    /// That of a ring with so many slots.
    pub(super) fn ring_inflight(&self, index: usize, size: u16) -> Option<Inflight> {
        Inflight::of(self.inflight.as_ref()?, index, size)
    }
}
