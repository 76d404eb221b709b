//! The adapter, read off spec table 6.3.

use super::{Line, Octets};

/// A vNIC: its VIF and the VIF's parameters, as plain numbers.
#[derive(Clone, Debug)]
pub struct ModelVnic {
    /// Its VIF.
    pub vif: u16,
    /// 0 trunk, 1 access, 2 trunk with native tagged.
    pub vlan_mode: u8,
    /// The VLAN that is stripped toward the host.
    pub default_vlan: u16,
    /// Priority of what the host sends untagged.
    pub default_cos: u8,
    /// Bit n: priority n may be sent.
    pub allowed_priorities: u8,
    /// Largest payload.
    pub mtu: usize,
    /// A guest is there.
    pub active: bool,
}

/// An adapter with one link.
#[derive(Clone, Debug, Default)]
pub struct ModelAdapter {
    /// Control listens on the link.
    pub negotiation: bool,
    /// The vNICs.
    pub vnics: Vec<ModelVnic>,
    /// The lists: id, members.
    pub lists: Vec<(u16, Vec<u16>)>,
}

/// What comes of a downward frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Which vNIC gets what.
    pub frames: Vec<(usize, Vec<u8>)>,
    /// Drops, one for each frame or copy.
    pub drops: Vec<Line>,
    /// Members left out as the originator.
    pub pruned: u64,
    /// What control gets.
    pub punted: Option<Vec<u8>>,
}

impl ModelAdapter {
    /// A frame from vNIC `index`: what goes up the link, or the line that drops it.
    ///
    /// # Errors
    /// The first line of the table that matches.
    pub fn up(&self, index: usize, frame: &[u8]) -> Result<Vec<u8>, Line> {
        let vnic = &self.vnics[index];
        if frame.word(12) == Some(0x8926) {
            return Err("I1");
        }
        let mut behind = 12;
        while frame.vlan_type_at(behind) {
            behind += 4;
        }
        if behind > 12 && frame.word(behind) == Some(0x8926) {
            return Err("I2");
        }
        if frame.len() < 14 {
            return Err("I6");
        }
        let tag = frame.q_tag_at(12);
        let priority = tag.map_or(vnic.default_cos, |tag| (tag / 0x2000) as u8);
        if (vnic.allowed_priorities / 2u8.pow(u32::from(priority))).is_multiple_of(2) {
            return Err("I5");
        }
        if frame.len() - 14 > vnic.mtu + 4 {
            return Err("I6");
        }
        let mut inserted = vec![0x89, 0x26, 0, 0, (vnic.vif / 256) as u8, (vnic.vif % 256) as u8];
        if tag.is_none() {
            inserted.extend([0x81, 0x00, priority * 32, 0]);
        }
        Ok(frame.with(12, &inserted))
    }

    /// A frame from the link: who gets what.
    #[must_use]
    pub fn down(&self, frame: &[u8]) -> Delivered {
        match self.judge_down(frame) {
            Ok(delivered) => delivered,
            Err("own control") if self.negotiation && frame.len() <= 2048 => {
                Delivered { punted: Some(frame.to_vec()), ..Delivered::default() }
            }
            Err("own control") => Delivered { drops: vec!["control"], ..Delivered::default() },
            Err(line) => Delivered { drops: vec![line], ..Delivered::default() },
        }
    }

    fn judge_down(&self, frame: &[u8]) -> Result<Delivered, Line> {
        if frame.word(12) != Some(0x8926) {
            return Err(untagged(frame));
        }
        if frame.len() < 20 {
            return Err("I8");
        }
        let (d, p, dst) =
            (frame.bits(14, 7, 7), frame.bits(14, 6, 6), frame.bits(14, 5, 0) * 256 + frame.bits(15, 7, 0));
        let (l, r, version) = (frame.bits(16, 7, 7), frame.bits(16, 6, 6), frame.bits(16, 5, 4));
        let src = frame.bits(16, 3, 0) * 256 + frame.bits(17, 7, 0);
        if d == 0 {
            return Err("I9");
        }
        if r == 1 {
            return Err("I10");
        }
        if version != 0 {
            return Err("I11");
        }
        let double = frame.word(18) == Some(0x8926);
        let mut delivered = Delivered::default();
        if p == 0 {
            if dst > 0xfff {
                return Err("I13");
            }
            let index = self.vnics.iter().position(|vnic| vnic.vif == dst).ok_or("I12")?;
            if l == 1 && src == dst {
                return Err("I20");
            }
            if !self.vnics[index].active {
                return Err("I21");
            }
            if double {
                return Err("I22");
            }
            delivered.frames.push((index, self.host_form(index, frame)?));
            return Ok(delivered);
        }
        let (_, members) = self.lists.iter().find(|(id, _)| *id == dst).ok_or("I14")?;
        if members.is_empty() {
            return Err("I15");
        }
        if double {
            return Err("I22");
        }
        let mut candidates = 0;
        for member in members {
            if l == 1 && *member == src {
                delivered.pruned += 1;
                continue;
            }
            let Some(index) = self.vnics.iter().position(|vnic| vnic.vif == *member) else { continue };
            candidates += 1;
            if !self.vnics[index].active {
                delivered.drops.push("I21");
                continue;
            }
            match self.host_form(index, frame) {
                Ok(copy) => delivered.frames.push((index, copy)),
                Err(line) => delivered.drops.push(line),
            }
        }
        if candidates == 0 {
            delivered.drops.push("I15");
        }
        Ok(delivered)
    }

    /// The frame as vNIC `index` gets it: without VNTag, and without its default VLAN.
    fn host_form(&self, index: usize, frame: &[u8]) -> Result<Vec<u8>, Line> {
        let vnic = &self.vnics[index];
        let plain = frame.without(12, 6);
        let Some(tag) = frame.q_tag_at(18) else { return Ok(plain) };
        let vid = tag % 0x1000;
        let default = vid == 0 || vid == vnic.default_vlan;
        match vnic.vlan_mode {
            2 => Ok(plain),
            _ if default => Ok(plain.without(12, 4)),
            0 => Ok(plain),
            _ => Err("I24"),
        }
    }
}

/// A frame without a tag on the link: V29 goes first, then the exempt set, then I7.
pub(super) fn untagged(frame: &[u8]) -> Line {
    let cisco = frame.starts_with(&[1, 0, 0x0c, 0xcc, 0xcc, 0xcc])
        || frame.starts_with(&[1, 0, 0x0c, 0xcc, 0xcc, 0xcd]);
    let local = frame.starts_with(&[1, 0x80, 0xc2, 0, 0]) && frame.get(5).is_some_and(|last| *last < 16);
    match frame.word(12) {
        Some(_) if cisco => "V29",
        Some(length) if local && frame[5] == 0 && length <= 1500 => "V29",
        Some(0x88cc | 0x88b5) if local => "own control",
        Some(0x8808 | 0x8809) if local => "control",
        _ => "I7",
    }
}
