//! Threads without which a daemon is none.

use crate::stop::Stop;
use std::io;
use std::thread::JoinHandle;

/// Does `work` on a thread of its own. However it ends, it requests the stop: a daemon whose worker is gone only looks
/// alive.
///
/// # Errors
/// No thread can be started. What `work` returns is the thread's result.
pub fn spawn(
    name: &str,
    stop: &Stop,
    work: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> io::Result<JoinHandle<io::Result<()>>> {
    let stop = stop.clone();
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let ended = work();
        stop.request();
        ended
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_part_is_the_end_of_all() {
        let stop = Stop::new().expect("a stop");
        let part = spawn("part", &stop, || Err(io::Error::other("no such cpu"))).expect("a thread");
        stop.wait();
        assert_eq!(part.join().expect("no panic").expect_err("what it said").to_string(), "no such cpu");
    }
}
