//! What a person sees: headings, steps that show they are alive, facts with their numbers.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Whether the output is a terminal that wants colours and rewriting.
pub(crate) fn fancy() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

fn paint(code: &str, text: &str) -> String {
    if fancy() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

/// Strong text.
pub(crate) fn bold(text: &str) -> String {
    paint("1", text)
}

/// Text that steps back.
pub(crate) fn dim(text: &str) -> String {
    paint("2", text)
}

/// Good.
pub(crate) fn green(text: &str) -> String {
    paint("32", text)
}

/// Bad.
pub(crate) fn red(text: &str) -> String {
    paint("31", text)
}

/// A line of its own.
pub(crate) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    // A closed pipe is not the lab's failure.
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Starts a new part.
pub(crate) fn heading(text: &str) {
    line("");
    line(&bold(text));
}

/// Seconds for people.
pub(crate) fn seconds(time: Duration) -> String {
    let s = time.as_secs_f64();
    if s < 100.0 {
        format!("{s:.1} s")
    } else {
        format!("{} min {:02} s", time.as_secs() / 60, time.as_secs() % 60)
    }
}

/// A piece of work that takes time. On a terminal the line counts the seconds until it ends.
pub(crate) struct Step {
    what: String,
    started: Instant,
    over: Arc<AtomicBool>,
    ticker: Option<JoinHandle<()>>,
}

impl Step {
    /// Announces the work.
    pub(crate) fn begin(what: &str) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let started = Instant::now();
        let ticker = fancy().then(|| {
            let (over, what) = (Arc::clone(&over), what.to_owned());
            std::thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let mut out = std::io::stdout().lock();
                    let _ = write!(
                        out,
                        "\r\x1b[K  \x1b[2m…\x1b[0m {what} \x1b[2m{}\x1b[0m",
                        seconds(started.elapsed())
                    )
                    .and_then(|()| out.flush());
                    drop(out);
                    std::thread::park_timeout(Duration::from_millis(200));
                }
            })
        });
        Self { what: what.to_owned(), started, over, ticker }
    }

    fn stop_ticking(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(ticker) = self.ticker.take() {
            ticker.thread().unpark();
            let _ = ticker.join();
            let mut out = std::io::stdout().lock();
            let _ = write!(out, "\r\x1b[K").and_then(|()| out.flush());
        }
    }

    /// Ends it well; `detail` says what came of it.
    pub(crate) fn done(mut self, detail: &str) {
        self.stop_ticking();
        let time = seconds(self.started.elapsed());
        let gap = if detail.is_empty() { "" } else { ": " };
        line(&format!("  {} {}{gap}{detail} {}", green("✓"), self.what, dim(&format!("({time})"))));
    }
}

impl Drop for Step {
    /// A step that was not done has failed, or was cut short by a failure.
    fn drop(&mut self) {
        if self.over.load(Ordering::Relaxed) {
            return;
        }
        self.stop_ticking();
        line(&format!("  {} {}", red("✗"), self.what));
    }
}
