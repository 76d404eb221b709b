//! `show access-lists`

use super::{Answer, Session};
use crate::config::running::AclLine;
use niv_node::command::Args;
use niv_node::output::Output;
use serde_json::{Value, json};
use std::sync::Arc;

/// All lists, or one: each line with the packets that it has decided about.
pub(super) fn show(session: &mut Session, args: &Args) -> Answer {
    let config = Arc::clone(&session.switch.state().config);
    let wanted = args.get_text("list");
    let (mut text, mut value) = (String::new(), Vec::new());
    let lists = config.access_lists().iter();
    for (name, list) in lists.filter(|(name, _)| wanted.is_none_or(|wanted| name.as_str() == wanted)) {
        let unmatched = list.unmatched();
        text.push_str(&format!("{}IP access list {name}\n", if text.is_empty() { "" } else { "\n" }));
        text.push_str(&format!("        statistics per-entry, denied without a match: {unmatched}\n"));
        let mut lines: Vec<Value> = Vec::new();
        for (number, line, matches) in list.lines() {
            match line {
                AclLine::Remark(_) => {
                    text.push_str(&format!("        {number} {line}\n"));
                    lines.push(json!({ "number": number, "line": line.to_string() }));
                }
                AclLine::Rule(_) => {
                    text.push_str(&format!("        {number} {line} [match={matches}]\n"));
                    lines.push(json!({ "number": number, "line": line.to_string(), "matches": matches }));
                }
            }
        }
        let used = config.access_list_users(name);
        value.push(json!({ "name": name.as_str(), "lines": lines, "unmatched": unmatched, "used": used }));
    }
    match wanted {
        Some(wanted) if value.is_empty() => {
            Err(args.refuse("list", format!("There is no access list {wanted}.")))
        }
        _ => Ok(Output::prose(text, value.into()).into()),
    }
}
