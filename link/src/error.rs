//! Why a device could not be opened.

use std::io;

/// A device that could not be opened: which one, what is wrong, and where one is known, what mends it. The text is whole:
/// what the system said is in it.
#[derive(Debug, thiserror::Error)]
#[error("{device}: {problem}")]
pub struct OpenError {
    device: String,
    problem: String,
    cause: Option<io::Error>,
}

impl OpenError {
    /// `device` as the user wrote it, `problem` as a sentence for people.
    #[must_use]
    pub fn new(device: &(impl ToString + ?Sized), problem: impl Into<String>) -> Self {
        Self { device: device.to_string(), problem: problem.into(), cause: None }
    }

    /// A step that the system refused: the error's text is put behind `step`.
    #[must_use]
    pub fn io(device: &(impl ToString + ?Sized), step: impl AsRef<str>, cause: io::Error) -> Self {
        Self {
            device: device.to_string(),
            problem: format!("{}: {cause}", step.as_ref()),
            cause: Some(cause),
        }
    }

    /// What is wrong, without the device.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// The system error behind it, where there is one.
    #[must_use]
    pub fn cause(&self) -> Option<&io::Error> {
        self.cause.as_ref()
    }
}
