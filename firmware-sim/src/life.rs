//! The life of a VIF, as the adapter sees it: a pure function from (phase, wish, input) to (phase, action).
//!
//! A vNIC has one of these machines on its link, and a second one on its backup link.
//!
//! ```text
//!                       ┌────────────── Retry, EVENT ──────────────┐
//!                       ▼                                          │
//!  ┌────────┐ PeerUp ┌──────────┐ Refused                     ┌─────────┐
//!  │ Absent ├───────►│ Creating ├────────────────────────────►│ Pending │◄── Set(deleted), from all below
//!  └────────┘        └────┬──┬──┘                             └─────────┘
//!   ▲                     │  └──────────── Created(active) ───────────────┐
//!   │ PeerLost            │ Created(standby)                              ▼
//!   │ (from all)     ┌────▼────┐ wanted active   ┌──────────┐  Done  ┌────────┐
//!   │                │ Standby ├────────────────►│ Enabling ├───────►│ Active │
//!   │                └────▲────┘                 └────┬─────┘        └─┬──┬───┘
//!   │                     │  ▲                Refused │   Set(standby) │  │ wanted standby
//!   │                     │  │ Retry  ┌─────────┐ ◄───┘◄───────────────┘  │
//!   │                     │  └────────┤ Claimed │                         ▼
//!   │                     │           └─────────┘                  ┌───────────┐
//!   │                     └────────────────── Done ────────────────┤ Disabling │
//!   │                                                              └───────────┘
//!   │   Set(disabled), from Standby, Enabling, Active, Disabling, Claimed: Disabled, until Set(standby or active)
//!   └   wanted no more: Deleting, until the switch has answered; then there is no machine
//! ```
//!
//! Inputs that mean nothing in a phase change nothing: they are late, or the switch repeats itself.

use vntag::ctl::{InitialState, VifState};

/// Where a VIF stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Phase {
    /// There is no switch. A VIF from before may be kept for its return.
    Absent,
    /// VIF_CREATE is on its way.
    Creating,
    /// The switch refused, or took the VIF away; it will be asked again.
    Pending,
    /// There is a VIF, without traffic.
    Standby,
    /// VIF_ENABLE is on its way.
    Enabling,
    /// There is a VIF, with traffic.
    Active,
    /// VIF_DISABLE is on its way.
    Disabling,
    /// There is a VIF, but the switch does not let it be active: somebody else is.
    Claimed,
    /// There is a VIF; the switch shut it.
    Disabled,
    /// The VIF is not wanted any more; VIF_DELETE waits for the data path, or is on its way.
    Deleting,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Absent,
        Self::Creating,
        Self::Pending,
        Self::Standby,
        Self::Enabling,
        Self::Active,
        Self::Disabling,
        Self::Claimed,
        Self::Disabled,
        Self::Deleting,
    ];

    /// In a word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Creating => "creating",
            Self::Pending => "pending",
            Self::Standby => "standby",
            Self::Enabling => "enabling",
            Self::Active => "active",
            Self::Disabling => "disabling",
            Self::Claimed => "claimed",
            Self::Disabled => "disabled",
            Self::Deleting => "deleting",
        }
    }

    /// There is a VIF that can carry traffic as soon as that is wanted: the guest's link is up.
    #[must_use]
    pub const fn is_ready(self) -> bool {
        matches!(self, Self::Standby | Self::Enabling | Self::Active | Self::Disabling)
    }

    /// The switch has, or may have, this VIF as active.
    #[must_use]
    pub const fn may_be_active(self) -> bool {
        matches!(self, Self::Enabling | Self::Active | Self::Disabling)
    }

    /// The switch keeps the guest's link down.
    #[must_use]
    pub const fn is_blocked(self) -> bool {
        matches!(self, Self::Pending | Self::Claimed | Self::Disabled)
    }
}

/// What the host side wants of a VIF.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Want {
    /// That it is not there.
    Gone,
    /// That it is there.
    Standby,
    /// That it carries traffic.
    Active,
}

impl Want {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Gone, Self::Standby, Self::Active];

    const fn initial(self) -> InitialState {
        match self {
            Self::Active => InitialState::Active,
            Self::Gone | Self::Standby => InitialState::Standby,
        }
    }
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input {
    /// The wish may have changed.
    Wanted,
    /// There is a switch.
    PeerUp,
    /// There is none any more.
    PeerLost,
    /// VIF_CREATE was answered with OK; it had asked for this state.
    Created(InitialState),
    /// Any other request was answered with OK.
    Done,
    /// The request was refused.
    Refused,
    /// The request was refused because the switch does not know the VIF.
    Unknown,
    /// The switch set the state.
    Set(VifState),
    /// It is time to try again.
    Retry,
}

impl Input {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Wanted,
        Self::PeerUp,
        Self::PeerLost,
        Self::Created(InitialState::Standby),
        Self::Created(InitialState::Active),
        Self::Done,
        Self::Refused,
        Self::Unknown,
        Self::Set(VifState::Disabled),
        Self::Set(VifState::Standby),
        Self::Set(VifState::Active),
        Self::Set(VifState::Deleted),
        Self::Retry,
    ];
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Nothing.
    None,
    /// Send VIF_CREATE.
    Create(InitialState),
    /// Send VIF_ENABLE.
    Enable,
    /// Send VIF_DISABLE.
    Disable,
    /// Take the VIF out of the data path, then send VIF_DELETE.
    Delete,
    /// The machine has come to its end.
    Forget,
}

/// One step.
#[must_use]
pub fn step(phase: Phase, want: Want, input: Input) -> (Phase, Action) {
    use Phase as P;
    let stay = (phase, Action::None);
    let has_vif = phase.is_ready() || matches!(phase, P::Claimed | P::Disabled);
    match (phase, input) {
        (_, Input::PeerLost) => (P::Absent, Action::None),
        (P::Absent, Input::PeerUp) => match want {
            // A VIF that was given up while the switch was away.
            Want::Gone => (P::Deleting, Action::Delete),
            _ => create(want),
        },
        (P::Absent, _) | (_, Input::PeerUp) => stay,
        (P::Creating, Input::Created(InitialState::Active)) => settle(P::Active, want),
        (P::Creating, Input::Created(InitialState::Standby)) => settle(P::Standby, want),
        (P::Creating, Input::Refused | Input::Unknown) => settle(P::Pending, want),
        (P::Enabling, Input::Done) => settle(P::Active, want),
        (P::Enabling, Input::Refused) => settle(P::Claimed, want),
        (P::Disabling, Input::Done | Input::Refused) => settle(P::Standby, want),
        (P::Enabling | P::Disabling, Input::Unknown) => match want {
            Want::Gone => (phase, Action::Forget),
            _ => create(want),
        },
        (P::Deleting, Input::Done | Input::Refused | Input::Unknown) => match want {
            Want::Gone => (phase, Action::Forget),
            _ => create(want),
        },
        (_, Input::Set(VifState::Deleted)) if has_vif => settle(P::Pending, want),
        (_, Input::Set(VifState::Disabled)) if has_vif => settle(P::Disabled, want),
        (P::Active | P::Enabling, Input::Set(VifState::Standby)) => settle(P::Claimed, want),
        (P::Disabled, Input::Set(VifState::Standby)) => settle(P::Standby, want),
        (P::Standby | P::Claimed | P::Disabled, Input::Set(VifState::Active)) => settle(P::Active, want),
        (P::Pending, Input::Retry) if want != Want::Gone => create(want),
        (P::Claimed, Input::Retry) => settle(P::Standby, want),
        (_, Input::Wanted) => settle(phase, want),
        _ => stay,
    }
}

const fn create(want: Want) -> (Phase, Action) {
    (Phase::Creating, Action::Create(want.initial()))
}

/// Goes from a phase where nothing is on its way towards the wish.
const fn settle(phase: Phase, want: Want) -> (Phase, Action) {
    use Phase as P;
    match (phase, want) {
        (P::Pending, Want::Gone) => (phase, Action::Forget),
        (P::Standby | P::Active | P::Claimed | P::Disabled, Want::Gone) => (P::Deleting, Action::Delete),
        (P::Standby, Want::Active) => (P::Enabling, Action::Enable),
        (P::Active, Want::Standby) => (P::Disabling, Action::Disable),
        _ => (phase, Action::None),
    }
}
