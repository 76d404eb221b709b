//! The in-flight region: made here, kept by the front end, handed back to whoever serves it next.

use super::super::memory::{Inflight, InflightRegion};
use super::super::message::{Message, Reply};
use super::super::ring::MAX_RING_SIZE;
use super::{Refusal, Session, body};
use std::os::fd::AsFd;
use std::sync::Arc;
use vhost::vhost_user::message::{FrontendReq, VhostUserInflight};
use vm_memory::ByteValued;

/// Octets of the payload of both requests. Front ends send it so, or with the padding of their compilers.
const DESCRIBED: usize = 20;

impl Session {
    /// The payload of a request, whose rings we can have, and its octets as they came.
    fn described(
        &self,
        request: FrontendReq,
        message: &mut Message,
    ) -> Result<(VhostUserInflight, usize), Refusal> {
        let len = message.payload.len();
        if len == DESCRIBED {
            message.payload.resize(size_of::<VhostUserInflight>(), 0);
        }
        let described: VhostUserInflight = body(request, message)?;
        if usize::from(described.num_queues) > self.vrings.len() {
            return Err(Refusal::NoRing(described.num_queues.into()));
        }
        if described.queue_size > MAX_RING_SIZE {
            return Err(Refusal::InflightSize(described.queue_size));
        }
        Ok((described, len))
    }

    /// A region for the front end to keep.
    pub(super) fn get_inflight(&self, message: &mut Message) -> Result<Reply, Refusal> {
        let (asked, len) = self.described(FrontendReq::GET_INFLIGHT_FD, message)?;
        let (rings, size) = (asked.num_queues, asked.queue_size);
        let (file, octets) = InflightRegion::create(rings, size).map_err(Refusal::Inflight)?;
        let made = VhostUserInflight { mmap_size: octets, mmap_offset: 0, ..asked };
        // Without the padding of the structure, whatever is in it.
        let mut payload = made.as_slice()[..DESCRIBED].to_vec();
        payload.resize(len, 0);
        Ok(Reply { payload, fd: Some(file) })
    }

    /// The region that the front end has kept.
    pub(super) fn set_inflight(&mut self, message: &mut Message) -> Result<(), Refusal> {
        let request = FrontendReq::SET_INFLIGHT_FD;
        let (kept, _) = self.described(request, message)?;
        let file = message.take_fd().ok_or(Refusal::Descriptors(request))?;
        let VhostUserInflight { mmap_size, mmap_offset, num_queues, queue_size } = kept;
        let region = InflightRegion::map(file.as_fd(), mmap_offset, mmap_size, num_queues, queue_size)
            .map_err(Refusal::Inflight)?;
        self.stop_all();
        self.inflight = Some(Arc::new(region));
        Ok(())
    }

    /// That of a ring with so many slots.
    pub(super) fn ring_inflight(&self, index: usize, size: u16) -> Option<Inflight> {
        Inflight::of(self.inflight.as_ref()?, index, size)
    }
}
