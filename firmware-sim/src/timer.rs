//! All timers of the firmware in one table.

use crate::config::{LinkId, VnicId};

/// What can be due.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Timer {
    /// A refused create, or a refused enable, is tried again.
    Retry(VnicId, LinkId),
    /// The switch has been lost for longer than carrier-delay.
    Carrier(VnicId),
    /// The switch has been lost for longer than the hold time: what was kept for its return goes.
    Hold(LinkId),
    /// An answer that a fault rule made late.
    Late(u64),
}
