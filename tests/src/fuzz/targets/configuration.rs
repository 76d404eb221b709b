//! Configuration lines: whatever is typed is accepted, and then shown as lines that make the same, or refused where it
//! stands.

use niv_node::config::File;
use vis_switch::config::chassis::Chassis;
use vis_switch::config::draft::{configure, restore};
use vis_switch::config::running::RunningConfig;
use vis_switch::config::text::running_config;

/// One port of each kind: an NIV link without negotiation, one with, two ordinary ones.
const CHASSIS: &str = concat!(
    include_str!("../../../../vis-switch/src/config/tests/chassis.toml"),
    r#"
[[port]]
name = "ethernet1/4"
mode = "vntag"
device = "memif:link1.sock"
"#
);

/// What a chassis with these ports begins with.
pub(super) fn initial() -> RunningConfig {
    Chassis::from_file(&File::new("vis.toml", CHASSIS)).expect("a chassis").initial()
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    // More is in the corpus, and in every document that shows lines.
    vec![running_config(&initial()).into_bytes()]
}

pub(super) fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match configure(initial(), &text) {
        Ok(config) => is_shown(&config),
        Err(error) => {
            let line = error.line.and_then(|line| text.lines().nth(line.checked_sub(1)?));
            let width = line.expect("the line that is wrong").chars().count();
            assert!((1..=width + 2).contains(&error.column), "{error}");
            assert!(!error.message.is_empty());
        }
    }
    // As what is found when the switch starts: never refused as a whole.
    let (config, left_out) = restore(initial(), &text);
    assert!(left_out.iter().all(|error| error.line.is_some_and(|line| line <= text.lines().count())));
    is_shown(&config);
}

/// What is shown makes the same again, and nothing of it is left out.
pub(super) fn is_shown(config: &RunningConfig) {
    let shown = running_config(config);
    let again = configure(initial(), &shown);
    assert_eq!(again.as_ref(), Ok(config), "{shown}");
    assert_eq!(restore(initial(), &shown), (config.clone(), Vec::new()), "{shown}");
    assert_eq!(again.map(|again| running_config(&again)), Ok(shown));
}
