//! What is shown of a running lab: who reaches whom, how fast, and who gets a broadcast.

use super::agent::Agent;
use super::balance;
use super::carrier::Carrier;
use super::packages::output;
use super::paths::{self, RUN};
use super::running::{Lab, in_host, start_again};
use super::say;
use super::topology::{self, HOST, VMS};
use anyhow::{Context, Result, anyhow, bail};
use std::fs;
use std::path::Path;
use std::process::Command;
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
        let row = row.map_err(|error| anyhow!("{error} (dropped so far: {})", balance::all_drops()))?;
        table.push(format!("{:>9} {}", from.name(), row.join("")));
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

/// Shuts a guest's interface on the switch and opens it again: after what time the guest saw either. It sees exactly
/// these two changes.
pub(crate) fn shutdown(lab: &Lab, guest: usize, veth: u32) -> Result<(Duration, Duration)> {
    let mut carrier = Carrier::watch(&lab.agents()[guest])?;
    let (_, before) = carrier.last;
    let set = |line: &str| {
        let began = Instant::now();
        configure(&format!("interface vethernet {veth}\n  {line}\n")).map(|()| began)
    };
    let down = carrier.follows(false, set("shutdown")?)?;
    let up = carrier.follows(true, set("no shutdown")?)?;
    carrier.stays(Duration::from_millis(500))?;
    if carrier.last.1 != before + 2 {
        bail!("the carrier changed {} times, twice was due", carrier.last.1 - before);
    }
    Ok((down, up))
}

/// Has the switch take these lines.
fn configure(lines: &str) -> Result<()> {
    let file = Path::new(RUN).join("lines.cfg");
    fs::write(&file, lines)?;
    let mut nivctl = Command::new(paths::program("nivctl"));
    output(nivctl.arg("--api").arg(topology::api("vis0")).arg("configure").arg(&file)).map(drop)
}

/// How long the adapters wait for a lost switch before the guests lose their links: `carrier_delay`, where the
/// configuration leaves it out.
pub(crate) const CARRIER_DELAY: Duration = Duration::from_secs(3);

/// Stops the switch and starts it at once: after what time from its start the first ping between two guests of one
/// adapter is answered. No guest sees its link change.
pub(crate) fn restart(lab: &mut Lab) -> Result<Duration> {
    let (pids, before) = (lab.pids(), carrier_changes(lab)?);
    // The guest knows the other's address from now on: its next ARP request would be a second away.
    lab.agents()[0].must(&format!("ping -c 1 -w 5 {}", VMS[1].ip), Duration::from_secs(10))?;
    let switch = lab.take_switch()?;
    let agent = &lab.agents()[0];
    switch.stop();
    // The guest tries ten times a second, so that what is measured is the switch and not the next try.
    let command = format!("echo ready; ping -i 0.1 -w 15 {}", VMS[1].ip);
    let ping = agent.begin(&command, Duration::from_secs(20))?;
    ping.until(Duration::from_secs(5), |line| line == "ready")?;
    let began = Instant::now();
    let switch = start_again()?;
    ping.until(Duration::from_secs(20), |line| line.contains("bytes from"))?;
    let back = began.elapsed();
    drop(ping);
    lab.put_switch(switch);
    unharmed(lab, &pids)?;
    let after = carrier_changes(lab)?;
    if after != before {
        bail!("changes of the guests' carriers: {before:?} before and {after:?} after the switch's restart");
    }
    Ok(back)
}

/// How often each guest's carrier has changed since its boot.
fn carrier_changes(lab: &Lab) -> Result<Vec<u64>> {
    let count = |agent: &Agent| {
        let text = agent.must("cat /sys/class/net/eth0/carrier_changes", Duration::from_secs(10))?;
        text.trim().parse().with_context(|| format!("a guest counts {text:?} changes of its carrier"))
    };
    lab.agents().iter().map(count).collect()
}

/// What an absence of the switch did that was longer than [`CARRIER_DELAY`].
pub(crate) struct Absence {
    /// Pings between two guests of one adapter that were answered meanwhile, of how many.
    pub(crate) answered: (u32, u32),
    /// From its end until the last guest had lost its carrier.
    pub(crate) down: Duration,
    /// From its start until the last guest had its carrier again.
    pub(crate) up: Duration,
}

/// Stops the switch until each guest has lost its link, and starts it again.
pub(crate) fn absence(lab: &mut Lab) -> Result<Absence> {
    const TRIES: u32 = 3;
    let pids = lab.pids();
    let switch = lab.take_switch()?;
    let places = places(lab);
    let mut carriers = lab.agents().iter().map(Carrier::watch).collect::<Result<Vec<_>>>()?;
    let began = Instant::now();
    switch.stop();
    let pings: Vec<Result<(u32, Option<f64>)>> = std::thread::scope(|scope| {
        let (one, two) = (places[0], places[1]);
        let pings = [(one, two), (two, one)].map(|(from, to)| scope.spawn(move || from.ping(to.ip(), TRIES)));
        pings.map(|ping| ping.join().unwrap_or_else(|_| Err(anyhow!("ping panicked")))).into_iter().collect()
    });
    let mut answered = 0;
    for ping in pings {
        answered += ping?.0;
    }
    let down = all_change(&mut carriers, false, began)?;
    if down < CARRIER_DELAY {
        bail!("the guests lost their carriers {down:?} after the switch, before {CARRIER_DELAY:?} were over");
    }
    let began = Instant::now();
    let switch = start_again()?;
    let up = all_change(&mut carriers, true, began)?;
    drop(carriers);
    all_operational(lab)?;
    lab.put_switch(switch);
    unharmed(lab, &pids)?;
    Ok(Absence { answered: (answered, 2 * TRIES), down, up })
}

/// The next change of each carrier is the one to `up`: when the last of them saw it.
fn all_change(carriers: &mut [Carrier<'_>], up: bool, since: Instant) -> Result<Duration> {
    for (carrier, vm) in carriers.iter_mut().zip(&VMS) {
        let (before, next) = (carrier.last, carrier.next(Duration::from_secs(10)));
        if next != Some((up, before.1 + 1)) {
            bail!("{}: its carrier was {before:?} (up, changes) and then {next:?}", vm.name);
        }
    }
    Ok(since.elapsed())
}

/// Waits until each guest can use its interface: Linux says so by the operational state, a while after the carrier (its
/// Documentation/networking/operstates.rst).
fn all_operational(lab: &Lab) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    for (agent, vm) in lab.agents().iter().zip(&VMS) {
        while agent.must("cat /sys/class/net/eth0/operstate", Duration::from_secs(10))?.trim() != "up" {
            if Instant::now() > deadline {
                bail!("{}: its carrier is up, but its interface is not operational", vm.name);
            }
        }
    }
    Ok(())
}

/// Everything lives, and nothing but the switch was started again.
fn unharmed(lab: &mut Lab, pids: &[u32]) -> Result<()> {
    lab.check()?;
    if lab.pids() != pids {
        bail!("an adapter or a guest was restarted");
    }
    Ok(())
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
