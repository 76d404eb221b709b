//! Capabilities (capabilities(7)). They belong to threads: a new one has what the one that starts it has.

use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities,
};
use std::io;

/// What is left, by name.
pub(super) struct Kept(pub(super) CapabilitySet);

impl Kept {
    /// `CAP_NET_ADMIN` and so on.
    pub(super) fn names(&self) -> Vec<String> {
        self.0.iter_names().map(|(name, _)| format!("CAP_{name}")).collect()
    }
}

/// What this thread may raise.
pub(super) fn held() -> io::Result<CapabilitySet> {
    Ok(capabilities(None)?.permitted)
}

/// Takes all but these away from this thread and from whatever it may become.
pub(super) fn bound(most: CapabilitySet) -> io::Result<()> {
    for number in 0..u64::BITS {
        let one = CapabilitySet::from_bits_retain(1 << number);
        if most.contains(one) {
            continue;
        }
        match remove_capability_from_bounding_set(one) {
            Ok(()) => {}
            // Behind the last one that this kernel knows.
            Err(Errno::INVAL) => break,
            // Who may not change the bounding set can get nothing from it either: no_new_privs is set, and nothing is executed.
            Err(Errno::PERM) => break,
            Err(error) => return Err(error.into()),
        }
    }
    match clear_ambient_capability_set() {
        // A kernel without ambient capabilities.
        Ok(()) | Err(Errno::INVAL) => {}
        Err(error) => return Err(error.into()),
    }
    keep(most).map(drop)
}

/// Keeps these of what this thread has.
pub(super) fn keep(keep: CapabilitySet) -> io::Result<Kept> {
    let kept = held()? & keep;
    set_capabilities(
        None,
        CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() },
    )?;
    Ok(Kept(kept))
}
