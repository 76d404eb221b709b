//! Private VLANs: a primary VLAN whose members are kept apart by secondary ones.
//!
//! ```text
//!                in which VLAN a frame is             which frames leave by it       with which VLAN id
//! host           its secondary                        primary; its community         none
//! promiscuous    primary                              primary; mapped secondaries    none
//!   as a trunk   primary, by its id; ordinary ones    the same; ordinary ones        primary; ordinary ones
//! trunk          by id, primary or secondary          whatever the trunk allows      as the frame was
//! ```
//!
//! Who may reach whom is thus only a matter of which VLANs an interface [carries](super::vlan::Program::carries): a
//! flood goes to all that carry the VLAN of the frame, and a known receiver that does not carry it gets nothing. Addresses
//! are learned in the primary VLAN, as the answer to a frame in a secondary one comes in the primary or in another secondary.
//!
//! Down an NIV link all frames carry the primary VLAN, whatever they are in: one copy is for hosts and promiscuous interfaces
//! alike, and the adapter takes off the same VLAN for all of them.

use super::vlan::{Program, VlanMode, VlanSet};
use std::sync::Arc;

/// What a [`Program`] does to frames in private VLANs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Private {
    /// The VLANs whose frames leave by the interface, ordinary ones included.
    carries: VlanSet,
    /// The secondary VLAN of a host, in which all of its frames are.
    host: Option<u16>,
    /// Frames leave by an ordinary port with the id of their primary VLAN.
    pub(super) folds: bool,
    /// The private VLANs of the interface, rising, each with its primary VLAN; that is its own.
    primaries: Box<[(u16, u16)]>,
}

/// Where a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its VLAN, which decides who gets it.
    pub(super) vlan: u16,
    /// The VLAN in which its source is learned and its destination known: the primary one.
    pub(crate) domain: u16,
    /// The VLAN is a private one.
    pub(super) private: bool,
}

impl Private {
    fn new(
        carries: VlanSet,
        host: Option<u16>,
        folds: bool,
        pairs: impl IntoIterator<Item = (u16, u16)>,
    ) -> Self {
        let both =
            pairs.into_iter().flat_map(|(secondary, primary)| [(secondary, primary), (primary, primary)]);
        let mut primaries: Vec<(u16, u16)> = both.collect();
        primaries.sort_unstable();
        primaries.dedup();
        Self { carries, host, folds, primaries: primaries.into() }
    }

    /// Where a frame is that came in with this VLAN id.
    #[inline]
    pub(super) fn place(&self, id: u16) -> Place {
        let vlan = self.host.unwrap_or(id);
        match self.primaries.binary_search_by_key(&vlan, |(vlan, _)| *vlan) {
            Ok(at) => Place { vlan, domain: self.primaries[at].1, private: true },
            Err(_) => Place { vlan, domain: vlan, private: false },
        }
    }

    /// The VLANs whose frames leave by the interface.
    pub(super) fn carries(&self) -> &VlanSet {
        &self.carries
    }
}

impl Program {
    /// A host in a secondary VLAN, which is isolated or a community.
    #[must_use]
    pub fn private_host(primary: u16, secondary: u16, isolated: bool) -> Self {
        let carries = [primary].into_iter().chain((!isolated).then_some(secondary)).collect();
        let private = Private::new(carries, Some(secondary), true, [(secondary, primary)]);
        Self { private: Some(Arc::new(private)), ..Self::access(primary) }
    }

    /// A promiscuous interface, which all hosts in these secondary VLANs reach.
    #[must_use]
    pub fn promiscuous(primary: u16, secondaries: &[u16]) -> Self {
        let carries = secondaries.iter().copied().chain([primary]).collect();
        let pairs = secondaries.iter().map(|secondary| (*secondary, primary));
        let private = Private::new(carries, None, true, pairs.chain([(primary, primary)]));
        Self { private: Some(Arc::new(private)), ..Self::access(primary) }
    }

    /// A trunk of ordinary VLANs that is promiscuous in some primary ones: each secondary VLAN is given with its primary.
    #[must_use]
    pub fn promiscuous_trunk(native: u16, ordinary: VlanSet, pairs: &[(u16, u16)]) -> Self {
        let (mut ids, mut carries) = (ordinary.clone(), ordinary);
        for (secondary, primary) in pairs {
            ids.insert(*primary);
            carries.insert(*primary);
            carries.insert(*secondary);
        }
        let private = Private::new(carries, None, true, pairs.iter().copied());
        let private = (!pairs.is_empty()).then(|| Arc::new(private));
        Self { private, ..Self::trunk(native, ids) }
    }

    /// A trunk where some VLANs are private: each secondary one is given with its primary, and a primary one with itself.
    /// Those that it does not allow do not matter.
    #[must_use]
    pub fn private_trunk(native: u16, allowed: VlanSet, pairs: impl IntoIterator<Item = (u16, u16)>) -> Self {
        let mut pairs: Vec<(u16, u16)> = pairs.into_iter().collect();
        pairs.retain(|(vlan, primary)| allowed.contains(*vlan) || allowed.contains(*primary));
        let private =
            (!pairs.is_empty()).then(|| Arc::new(Private::new(allowed.clone(), None, false, pairs)));
        Self { private, ..Self::trunk(native, allowed) }
    }

    /// An interface that nothing passes, because its private VLANs are not what it needs.
    #[must_use]
    pub fn closed(mode: VlanMode, untagged: u16) -> Self {
        Self { mode, ..Self::trunk(untagged, VlanSet::EMPTY) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vntag::VlanTag;

    fn carried(program: &Program) -> Vec<u16> {
        program.carries().iter().collect()
    }

    fn place(program: &Program, id: u16) -> Option<(u16, u16, bool)> {
        let id = program.classify(VlanTag::new(id, 0, false))?;
        let place = program.place(id);
        Some((place.vlan, place.domain, place.private))
    }

    #[test]
    fn the_table_of_this_module() {
        let isolated = Program::private_host(100, 101, true);
        assert_eq!((carried(&isolated), place(&isolated, 0)), (vec![100], Some((101, 100, true))));
        assert_eq!(place(&isolated, 100), Some((101, 100, true)), "the adapter may say the primary VLAN");
        assert_eq!(place(&isolated, 101), None);
        let community = Program::private_host(100, 102, false);
        assert_eq!((carried(&community), place(&community, 0)), (vec![100, 102], Some((102, 100, true))));
        let router = Program::promiscuous(100, &[101, 102]);
        assert_eq!((carried(&router), place(&router, 0)), (vec![100, 101, 102], Some((100, 100, true))));
        let trunk = Program::promiscuous_trunk(1, [1, 5].into_iter().collect(), &[(101, 100)]);
        assert_eq!((carried(&trunk), place(&trunk, 101)), (vec![1, 5, 100, 101], None));
        assert_eq!((place(&trunk, 100), place(&trunk, 5)), (Some((100, 100, true)), Some((5, 5, false))));
        let allowed: VlanSet = [5, 101].into_iter().collect();
        let trunk = Program::private_trunk(1, allowed.clone(), [(101, 100), (201, 200)]);
        assert_eq!((carried(&trunk), place(&trunk, 101)), (vec![5, 101], Some((101, 100, true))));
        assert_eq!((place(&trunk, 5), place(&trunk, 100)), (Some((5, 5, false)), None));
        assert_eq!(Program::private_trunk(1, allowed.clone(), [(201, 200)]), Program::trunk(1, allowed));
    }
}
