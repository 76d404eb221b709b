//! The options of `vis-switch`.

use clap::Parser;
use niv_node::daemon;

/// The virtual interface switch: switches between virtual interfaces and physical ports
///
/// Adapters on its NIV links ask it for virtual interfaces; it gives each a vEthernet interface, switches between them all
/// and its other ports, and holds the policy. What it does is told by nivctl or nivsh, in the words of NX-OS.
///
/// Without --config: one NIV link at ./niv-run/link0.sock, the admin API at ./niv-run/vis0.sock.
#[derive(Debug, Parser)]
#[command(name = "vis-switch", version, after_help = daemon::MANUAL)]
pub struct Cli {
    /// What every daemon has.
    #[command(flatten)]
    pub common: daemon::Args,
}
