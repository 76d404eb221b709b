//! The whole transition table of a VIF's life at the switch, cell by cell, and what holds in every cell.

use crate::control::life::{Input, May, Standing, Verdict, step};
use vntag::ctl::InitialState;

/// One line for each standing and input; then what comes of it where the VIF may be active, where it may because the
/// active one has to yield, where it may not, and where the vEth is kept down. `.` is no change; after `+` is what the
/// adapter is answered.
const TABLE: &str = include_str!("life_table.txt");

fn standings() -> impl Iterator<Item = Option<Standing>> {
    core::iter::once(None).chain(Standing::ALL.map(Some))
}

fn name(at: Option<Standing>) -> &'static str {
    at.map_or("none", Standing::name)
}

fn cell(at: Option<Standing>, may: May, input: Input) -> String {
    let (next, verdict) = step(at, may, input);
    let verdict = match verdict {
        Verdict::None => String::new(),
        other => format!("+{}", format!("{other:?}").to_lowercase()),
    };
    if next == at && verdict.is_empty() { ".".to_owned() } else { format!("{}{verdict}", name(next)) }
}

fn rendered() -> String {
    let head = May::ALL.map(|may| format!("{may:?}").to_lowercase());
    let mut text =
        format!("{:<28}{:<17}{:<17}{:<17}{}\n", "# standing, input", head[0], head[1], head[2], head[3]);
    for at in standings() {
        for input in Input::ALL {
            let cells = May::ALL.map(|may| cell(at, may, input));
            if cells.iter().any(|cell| cell != ".") {
                let [free, wins, loses, blocked] = cells;
                let head = format!("{} {input:?}", name(at));
                text += &format!("{head:<28}{free:<17}{wins:<17}{loses:<17}{blocked}\n");
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
    for at in standings() {
        for may in May::ALL {
            for input in Input::ALL {
                let (next, verdict) = step(at, may, input);
                let cell = format!("{at:?} {may:?} {input:?} -> {next:?} {verdict:?}");
                let request =
                    matches!(input, Input::Create(_) | Input::Enable | Input::Disable | Input::Delete);
                assert_eq!(verdict != Verdict::None, request, "{cell}");
                // Nobody becomes active who may not; the decision about a claim has been made before.
                if next == Some(Standing::Active) && at != next && input != Input::Granted {
                    assert_eq!(may, May::Free, "{cell}");
                }
                // A VIF claims only where somebody has to yield, and is not answered meanwhile.
                let claims = next == Some(Standing::Claiming) && at != next;
                assert!(!claims || (may == May::Wins && verdict == Verdict::Wait), "{cell}");
                // C10: what is being taken back stays that until the adapter says so, or has forgotten it.
                if at == Some(Standing::Deleting) {
                    let ends = matches!(input, Input::Deleted | Input::Restarted);
                    assert_eq!(next, if ends { None } else { at }, "{cell}");
                }
                // What is refused is not there afterwards, or as it was but for being active.
                if verdict == Verdict::Refuse && matches!(input, Input::Create(_)) {
                    assert_eq!(next, None, "{cell}");
                }
                // C12: a shut vEth has no open VIF after any request.
                if request && may == May::Blocked && !matches!(input, Input::Disable) {
                    assert!(next.is_none_or(|next| !next.is_open()), "{cell}");
                }
            }
        }
    }
}

/// From everywhere, an adapter that asks and a switch that lets it come to what is asked for.
#[test]
fn every_wish_is_granted_from_everywhere() {
    for at in standings().filter(|at| *at != Some(Standing::Deleting)) {
        for (wish, end) in
            [(InitialState::Standby, Standing::Standby), (InitialState::Active, Standing::Active)]
        {
            assert_eq!(step(at, May::Free, Input::Create(wish)), (Some(end), Verdict::Accept), "{at:?}");
            let (claiming, _) = step(at, May::Wins, Input::Create(wish));
            assert_eq!(step(claiming, May::Free, Input::Granted).0, Some(end), "{at:?}");
        }
        let (gone, verdict) = step(at, May::Free, Input::Delete);
        assert_eq!((gone, verdict), (None, Verdict::Accept));
    }
}
