//! All timers of the machine in one table; those of the sessions are in `vntag::ctl::session`.

/// What can be due, with the index of its port or the number of its vEth. The table in the [module](super) says how long each takes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Timer {
    /// The adapter has been lost for longer than carrier-delay.
    Carrier(usize),
    /// What was kept for an adapter's return is not kept any longer.
    Hold(usize),
    /// It is time that an adapter has shown that it has the VIFs it was given.
    Proof(usize),
    /// The first id in quarantine may be free.
    Quarantine(usize),
    /// What an adapter refused to do is tried again.
    Retry(usize),
    /// An interface that a violation took down comes up again.
    Recovery,
    /// A claim of this vEth has waited long enough for the one before it.
    Claim(u32),
    /// Rows of the pending table that nobody asks for any more go.
    Pending,
}
