//! `docs/operations.md` is true: what is typed there is answered as it is printed there.

use super::transcript::Replay;

#[test]
fn the_tasks_of_a_network_engineer_go_as_they_are_described() {
    Replay::page("operations.md");
}
