//! From configuration, VIFs and links to what each vEth is and does.

use super::Control;
use super::event::Event;
use super::forwarding::VethForwarding;
use super::life::{Input, Standing};
use super::veth::{Settings, Unused, Veth};
use super::view::{DownCause, VethState};
use super::vif::VifKey;
use crate::config::running::UplinkFail;

impl Control {
    /// Brings everything that may have changed in line. Each vEth is looked at once or, if it has VIFs to shut or to
    /// open, twice.
    pub(super) fn settle(&mut self, now: u64) {
        let mut lost = [None, None];
        while let Some(number) = self.dirty.pop_first() {
            self.settle_veth(now, number, &mut lost);
        }
        for (down, lost) in [(false, lost[0]), (true, lost[1])] {
            if let Some((first, veths)) = lost {
                self.event(Event::UplinkLost { veths, first, down });
            }
        }
    }

    fn settle_veth(&mut self, now: u64, number: u32, lost: &mut [Option<(u32, usize)>; 2]) {
        let Some(veth) = self.veths.get(number) else { return };
        if veth.stale {
            let (asked, used, fixed) = (veth.asked.clone(), veth.record.is_some(), veth.fixed.is_some());
            let settings = self.settings(number, asked.as_ref(), used, fixed);
            self.apply_settings(number, settings);
        }
        self.check_duplicate(number);
        let Some(veth) = self.veths.get(number) else { return };
        let blocked = self.block(veth).is_some();
        let uplink_lost = self.uplinks.lost(&veth.settings.program.clone());
        for key in veth.vifs.clone() {
            match self.vif_of(key).map(|vif| vif.standing) {
                Some(standing) if blocked && standing.is_open() => self.input(now, key, Input::Block),
                Some(Standing::Disabled) if !blocked => self.input(now, key, Input::Unblock),
                _ => continue,
            };
        }
        let Some(veth) = self.veths.get_mut(number) else { return };
        if uplink_lost != veth.uplink_lost {
            veth.uplink_lost = uplink_lost;
            let down = veth.settings.uplink_fail == UplinkFail::LinkDown;
            if uplink_lost && (veth.fixed.is_some() || !veth.vifs.is_empty()) {
                let (_, count) = lost[usize::from(down)].get_or_insert((number, 0));
                *count += 1;
            }
            let vifs = veth.vifs.clone();
            self.tell_all(&vifs);
        }
        self.judge(now, number);
        self.forward(number);
    }

    /// Finds out whether a vEth is up, and says so if that has changed.
    fn judge(&mut self, now: u64, number: u32) {
        let Some(veth) = self.veths.get(number) else { return };
        let state = self.state_of(veth);
        if state == veth.state {
            return;
        }
        let at = veth.holder.or(veth.fixed);
        let was_up = veth.state == VethState::Up;
        let event = match (&state, at) {
            (VethState::Up, Some((port, vif))) => {
                Some(Event::VethUp { veth: number, port: self.port_id(port), vif })
            }
            (VethState::Down(cause), _) if was_up => {
                Some(Event::VethDown { veth: number, cause: cause.clone() })
            }
            _ => None,
        };
        if let Some(event) = event {
            self.event(event);
        }
        if let Some(veth) = self.veths.get_mut(number) {
            (veth.state, veth.since) = (state, now);
        }
    }

    fn state_of(&self, veth: &Veth) -> VethState {
        if let Some(cause) = self.block(veth) {
            return VethState::Down(cause);
        }
        let uplink_lost = veth.uplink_lost && veth.settings.uplink_fail == UplinkFail::LinkDown;
        let here = veth.holder.is_some() || veth.fixed.is_some();
        let link_lost = match veth.fixed {
            Some((port, _)) => self.ports.get(port).is_none_or(|port| !port.up),
            None if veth.vifs.is_empty() => matches!(veth.unused, Unused::Lost(_)),
            None => veth.vifs.iter().all(|key| self.standing(*key) == Some(Standing::Away)),
        };
        match (here, link_lost, uplink_lost) {
            (_, true, _) => VethState::Down(DownCause::LinkLost),
            (true, _, true) => VethState::Down(DownCause::UplinkLost),
            (true, ..) => VethState::Up,
            _ => VethState::Down(DownCause::NonParticipating),
        }
    }

    fn standing(&self, key: VifKey) -> Option<Standing> {
        self.vif_of(key).map(|vif| vif.standing)
    }

    /// What the data path has to do with a vEth.
    fn forward(&mut self, number: u32) {
        let Some(veth) = self.veths.get(number) else { return };
        // A link without negotiation that is down changes nothing in the tables: the port drops what it should send.
        let located = match &veth.state {
            VethState::Up => veth.fixed.or(veth.holder),
            VethState::Down(DownCause::LinkLost) => veth.fixed,
            VethState::Down(_) => None,
        };
        let wanted =
            VethForwarding { at: located, program: veth.settings.program.1.clone(), flush: veth.flush };
        let before = self.forwarding.veths.get(&number);
        let same = before.is_some_and(|before| {
            before.at == wanted.at
                && std::sync::Arc::ptr_eq(&before.program, &wanted.program)
                && before.flush == wanted.flush
        });
        let (program, vifs) = (veth.settings.program.clone(), veth.vifs.clone());
        for key in vifs {
            let carries = (located == Some(key)).then_some((program.0, &program.1));
            if let Some(link) = self.link_mut(key.0) {
                link.classes.set(key.1, carries);
            }
        }
        if !same {
            self.forwarding.veths.insert(number, wanted);
            self.forwarding_changed = true;
        }
    }

    /// These VIFs' adapters may have to be told something.
    pub(super) fn tell_all(&mut self, vifs: &[VifKey]) {
        for (port, vif) in vifs {
            if let Some(link) = self.link_mut(*port) {
                link.tell.insert(*vif);
            }
        }
    }

    /// A vEth that nobody asks for so far.
    pub(super) fn new_veth(&mut self, number: u32, settings: Settings) {
        self.veths.insert(Veth::new(number, self.now, settings));
        self.dirty.insert(number);
    }

    pub(super) fn apply_settings(&mut self, number: u32, settings: Settings) {
        let Some(veth) = self.veths.get(number) else { return };
        let (before, vifs) = (veth.settings.clone(), veth.vifs.clone());
        if before.params != settings.params {
            self.tell_all(&vifs);
        }
        if before.program.0 != settings.program.0 {
            self.same_mac_again(number);
        }
        let other_profile = before.profile != settings.profile;
        self.veths.set_settings(number, settings);
        if let Some(profile) = before.profile.filter(|_| other_profile) {
            self.something_freed(&super::pending::Waits::Profile(profile));
        }
        self.dirty.insert(number);
    }

    /// Looks for an earlier vEth with the same address in the same VLAN that is not down for the same reason.
    pub(super) fn check_duplicate(&mut self, number: u32) {
        let Some(veth) = self.veths.get(number).filter(|veth| veth.arrival != 0) else { return };
        let carried = veth.settings.program.1.carries();
        let earlier = self.veths.same_mac(number).take_while(|other| other.arrival < veth.arrival);
        let rival = earlier
            .filter(|other| other.duplicate_of.is_none())
            .find(|other| other.settings.program.1.carries().intersects(carried))
            .map(|other| other.number);
        if rival != veth.duplicate_of {
            let later: Vec<u32> = self.veths.same_mac(number).map(|other| other.number).collect();
            if let Some(veth) = self.veths.get_mut(number) {
                veth.duplicate_of = rival;
            }
            self.dirty.extend(later);
            self.dirty.insert(number);
        }
    }
}
