//! The thread that still has, while a daemon starts, what the others gave up.

use std::io;
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::thread::JoinHandle;

type Job = Box<dyn FnOnce() + Send>;

/// A thread that opens what it is asked to; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Opener {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Opener {
    /// It has the capabilities that this thread has now.
    pub(super) fn spawn() -> io::Result<Self> {
        let (jobs, work) = channel::<Job>();
        let thread = std::thread::Builder::new()
            .name("opener".to_owned())
            .spawn(move || work.into_iter().for_each(|job| job()))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Runs a function there and waits for what it returns.
    pub(super) fn run<T: Send + 'static>(&self, open: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = sync_channel(1);
        let job = Box::new(move || {
            // The asker waits for it.
            let _ = done.send(open());
        });
        if let Some(jobs) = &self.jobs {
            // The thread lives as long as `jobs` does.
            let _ = jobs.send(job);
        }
        match result.recv() {
            Ok(result) => result,
            // It panicked, which ends the process (`daemon::run`).
            Err(_) => unreachable!("the thread that opens devices is gone"),
        }
    }
}

impl Drop for Opener {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_opens_comes_back_from_another_thread() {
        let opener = Opener::spawn().unwrap();
        let here = std::thread::current().id();
        let there = opener.run(|| std::thread::current().id());
        assert_ne!(here, there);
        assert_eq!(opener.run(|| std::thread::current().id()), there);
    }
}
