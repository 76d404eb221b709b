//! The life of a VIF, as the switch sees it: a pure function from (standing, may, input) to (standing, verdict).
//!
//! ```text
//!               Create(standby)                Create(active), the vEth is free
//!                      │      ┌───────────────────────────────────────────────────────────┐
//!                      ▼      │  Enable, the vEth is free                                  ▼
//!                 ┌─────────┐─┴──────────────────────────────────────────────────────►┌────────┐
//!           ┌────►│ Standby │  Enable, another one      ┌──────────┐  Granted         │ Active │
//!           │     │         ├──────────────────────────►│ Claiming ├─────────────────►│        │
//!           │     └─────────┘  has it and has to yield  └────┬─────┘                  └─┬──────┘
//!           │       ▲     ▲                                  │ Overruled                │
//!   Unblock │       │     └──────────────────────────────────┴──────────────────────────┘
//!           │       │                                                 Disable, Overruled
//!           │       │ Back
//!      ┌────┴─────┐ │   ┌──────┐
//!      │ Disabled │ └───┤ Away │◄─── Lost, Restarted (from all above and left of it)
//!      └──────────┘     └──────┘
//!        ▲ Block (from Standby, Claiming, Active)
//!                                 ┌──────────┐ Deleted, Restarted
//!      Revoke (from all above) ──►│ Deleting ├────────────────────► gone
//!                                 └──────────┘
//!      Delete (from all but Deleting) ─────────────────────────────► gone
//! ```
//!
//! *Gone* means that the id goes into quarantine and then may be another vNIC's. *Away* is kept for an adapter that is
//! lost: it asks for the VIF again when it is back, and gets the same id. What differs between a standing and what the
//! adapter was last told is told it by VIF_SET or VIF_DELETE; that is not part of this machine (`tell`).

use vntag::ctl::InitialState;

/// Where a VIF stands at the switch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Standing {
    /// Without traffic.
    Standby,
    /// It is to be active as soon as the one before it is not any more. Its request is not answered yet.
    Claiming,
    /// With traffic.
    Active,
    /// Shut by the switch.
    Disabled,
    /// Kept for an adapter that is away.
    Away,
    /// The switch takes it back; the adapter has not said yet that it is gone.
    Deleting,
}

impl Standing {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Standby, Self::Claiming, Self::Active, Self::Disabled, Self::Away, Self::Deleting];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standby => "standby",
            Self::Claiming => "claiming",
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::Away => "away",
            Self::Deleting => "deleting",
        }
    }

    /// It carries traffic, or would if that was asked for.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Standby | Self::Claiming | Self::Active)
    }
}

/// Whether a VIF may be active now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum May {
    /// No other VIF of the vEth is active.
    Free,
    /// Another one is, and has to yield.
    Wins,
    /// Another one is, and stays.
    Loses,
    /// The vEth is kept down.
    Blocked,
}

impl May {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Free, Self::Wins, Self::Loses, Self::Blocked];
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input {
    /// The adapter asks for the VIF, perhaps again, in this state.
    Create(InitialState),
    /// VIF_ENABLE
    Enable,
    /// VIF_DISABLE
    Disable,
    /// VIF_DELETE from the adapter.
    Delete,
    /// The vEth is kept down from now on.
    Block,
    /// It is not any more.
    Unblock,
    /// The one before it is not active any more.
    Granted,
    /// Another claimant goes first.
    Overruled,
    /// The adapter is away.
    Lost,
    /// The adapter has restarted: it knows nothing of what was before.
    Restarted,
    /// The adapter is back without a restart; it had wanted this state.
    Back(InitialState),
    /// The switch takes it back.
    Revoke,
    /// The adapter says that it is gone.
    Deleted,
}

impl Input {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Create(InitialState::Standby),
        Self::Create(InitialState::Active),
        Self::Enable,
        Self::Disable,
        Self::Delete,
        Self::Block,
        Self::Unblock,
        Self::Granted,
        Self::Overruled,
        Self::Lost,
        Self::Restarted,
        Self::Back(InitialState::Standby),
        Self::Back(InitialState::Active),
        Self::Revoke,
        Self::Deleted,
    ];
}

/// What the request that was the input comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The input was no request.
    None,
    /// OK, once it is in effect.
    Accept,
    /// BADSTATE. A VIF whose create is refused ends.
    Refuse,
    /// UNKNOWN_VIF
    Unknown,
    /// Not decided yet.
    Wait,
}

/// One step. A standing of `None` is a VIF that is not there: not yet, or not any more.
#[must_use]
pub fn step(at: Option<Standing>, may: May, input: Input) -> (Option<Standing>, Verdict) {
    use Standing as S;
    let stay = (at, Verdict::None);
    match (at, input) {
        // A create in Deleting is another VIF's: the id is not given out again before its deletion is acknowledged.
        (Some(S::Deleting), Input::Create(_)) => (at, Verdict::Unknown),
        (_, Input::Create(wanted)) => match (may, wanted) {
            (May::Blocked, _) => (Some(S::Disabled), Verdict::Accept),
            (_, InitialState::Standby) => (Some(S::Standby), Verdict::Accept),
            (May::Free, InitialState::Active) => (Some(S::Active), Verdict::Accept),
            (May::Wins, InitialState::Active) => (Some(S::Claiming), Verdict::Wait),
            (May::Loses, InitialState::Active) => (None, Verdict::Refuse),
        },
        // Deleting what is not there is done.
        (Some(S::Deleting), Input::Delete) => (at, Verdict::Accept),
        (_, Input::Delete) => (None, Verdict::Accept),
        (None | Some(S::Away | S::Deleting), Input::Enable | Input::Disable) => (at, Verdict::Unknown),
        (Some(S::Disabled), Input::Enable) => (at, Verdict::Refuse),
        (_, Input::Enable) => match may {
            May::Free => (Some(S::Active), Verdict::Accept),
            May::Wins => (Some(S::Claiming), Verdict::Wait),
            May::Loses => (Some(S::Standby), Verdict::Refuse),
            May::Blocked => (Some(S::Disabled), Verdict::Refuse),
        },
        (Some(S::Disabled), Input::Disable) => (at, Verdict::Accept),
        (_, Input::Disable) => (Some(S::Standby), Verdict::Accept),
        (None, _) => stay,
        (Some(S::Deleting), Input::Deleted | Input::Restarted) => (None, Verdict::None),
        (Some(S::Deleting), _) => stay,
        (_, Input::Revoke) => (Some(S::Deleting), Verdict::None),
        (_, Input::Lost | Input::Restarted) => (Some(S::Away), Verdict::None),
        (Some(S::Away), Input::Back(wanted)) => match (may, wanted) {
            (May::Blocked, _) => (Some(S::Disabled), Verdict::None),
            (May::Free, InitialState::Active) => (Some(S::Active), Verdict::None),
            _ => (Some(S::Standby), Verdict::None),
        },
        (Some(S::Standby | S::Claiming | S::Active), Input::Block) => (Some(S::Disabled), Verdict::None),
        (Some(S::Disabled), Input::Unblock) => (Some(S::Standby), Verdict::None),
        (Some(S::Claiming), Input::Granted) => (Some(S::Active), Verdict::None),
        (Some(S::Claiming | S::Active), Input::Overruled) => (Some(S::Standby), Verdict::None),
        _ => stay,
    }
}
