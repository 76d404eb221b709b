//! Which vNIC has which channel.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Channels, each of one vNIC of the adapter. One that nobody wrote down is the lowest free one, and stays the vNIC's
/// as long as there is that vNIC, whatever comes and goes around it.
#[derive(Clone, Default, Debug)]
pub(super) struct Channels {
    owners: BTreeMap<u16, Arc<str>>,
    channels: BTreeMap<Arc<str>, u16>,
}

impl Channels {
    /// Whose a channel is.
    pub(super) fn owner(&self, channel: u16) -> Option<&str> {
        self.owners.get(&channel).map(|owner| &**owner)
    }

    /// The channel of a vNIC.
    pub(super) fn of(&self, name: &str) -> Option<u16> {
        self.channels.get(name).copied()
    }

    /// Gives a channel to a vNIC that has none; says whether it was free.
    pub(super) fn take(&mut self, channel: u16, name: &str) -> bool {
        let free = channel > 0 && !self.owners.contains_key(&channel);
        if free {
            let name: Arc<str> = name.into();
            self.owners.insert(channel, Arc::clone(&name));
            self.channels.insert(name, channel);
        }
        free
    }

    /// Gives the lowest free one to a vNIC that has none; `None` if there is none.
    pub(super) fn lowest(&mut self, name: &str) -> Option<u16> {
        let mut free = 1u16;
        for taken in self.owners.keys() {
            if *taken != free {
                break;
            }
            free = free.checked_add(1)?;
        }
        self.take(free, name).then_some(free)
    }

    /// The vNIC needs none any more.
    pub(super) fn release(&mut self, name: &str) {
        if let Some(channel) = self.channels.remove(name) {
            self.owners.remove(&channel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_one_and_each_to_one_only() {
        let mut channels = Channels::default();
        assert!(channels.take(2, "b") && !channels.take(2, "c") && !channels.take(0, "c"));
        assert_eq!(channels.lowest("a"), Some(1));
        assert_eq!(channels.lowest("c"), Some(3));
        channels.release("b");
        assert_eq!((channels.owner(2), channels.owner(3)), (None, Some("c")));
        assert_eq!(channels.lowest("d"), Some(2));
        assert_eq!((channels.of("b"), channels.of("d")), (None, Some(2)));
        assert!((4..=u16::MAX).all(|n| channels.take(n, &format!("vnic{n}"))));
        assert_eq!(channels.lowest("none"), None);
    }
}
