//! The memory that a front end shares: as a table, or region by region.

use super::super::memory::{MemoryMap, Region, RegionInfo};
use super::super::message::Message;
use super::super::peer;
use super::super::vnic::FrontendEvent;
use super::{Refusal, Session};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, mpsc};
use vhost::vhost_user::message::{FrontendReq, VhostUserMemory, VhostUserMemoryRegion};
use vm_memory::ByteValued;

/// Where memory goes that is not used any more: unmapping a gigabyte takes a tenth of a second.
pub(in super::super) type Discard = mpsc::Sender<Memory>;

/// The regions of a connection.
#[derive(Debug, Default)]
pub(in super::super) struct Memory {
    /// What the rings use.
    pub(super) map: Option<Arc<MemoryMap>>,
    /// Each region, and how often it was added: QEMU 7.2 adds every region once per queue pair.
    regions: Vec<(Arc<Region>, u32)>,
    /// Why the last request was refused.
    pub(super) refused: Option<String>,
    /// The front end maps it privately, or sent no descriptors.
    pub(super) private: bool,
}

impl Session {
    pub(super) fn set_memory_table(&mut self, message: &Message) -> Result<(), Refusal> {
        let request = FrontendReq::SET_MEM_TABLE;
        let (head, rest) =
            message.payload.split_at_checked(size_of::<VhostUserMemory>()).ok_or(Refusal::Size(request))?;
        let count = VhostUserMemory::from_slice(head).ok_or(Refusal::Size(request))?.num_regions as usize;
        let regions = rest.chunks_exact(size_of::<VhostUserMemoryRegion>());
        // The payload may be longer than the table (QEMU's structure has room for eight).
        if regions.len() < count {
            return Err(Refusal::Size(request));
        }
        self.stop_all();
        self.set_memory(Memory { private: count > 0 && message.fds.is_empty(), ..Memory::default() });
        if message.fds.len() != count {
            return Err(Refusal::Descriptors(request));
        }
        let mut mapped = Vec::with_capacity(count);
        for (bytes, fd) in regions.take(count).zip(&message.fds) {
            let region = VhostUserMemoryRegion::from_slice(bytes).ok_or(Refusal::Size(request))?;
            mapped.push((self.map(info(*region), fd)?, 1));
        }
        self.replace(mapped)
    }

    pub(super) fn add_region(&mut self, message: &mut Message) -> Result<(), Refusal> {
        let info = single(message)?;
        let fd = message.take_fd().ok_or(Refusal::Descriptors(FrontendReq::ADD_MEM_REG))?;
        if let Some((_, times)) = self.memory.regions.iter_mut().find(|(known, _)| known.info() == info) {
            *times = times.saturating_add(1);
            return Ok(());
        }
        let region = self.map(info, &fd)?;
        let mut regions = self.memory.regions.clone();
        regions.push((region, 1));
        self.replace(regions)
    }

    pub(super) fn remove_region(&mut self, message: &Message) -> Result<(), Refusal> {
        let RegionInfo { guest, user, size, .. } = single(message)?;
        let mut regions = self.memory.regions.clone();
        // The offset is not compared: QEMU does not send it here.
        let at = regions
            .iter()
            .position(|(known, _)| {
                (known.info().guest, known.info().user, known.info().size) == (guest, user, size)
            })
            .ok_or(Refusal::NoRegion)?;
        let (region, times) = regions.swap_remove(at);
        if times > 1 {
            regions.push((region, times - 1));
            self.memory.regions = regions;
            return Ok(());
        }
        self.replace(regions)
    }

    fn map(&mut self, info: RegionInfo, fd: &OwnedFd) -> Result<Arc<Region>, Refusal> {
        if self.pid.is_some_and(|pid| peer::maps_privately(pid, info.user, fd.as_fd())) {
            self.memory.private = true;
        }
        Ok(Arc::new(Region::map(info, fd.as_fd())?))
    }

    /// Rings that run are moved to the new map: they stop here, and `settle` starts them.
    fn replace(&mut self, regions: Vec<(Arc<Region>, u32)>) -> Result<(), Refusal> {
        let map = MemoryMap::new(regions.iter().map(|(region, _)| Arc::clone(region)).collect())?;
        self.stop_all();
        let map = (!map.regions().is_empty()).then(|| Arc::new(map));
        self.set_memory(Memory { map, regions, refused: None, private: self.memory.private });
        self.events.push(FrontendEvent::Memory);
        Ok(())
    }

    /// Changes memory that no ring uses.
    pub(super) fn set_memory(&mut self, memory: Memory) {
        let former = core::mem::replace(&mut self.memory, memory);
        if !former.regions.is_empty() {
            // Unmapped here where nobody takes it.
            let _ = self.discard.send(former);
        }
    }
}

fn info(region: VhostUserMemoryRegion) -> RegionInfo {
    RegionInfo {
        guest: region.guest_phys_addr,
        user: region.user_addr,
        size: region.memory_size,
        offset: region.mmap_offset,
    }
}

/// The region of a request for one; eight octets of padding come first.
fn single(message: &Message) -> Result<RegionInfo, Refusal> {
    let bytes = message.payload.get(8..).unwrap_or_default();
    let region = VhostUserMemoryRegion::from_slice(bytes).ok_or(Refusal::Size(FrontendReq::ADD_MEM_REG))?;
    Ok(info(*region))
}
