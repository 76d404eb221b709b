//! `niv-adapter`: the interface virtualizer.

use clap::Parser;
use niv_adapter::config::AdapterConfig;
use niv_adapter::rim;
use niv_node::daemon;
use std::process::ExitCode;

/// The interface virtualizer: gives guests vNICs (vhost-user) and tags every frame they send with a VNTag, toward a
/// switch that does all switching.
///
/// Without --config: one vNIC at ./niv-run/vnic0.sock, the link to the switch at ./niv-run/link0.sock, the
/// admin API at ./niv-run/adapter0.sock.
#[derive(Parser)]
#[command(name = "niv-adapter", version)]
struct Cli {
    #[command(flatten)]
    common: daemon::Args,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    daemon::run("niv-adapter", &cli.common, |stop| {
        let config = match &cli.common.config {
            Some(path) => AdapterConfig::load(path)?,
            None => AdapterConfig::without_file(),
        };
        if let Some(folder) = config.node.api.parent() {
            daemon::private_folder(folder)?;
        }
        rim::run(&config, stop)
    })
}
