//! What is shown of a running lab: who reaches whom, how fast, and who gets a broadcast.

use super::agent::Agent;
use super::running::{Lab, in_host, start_again};
use super::say;
use super::topology::{HOST, VMS};
use anyhow::{Context, Result, anyhow, bail};
use std::time::{Duration, Instant};

/// Somebody who can be asked to ping: a guest, or the host behind the switch.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    Guest(usize, &'a Agent),
    Host,
}

impl Place<'_> {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Guest(nr, _) => VMS[nr].name,
            Self::Host => "host",
        }
    }

    /// Its address.
    pub(crate) fn ip(self) -> &'static str {
        match self {
            Self::Guest(nr, _) => VMS[nr].ip,
            Self::Host => HOST,
        }
    }

    /// Pings `to`: how many of `count` answers came, and the best round trip in milliseconds.
    pub(crate) fn ping(self, to: &str, count: u32) -> Result<(u32, Option<f64>)> {
        let words = format!("ping -c {count} -i 0.2 -W 1 {to}");
        let text = match self {
            Self::Guest(_, agent) => agent.run(&words, Duration::from_secs(20))?.text,
            // Its exit code says only what the text says better.
            Self::Host => {
                let mut words = words.split(' ');
                let done = in_host(words.next().unwrap_or_default()).args(words).output().context("ping")?;
                String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned()
            }
        };
        parse_ping(&text).ok_or_else(|| anyhow!("{}: ping said: {}", self.name(), text.trim()))
    }
}

/// Reads the summary of busybox's ping and of iputils'.
fn parse_ping(text: &str) -> Option<(u32, Option<f64>)> {
    let summary = text.lines().find(|line| line.contains("packets transmitted"))?;
    let received = summary.split(", ").nth(1)?.split(' ').next()?.parse().ok()?;
    let best = text
        .lines()
        .find(|line| line.contains("min/avg/max"))
        .and_then(|line| line.split("= ").nth(1)?.split('/').next()?.parse().ok());
    Some((received, best))
}

/// Everybody in the lab.
pub(crate) fn places(lab: &Lab) -> Vec<Place<'_>> {
    lab.agents().iter().enumerate().map(|(nr, agent)| Place::Guest(nr, agent)).chain([Place::Host]).collect()
}

/// Everybody pings everybody else. Gives the table to show, one line each, and how many directions there are.
pub(crate) fn everybody_pings(lab: &Lab) -> Result<(Vec<String>, usize)> {
    const COUNT: u32 = 3;
    let places = places(lab);
    let rows: Vec<Result<Vec<String>>> = std::thread::scope(|scope| {
        let rows: Vec<_> = places.iter().map(|from| scope.spawn(|| row(*from, &places, COUNT))).collect();
        rows.into_iter().map(|row| row.join().unwrap_or_else(|_| Err(anyhow!("ping panicked")))).collect()
    });
    let names: Vec<_> = places.iter().map(|p| format!("{:>9}", p.name())).collect();
    let mut table = vec![format!("from \\ to {}", names.join(""))];
    for (from, row) in places.iter().zip(rows) {
        table.push(format!("{:>9} {}", from.name(), row?.join("")));
    }
    Ok((table, places.len() * (places.len() - 1)))
}

fn row(from: Place<'_>, all: &[Place<'_>], count: u32) -> Result<Vec<String>> {
    let mut cells = Vec::new();
    for to in all {
        if to.name() == from.name() {
            cells.push(format!("{:>9}", "-"));
            continue;
        }
        let (answers, best) = from.ping(to.ip(), count)?;
        if answers != count {
            bail!("{} to {}: {answers} of {count} pings answered", from.name(), to.name());
        }
        cells.push(format!("{:>9}", best.map_or_else(String::new, |ms| format!("{ms:.1} ms"))));
    }
    Ok(cells)
}

/// One TCP stream from one guest to another: megabits a second, as its receiver counted them.
pub(crate) fn iperf3(lab: &Lab, from: usize, to: usize) -> Result<f64> {
    let (client, server) = (&lab.agents()[from], &lab.agents()[to]);
    server.must("iperf3 -s -1 -D", Duration::from_secs(10))?;
    let command = format!("iperf3 -c {} -n 16M -J", VMS[to].ip);
    let text = client.must(&command, Duration::from_secs(60))?;
    let report: serde_json::Value = serde_json::from_str(&text).context("iperf3's report")?;
    let rate = report["end"]["sum_received"]["bits_per_second"].as_f64().context("iperf3 reports no rate")?;
    if rate <= 0.0 {
        bail!("iperf3 moved nothing");
    }
    Ok(rate / 1e6)
}

/// The first guest broadcasts one frame that says `text`: how often each guest got it.
pub(crate) fn broadcast(lab: &Lab, text: &str) -> Result<Vec<usize>> {
    // Long enough for a second copy to arrive, should there be one.
    const WINDOW: Duration = Duration::from_millis(1500);
    let patience = Duration::from_secs(20);
    let agents = lab.agents();
    let command = format!("lab inside watch eth0 --ms {}", WINDOW.as_millis());
    let watches = agents.iter().map(|agent| agent.begin(&command, patience)).collect::<Result<Vec<_>>>()?;
    for watch in &watches {
        watch.until(patience, |line| line == "ready")?;
    }
    agents[0].must(&format!("lab inside broadcast eth0 {text}"), patience)?;
    let want = format!("frame {text}");
    let count = |text: &str| text.lines().filter(|line| *line == want).count();
    watches.into_iter().map(|watch| Ok(count(&watch.wait(patience)?.text))).collect()
}

/// What a stop and a start of the switch did.
pub(crate) struct Outage {
    /// Pings that were answered while it was away, of how many.
    pub(crate) answered: (u32, u32),
    /// From the start of its process to the first answer between two guests of one adapter.
    pub(crate) back: Duration,
}

/// Stops the switch, tries, starts it again and waits for the first answer.
pub(crate) fn outage(lab: &mut Lab) -> Result<Outage> {
    const TRIES: u32 = 3;
    let before = lab.pids();
    lab.stop_switch();
    let pings: Vec<Result<(u32, Option<f64>)>> = std::thread::scope(|scope| {
        let places = places(lab);
        let (one, two) = (places[0], places[1]);
        let pings = [(one, two), (two, one)].map(|(from, to)| scope.spawn(move || from.ping(to.ip(), TRIES)));
        pings.map(|ping| ping.join().unwrap_or_else(|_| Err(anyhow!("ping panicked")))).into_iter().collect()
    });
    let mut answered = 0;
    for ping in pings {
        answered += ping?.0;
    }
    // The guest tries ten times a second, so that what is measured is the switch and not the next try.
    let agent = &lab.agents()[0];
    let command = format!("for try in 1 2 3 4; do ping -i 0.1 -w 4 {} && break; done", VMS[1].ip);
    let ping = agent.begin(&command, Duration::from_secs(20))?;
    ping.until(Duration::from_secs(5), |line| line.starts_with("PING"))?;
    let began = Instant::now();
    let switch = start_again()?;
    ping.until(Duration::from_secs(20), |line| line.contains("bytes from"))?;
    let back = began.elapsed();
    drop(ping);
    lab.put_switch(switch);
    lab.check()?;
    if lab.pids() != before {
        bail!("an adapter or a guest was restarted");
    }
    Ok(Outage { answered: (answered, 2 * TRIES), back })
}

/// Prints one proven fact with its number.
pub(crate) fn fact(nr: &mut u32, text: &str) {
    *nr += 1;
    say::line(&format!("  {} {} {text}", say::green("✓"), say::bold(&format!("{nr:>2}"))));
}

#[cfg(test)]
mod tests {
    use super::parse_ping;

    #[test]
    fn both_kinds_of_ping_are_read() {
        let busybox = "PING 10.10.0.2 (10.10.0.2): 56 data bytes\n\n--- 10.10.0.2 ping statistics ---\n\
            3 packets transmitted, 3 packets received, 0% packet loss\nround-trip min/avg/max = 2.385/12.728/32.914 ms\n";
        assert_eq!(parse_ping(busybox), Some((3, Some(2.385))));
        let iputils = "3 packets transmitted, 2 received, 33% packet loss, time 402ms\n\
            rtt min/avg/max/mdev = 0.412/0.5/0.6/0.1 ms\n";
        assert_eq!(parse_ping(iputils), Some((2, Some(0.412))));
        let none = "3 packets transmitted, 0 packets received, 100% packet loss\n";
        assert_eq!(parse_ping(none), Some((0, None)));
    }
}
