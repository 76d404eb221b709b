//! The page.

use super::{Finding, Report, Severity, Step};
use serde_json::{Value, json};

/// A word as a shell takes it.
#[must_use]
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=,./:@+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// Words as a shell takes them; blanks part them.
fn quote_line(line: &str) -> String {
    line.split_whitespace().map(quote).collect::<Vec<_>>().join(" ")
}

/// What to paste into a shell, for a step that is done there.
fn command(step: &Step, nivctl: &str) -> Option<String> {
    match step {
        Step::Configure(lines) => {
            // Always in quotes: each is a line, and looks like one.
            let lines: Vec<String> =
                lines.iter().map(|line| format!("'{}'", line.replace('\'', "'\\''"))).collect();
            Some(format!("printf '%s\\n' {} | {nivctl} configure -", lines.join(" ")))
        }
        Step::Exec(line) | Step::See(line) => Some(format!("{nivctl} {}", quote_line(line))),
        Step::Shell(line) => Some(line.clone()),
        Step::Advice(_) => None,
    }
}

/// A finding for programs: commands that mend it, commands that show more, and words.
#[must_use]
pub fn commands(finding: &Finding, nivctl: &str) -> Value {
    let mut value = json!(finding);
    let of = |see: bool| {
        let steps = finding.steps.iter().filter(move |step| matches!(step, Step::See(_)) == see);
        steps.filter_map(|step| command(step, nivctl)).collect::<Vec<_>>()
    };
    let advice = finding.steps.iter().filter_map(|step| match step {
        Step::Advice(text) => Some(text.clone()),
        _ => None,
    });
    (value["mend"], value["see"]) = (of(false).into(), of(true).into());
    value["advice"] = advice.collect::<Vec<_>>().into();
    if let Some(fields) = value.as_object_mut() {
        for internal in ["steps", "count", "told_by"] {
            fields.remove(internal);
        }
    }
    value
}

fn label(step: &Step) -> &'static str {
    match step {
        Step::Configure(_) | Step::Exec(_) | Step::Shell(_) => "mend",
        Step::See(_) => "see",
        Step::Advice(_) => "do",
    }
}

/// How many of what.
fn counted(report: &Report) -> String {
    let parts: Vec<String> = [Severity::Problem, Severity::Warning, Severity::Hint]
        .into_iter()
        .map(|severity| (report.count(severity), severity.word()))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}{}", if count == 1 { "" } else { "s" }))
        .collect();
    if report.is_healthy() && parts.is_empty() {
        "healthy".to_owned()
    } else if report.is_healthy() {
        format!("healthy, {}", parts.join(", "))
    } else {
        parts.join(", ")
    }
}

pub(super) fn page(report: &Report, nivctl: &str) -> String {
    let Report { node, daemon, version, .. } = report;
    let title = match (daemon.is_empty(), version.is_empty()) {
        (true, _) => node.clone(),
        (false, true) => format!("{node} ({daemon})"),
        (false, false) => format!("{node} ({daemon} {version})"),
    };
    let mut text = format!("{title}: {}\n", counted(report));
    for line in &report.fine {
        text.push_str(&format!("  ok       {line}\n"));
    }
    let mut findings: Vec<&Finding> = report.findings.iter().collect();
    findings.sort_by_key(|finding| finding.severity);
    for finding in findings {
        write(&mut text, finding, nivctl);
    }
    if report.left_out > 0 {
        text.push_str(&format!("  and {} more like these\n", report.left_out));
    }
    text
}

fn write(text: &mut String, finding: &Finding, nivctl: &str) {
    let word = match finding.severity {
        Severity::Problem => "PROBLEM",
        Severity::Warning => "WARNING",
        Severity::Hint => "hint",
    };
    let more = if finding.more > 0 { format!(" and {} more", finding.more) } else { String::new() };
    let things = finding.things.join(", ");
    text.push_str(&format!("  {word:<7}  {}: {things}{more}\n", finding.code));
    let line = |text: &mut String, label: &str, what: &str| {
        text.push_str(&format!("           {label:<5}{what}\n"));
    };
    line(text, "what", &finding.what);
    line(text, "why", &finding.why);
    for step in &finding.steps {
        let what = match step {
            Step::Advice(words) => words.clone(),
            _ => command(step, nivctl).unwrap_or_default(),
        };
        line(text, label(step), &what);
    }
}
