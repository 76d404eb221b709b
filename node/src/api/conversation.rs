//! One line of a conversation.

use super::http::as_allowed;
use super::{Client, Daemon};
use crate::command::{CommandError, Place, Wanted};
use serde::{Deserialize, Serialize};

/// What came of a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The answer, for people.
    pub text: String,
    /// Where the conversation stands now.
    pub place: Place,
    /// What the prompt shows; nothing at the exec prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
}

/// Runs a line where the conversation stands.
///
/// # Errors
/// It was not understood, or refused; the conversation stays where it is.
pub(super) fn step(
    daemon: &dyn Daemon,
    client: &Client,
    place: &Place,
    line: &str,
) -> Result<Step, CommandError> {
    let understood = daemon.language().understand(place, line)?;
    let begins = place.is_exec() && !understood.after.is_exec();
    let change = (begins || understood.changes()).then(|| match &understood.wanted {
        Wanted::Answer(_) => line,
        Wanted::Exec { line, .. } => line,
        Wanted::Configure(text) => text,
    });
    let output = as_allowed(daemon, client, change, || match &understood.wanted {
        Wanted::Answer(output) => Ok(output.clone()),
        Wanted::Exec { line: exec, behind, .. } => {
            daemon.exec(exec).map_err(|error| error.moved(*behind, line))
        }
        // The lines before it are none that the client sent just now.
        Wanted::Configure(text) => daemon.configure(text).map_err(CommandError::without_line),
    })?;
    let prompt = understood.prompt.map(str::to_owned);
    Ok(Step { text: output.to_string(), place: understood.after, prompt })
}
