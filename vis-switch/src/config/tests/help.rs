//! `?`: there is a word of help for everything that can be typed.

use crate::config::commands::{CONFIG_ACL, CONFIG_ETH, CONFIG_PROFILE, CONFIG_VETH, CONFIG_VLAN};
use niv_node::command::{CONFIG, EXEC};

/// Something that fits where `?` shows this.
fn sample(word: &str) -> &str {
    match word {
        "<slot/port>" => "1/1",
        "H.H.H" => "5254.0000.0001",
        "A.B.C.D" => "10.0.0.1",
        "A.B.C.D/LEN" => "10.0.0.0/8",
        "WORD" | "LINE" => "x",
        number => number.strip_prefix('<').and_then(|rest| rest.split('-').next()).unwrap_or(number),
    }
}

#[test]
fn every_word_has_help() {
    let table = crate::admin::table();
    let mut missing = Vec::new();
    for mode in [EXEC, CONFIG, CONFIG_VETH, CONFIG_ETH, CONFIG_PROFILE, CONFIG_ACL, CONFIG_VLAN] {
        let mut waiting = vec![String::new()];
        while let Some(line) = waiting.pop() {
            for hint in table.hints(mode, &line) {
                if hint.help.is_empty() {
                    missing.push(format!("{}: {line}{}", mode.name(), hint.word));
                }
                if hint.word != "<cr>" && !["exit", "end", "|"].contains(&hint.word.as_str()) {
                    waiting.push(format!("{line}{} ", sample(&hint.word)));
                }
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}
