//! The engines once more, as naive as possible: written from the conformance tables, line by line, over plain
//! lists, without a table, a cache or a line of the code under test. A frame is a `Vec<u8>`, a drop is the name
//! of a line (`"I12"`).

pub mod adapter;
pub mod gen_frames;
mod octets;
pub mod sender;
pub mod switch;

pub use octets::Octets;

/// The name of a line of the conformance tables, or of a drop that has no line.
pub type Line = &'static str;

/// Whether random tests try everything they can: in release builds and under CI.
#[must_use]
pub fn is_thorough() -> bool {
    !cfg!(debug_assertions) || std::env::var_os("CI").is_some()
}

/// How many random worlds a property is tried in: 10,000 in a thorough run, fewer in a quick one; `NIV_WORLDS` overrides
/// it.
#[must_use]
pub fn worlds() -> u32 {
    let asked = std::env::var("NIV_WORLDS").ok().and_then(|worlds| worlds.parse().ok());
    asked.unwrap_or(if is_thorough() { 10_000 } else { 1_000 })
}
