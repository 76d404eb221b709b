//! The options of `niv-adapter`.

use clap::Parser;
use niv_node::daemon;

/// The interface virtualizer: gives guests vNICs, tags what they send, never switches
///
/// Guests are connected by vhost-user, containers by taps and interfaces. Every frame that one sends goes to the switch with a
/// VNTag that names its vNIC; what comes back goes to the vNICs that its tag names. All switching is the switch's.
///
/// Without --config: one vNIC at ./niv-run/vnic0.sock, the link to the switch at ./niv-run/link0.sock, the
/// admin API at ./niv-run/adapter0.sock.
#[derive(Debug, Parser)]
#[command(name = "niv-adapter", version, after_help = daemon::MANUAL)]
pub struct Cli {
    /// What every daemon has.
    #[command(flatten)]
    pub common: daemon::Args,

    /// Be the process that `niv_adapter::vhost::witness` describes; the adapter starts it.
    #[arg(long, hide = true)]
    pub witness: bool,
}
