//! Which daemons a request goes to.

use super::Failure;
use crate::client::{self, Client, ClientError};
use crate::command::CommandError;
use core::fmt::Display;
use std::path::{Path, PathBuf};

/// The daemons that a request may go to.
pub(super) struct Daemons {
    clients: Vec<Client>,
    /// Sockets at which another one might have been.
    missing: Vec<PathBuf>,
}

impl Daemons {
    pub(super) fn find(asked: Option<&Path>) -> Result<Self, Failure> {
        let clients = client::find(asked).map_err(not_found)?;
        let missing = client::not_there(asked, &clients);
        Ok(Self { clients, missing })
    }

    /// Asks one daemon after the other until one knows the request. If none does, says what the one said that
    /// understood most of it; but a daemon that cannot be asked might have known it.
    pub(super) fn first<T>(
        &self,
        mut ask: impl FnMut(&Client) -> Result<T, ClientError>,
    ) -> Result<T, Failure> {
        let mut unreachable = None;
        let mut best: Option<CommandError> = None;
        for client in &self.clients {
            match ask(client) {
                Ok(answer) => return Ok(answer),
                Err(ClientError::Command(error)) if !error.kind.was_understood() => {
                    if best.as_ref().is_none_or(|best| (error.line, error.column) > (best.line, best.column))
                    {
                        best = Some(error);
                    }
                }
                Err(error @ ClientError::Unreachable { .. }) => unreachable = unreachable.or(Some(error)),
                Err(error) => return Err(error.into()),
            }
        }
        match (unreachable, best) {
            (Some(error), _) => Err(error.into()),
            (None, Some(error)) => Err(ClientError::Command(error).into()),
            (None, None) => Err(not_found("no daemon to ask")),
        }
    }

    /// Names the daemons that might have known a line which nobody did, but are not there.
    pub(super) fn with_missing(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Client(ClientError::Command(error)) if !error.kind.was_understood() => {
                let listed = |paths: Vec<String>| paths.join(", ");
                let missing = self.missing.iter().map(|place| place.display().to_string()).collect();
                let asked = self.clients.iter().map(|client| client.path().display().to_string()).collect();
                let note = format!("\nnivctl: asked {}; {} is not there", listed(asked), listed(missing));
                Failure::Unknown { error, note: if self.missing.is_empty() { String::new() } else { note } }
            }
            other => other,
        }
    }

    /// Asks every daemon that can be asked; one answer stands alone, several are joined under the nodes' names.
    pub(super) fn all<T, U>(
        &self,
        ask: impl Fn(&Client) -> Result<T, ClientError>,
        each: impl Fn(T) -> U,
        join: impl FnOnce(Vec<(String, U)>) -> U,
    ) -> Result<U, Failure> {
        let mut answers = Vec::new();
        let mut failed = None;
        for client in &self.clients {
            match ask(client) {
                Ok(answer) => {
                    let name = client.path().file_stem().unwrap_or_default().to_string_lossy().into_owned();
                    answers.push((name, each(answer)));
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match (answers.len(), failed) {
            (0, Some(error)) => Err(error.into()),
            (1, _) => answers.pop().map(|(_, answer)| answer).ok_or_else(|| not_found("no daemon to ask")),
            _ => Ok(join(answers)),
        }
    }
}

fn not_found(error: impl Display) -> Failure {
    Failure::Failed(format!("nivctl: {error}"))
}
