//! Fuzzing of everything that a peer, a driver in a guest, a person or a broken disk can give to the control plane.
//!
//! A [`Target`] takes any octets whatever as its input. It fails by a panic (its own, where a law does not hold, or one of
//! the tested code), by taking too long, or by asking for too much memory. [`command`] runs targets, each in a
//! process of its own (`child`), watched by this one (`supervise`), so that nothing ends the search unseen. The search
//! (`fuzzer`, `mutate`) is guided by the places of the program that inputs come to (`counters`): inputs that came to a
//! new one are changed further. What failed once is kept in [`corpus`], with inputs worth trying always; an
//! ordinary test tries them all.
//!
//! `docs/decisions/0006-fuzzing.md` says why this is our own.

mod child;
pub mod command;
pub mod corpus;
pub mod counters;
mod fuzzer;
mod mutate;
mod supervise;
pub mod targets;

/// Where findings go, and what is needed meanwhile, under `target/lab`.
const FINDINGS: &str = "fuzz";

/// Something that is fuzzed.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of the folder with its inputs.
    pub name: &'static str,
    /// What an input is, in one line.
    pub about: &'static str,
    /// How inputs are changed, and how they are written in files.
    pub form: Form,
    /// Inputs to begin with: good ones, made by the code under test or shown in the documents.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Runs one input. Panics where the code under test has a fault.
    pub run: fn(&[u8]),
}

/// What inputs are made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// Octets.
    Octets,
    /// Lines of words.
    Text,
}
