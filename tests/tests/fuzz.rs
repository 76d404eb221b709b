//! Every input that is kept, on its target; and the fuzzer itself, on faults that are there on purpose.

use niv_lab::fuzz::corpus;
use niv_lab::fuzz::targets::TARGETS;
use std::path::Path;
use std::process::Command;

#[test]
fn nothing_that_is_kept_does_harm() {
    for target in TARGETS {
        let kept = corpus::of(target).expect("a corpus");
        let seeds = (target.seeds)().into_iter().enumerate().map(|(at, seed)| (format!("seed {at}"), seed));
        for (name, input) in kept.into_iter().chain(seeds).chain([("nothing".to_owned(), Vec::new())]) {
            if std::panic::catch_unwind(|| (target.run)(&input)).is_err() {
                panic!("{}: {name}", target.name);
            }
        }
    }
}

/// A name of a folder that is no target's would never be tried.
#[test]
fn every_folder_is_a_targets() {
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")).expect("a corpus") {
        let name = entry.expect("an entry").file_name();
        assert!(TARGETS.iter().any(|target| *target.name == *name), "{}", name.display());
    }
}

/// Runs the command: whether it found nothing, and what it said.
fn lab(arguments: &[&str]) -> (bool, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_lab")).arg("fuzz").args(arguments).output().expect("a program");
    let (said, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), format!("{said}{error}"))
}

/// Finds what is planted; says with which words, and how long the input is that is left.
fn finds(target: &str, words: &str) -> usize {
    let (clean, said) = lab(&[target, "--blind", "--seconds", "60", "--patience", "2"]);
    assert!(!clean && said.contains(words), "{said}");
    let again =
        said.lines().find_map(|line| line.split_once("--input target/lab/")).expect("how to try it again").1;
    let lab_folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/lab");
    let file = lab_folder.join(again);
    let (clean, said) = lab(&[target, "--patience", "2", "--input", &file.display().to_string()]);
    assert!(!clean && said.contains(words), "{said}");
    let text = std::fs::read_to_string(&file).expect("the input");
    std::fs::remove_file(file).expect("not kept");
    text.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace).count()
}

#[test]
fn a_panic_is_found_and_made_short() {
    assert_eq!(finds("planted-panic", "panicked at tests/src/fuzz/targets/planted.rs"), 1);
}

#[test]
fn a_broken_law_is_found_and_made_short() {
    assert_eq!(finds("planted-law", "what is read is what is written"), 1);
}

#[test]
fn a_hang_is_found_and_made_short() {
    assert_eq!(finds("planted-hang", "takes too long"), 1);
}

#[test]
fn growth_without_end_is_found_and_made_short() {
    assert_eq!(finds("planted-growth", "asks for memory without end"), 1);
    assert_eq!(finds("planted-depth", "has overflowed its stack"), 1);
}

#[test]
fn nothing_is_found_where_nothing_is() {
    let (clean, said) = lab(&["pdu", "frame", "--blind", "--seconds", "0.2", "--seed", "1"]);
    assert!(clean && said.contains("✓ pdu") && said.contains("✓ frame"), "{said}");
    let (clean, said) = lab(&["nonsense"]);
    assert!(!clean && said.contains("nonsense") && said.contains("there are pdu, lldp"), "{said}");
}
