//! A vhost-user NIC that sends every frame back: `vhost_echo SOCKET [--swap] [--client] [--packed] [--pairs N]`.
//!
//! For trying a front end against the adapter's front door and rings alone. Prints the vNIC's state and
//! counters whenever they change; ends at end of input.

use link::Monitor;
use niv_adapter::vhost::{FrontDoor, VnicConfig};
use niv_lab::driver::Echo;
use std::io::Read;
use std::time::Duration;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let socket = args.first().ok_or_else(|| {
        anyhow::anyhow!("usage: vhost_echo SOCKET [--swap] [--client] [--packed] [--pairs N]")
    })?;
    let pairs = args.iter().position(|arg| arg == "--pairs").and_then(|at| args.get(at + 1));
    let config = VnicConfig {
        client: args.iter().any(|arg| arg == "--client"),
        packed: args.iter().any(|arg| arg == "--packed"),
        queue_pairs: pairs.map_or(Ok(1), |n| n.parse())?,
        ..VnicConfig::new("echo", socket)
    };
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let door = FrontDoor::start()?;
    let vnic = door.add(&config, Box::new(|event| println!("{event:?}")))?;
    let monitor = vnic.monitor.clone();
    let echo = Echo::start(vnic, args.iter().any(|arg| arg == "--swap"))?;
    std::thread::spawn(move || {
        let mut before = None;
        loop {
            let counters: Vec<_> =
                monitor.counters().into_iter().filter(|c| c.value > 0).map(|c| (c.name, c.value)).collect();
            let now = Some((monitor.state(), counters));
            if now != before {
                println!("{:?} {:?} {:?}", now, monitor.guest(), monitor.indices());
                before = now;
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    std::io::stdin().read_to_end(&mut Vec::new())?;
    println!("{:?}", echo.counters);
    Ok(())
}
