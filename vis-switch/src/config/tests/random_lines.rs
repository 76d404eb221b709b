//! Whatever is typed is accepted, and can be shown and read again, or refused with its place and nothing else.

use super::*;
use crate::config::text::running_config;
use niv_node::command::{CONFIG, Cursor};
use proptest::collection::vec;
use proptest::prelude::*;

/// Decides what to type where: each number chooses among what `?` offers.
#[derive(Clone, Debug)]
struct Line {
    /// `no`, `default`, or nothing.
    form: &'static str,
    choices: Vec<u8>,
    value: u8,
    /// Replaces the word at this place by something strange.
    strange: Option<(u8, String)>,
}

fn line() -> impl Strategy<Value = Line> {
    let strange = proptest::option::weighted(0.1, (0..6u8, "[!-~\u{e4}]{1,12}"));
    let form = prop_oneof![6 => Just(""), 2 => Just("no "), 2 => Just("default ")];
    (form, vec(any::<u8>(), 4..16), any::<u8>(), strange).prop_map(|(form, choices, value, strange)| Line {
        form,
        choices,
        value,
        strange,
    })
}

/// A value for what `?` shows as a parameter; few different ones, so that lines meet.
fn sample(word: &str, value: u8) -> String {
    let small = u32::from(value % 5);
    match word {
        "<slot/port>" => format!("1/{small}"),
        "H.H.H" => format!("5254.0000.000{small}"),
        "A.B.C.D" => format!("10.0.{small}.0"),
        "A.B.C.D/LEN" => format!("10.0.0.0/{}", value % 34),
        "WORD" => ["default", "web", "type", "x", "very-long-name"].map(str::to_owned)
            [usize::from(value % 5)]
        .clone(),
        "LINE" => format!("text {value}"),
        word if word.ends_with("[,..]") => format!("{}-{},{}", small + 1, small + 3, u32::from(value) + 9),
        word if word.starts_with('<') => match value {
            250.. => word.trim_matches(['<', '>']).split_once('-').map_or("0", |(_, last)| last).to_owned(),
            _ => (u32::from(value) % 7).to_string(),
        },
        keyword => keyword.to_owned(),
    }
}

fn typed(table: &Table<Session>, cursor: &Cursor, line: &Line) -> String {
    let mut text = line.form.to_owned();
    for choice in &line.choices {
        let mut hints = table.hints(cursor.mode(), &text);
        // Most lines are about an interface or a profile.
        let select = cursor.mode() == CONFIG && text.is_empty() && !line.value.is_multiple_of(8);
        hints.retain(|hint| match hint.word.as_str() {
            "exit" | "end" => line.value.is_multiple_of(16),
            word => !select || ["interface", "port-profile", "ip"].contains(&word),
        });
        let Some(hint) = hints.get(usize::from(*choice) % hints.len().max(1)) else { break };
        if hint.word == "<cr>" {
            break;
        }
        text.push_str(&sample(&hint.word, line.value));
        text.push(' ');
    }
    if let Some((place, word)) = &line.strange {
        let mut words: Vec<&str> = text.split_whitespace().collect();
        words.insert(usize::from(*place) % (words.len() + 1), word);
        text = words.join(" ");
    }
    text.trim_end().to_owned()
}

proptest! {
    #[test]
    fn lines_are_accepted_or_refused_where_they_stand(lines in vec(line(), 0..100)) {
        let table = table();
        let begin = || Session { config: initial(), selected: None, asked: [(1, name("web")), (40, name("web"))].into() };
        let (mut session, mut cursor) = (begin(), Cursor::config());
        let mut accepted = String::new();
        for line in &lines {
            let text = typed(table, &cursor, line);
            let before = (session.config.clone(), session.selected.clone(), cursor.clone());
            let Err(error) = table.line(&mut cursor, &mut session, &text) else {
                accepted.push_str(&format!("{text}\n"));
                continue;
            };
            let width = text.chars().count();
            prop_assert!((1..=width + 2).contains(&error.column), "{}", error);
            prop_assert!(error.message.ends_with(['.', '"']), "{}", error);
            // As part of a text it has its line, too.
            let whole = format!("{accepted}{text}\n");
            let of_text = table.configure(&mut begin(), &whole).unwrap_err();
            prop_assert_eq!(of_text.line, Some(whole.lines().count()));
            prop_assert_eq!((of_text.column, &of_text.message), (error.column, &error.message));
            (session.config, session.selected, cursor) = before;
        }
        let shown = running_config(&session.config);
        let again = configure(&initial(), &shown).map_err(|error| TestCaseError::fail(format!("{error}\n{shown}")))?;
        prop_assert!(again == session.config, "{}", shown);
    }
}
