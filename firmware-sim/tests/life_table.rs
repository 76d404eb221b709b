//! The whole transition table of a VIF's life, cell by cell, and what holds in every cell.

use firmware_sim::life::{Action, Input, Phase, Want, step};
use vntag::ctl::{InitialState, VifState};

/// One line for each phase and input; then what comes out for each wish: gone, standby, active. `.` is no change.
/// A name alone is the phase that comes next, after `+` is what is done.
const TABLE: &str = include_str!("life_table.txt");

fn cell(phase: Phase, want: Want, input: Input) -> String {
    let (next, action) = step(phase, want, input);
    let action = match action {
        Action::None => String::new(),
        Action::Create(InitialState::Standby) => "+create(standby)".to_owned(),
        Action::Create(InitialState::Active) => "+create(active)".to_owned(),
        other => format!("+{}", format!("{other:?}").to_lowercase()),
    };
    if next == phase && action.is_empty() { ".".to_owned() } else { format!("{next:?}{action}") }
}

fn rendered() -> String {
    let mut text = format!("{:<28}{:<20}{:<26}{}\n", "# phase, input", "gone", "standby", "active");
    for phase in Phase::ALL {
        for input in Input::ALL {
            let [gone, standby, active] = Want::ALL.map(|want| cell(phase, want, input));
            if [&gone, &standby, &active].iter().any(|cell| *cell != ".") {
                let head = format!("{phase:?} {input:?}");
                text += &format!("{head:<28}{gone:<20}{standby:<26}{active}\n");
            }
        }
    }
    text
}

#[test]
fn every_transition_is_the_one_in_the_table() {
    let rendered = rendered();
    for (at, (found, expected)) in rendered.lines().zip(TABLE.lines()).enumerate() {
        assert_eq!(found, expected, "line {}", at + 1);
    }
    assert_eq!(rendered.lines().count(), TABLE.lines().count());
}

#[test]
fn what_holds_in_every_cell() {
    for phase in Phase::ALL {
        for want in Want::ALL {
            for input in Input::ALL {
                let (next, action) = step(phase, want, input);
                let cell = format!("{phase:?} {want:?} {input:?} -> {next:?} {action:?}");
                // Each action has its phase, and is taken once.
                let expected = match action {
                    Action::Create(_) => Some(Phase::Creating),
                    Action::Enable => Some(Phase::Enabling),
                    Action::Disable => Some(Phase::Disabling),
                    Action::Delete => Some(Phase::Deleting),
                    Action::None | Action::Forget => None,
                };
                assert!(expected.is_none_or(|expected| next == expected && phase != next), "{cell}");
                // Nothing is asked for that is not wanted.
                let asks = matches!(action, Action::Create(_) | Action::Enable);
                assert!(!(asks && want == Want::Gone), "{cell}");
                let active = matches!(action, Action::Create(InitialState::Active) | Action::Enable);
                assert!(!active || want == Want::Active, "{cell}");
                // Nothing is forgotten or given back that is wanted.
                let ends = matches!(action, Action::Delete | Action::Forget);
                assert!(!ends || want == Want::Gone, "{cell}");
                // The switch's word about a VIF there is counts.
                if phase.is_ready() && want == Want::Active {
                    let after = |state| step(phase, want, Input::Set(state)).0;
                    assert_eq!(after(VifState::Disabled), Phase::Disabled, "{cell}");
                    assert_eq!(after(VifState::Deleted), Phase::Pending, "{cell}");
                }
                // Without a switch nothing moves, and its loss is heard everywhere.
                assert_eq!(step(phase, want, Input::PeerLost), (Phase::Absent, Action::None), "{cell}");
                assert!(phase != Phase::Absent || input == Input::PeerUp || next == phase, "{cell}");
            }
        }
    }
}

/// From every phase, a switch that says yes leads to what is wanted.
#[test]
fn every_wish_is_reached_from_everywhere() {
    for start in Phase::ALL {
        for want in Want::ALL {
            let (mut phase, mut asked) = (start, InitialState::Standby);
            let mut gone = false;
            for _ in 0..8 {
                let input = match phase {
                    Phase::Absent => Input::PeerUp,
                    Phase::Creating => Input::Created(asked),
                    Phase::Enabling | Phase::Disabling | Phase::Deleting => Input::Done,
                    Phase::Pending | Phase::Claimed if want != Want::Gone => Input::Retry,
                    Phase::Disabled if want != Want::Gone => Input::Set(VifState::Standby),
                    _ => Input::Wanted,
                };
                let (next, action) = step(phase, want, input);
                phase = next;
                if let Action::Create(initial) = action {
                    asked = initial;
                }
                if action == Action::Forget {
                    gone = true;
                    break;
                }
            }
            match want {
                Want::Gone => assert!(gone, "{start:?}"),
                Want::Standby => assert_eq!(phase, Phase::Standby, "{start:?}"),
                Want::Active => assert_eq!(phase, Phase::Active, "{start:?}"),
            }
        }
    }
}
