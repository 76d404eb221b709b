//! `niv-adapter`: the interface virtualizer.

use clap::Parser;
use niv_adapter::cli::Cli;
use niv_adapter::config::AdapterConfig;
use niv_adapter::rim;
use niv_adapter::vhost::witness;
use niv_node::daemon;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.witness {
        return witness::serve();
    }
    let prepare = || {
        let config = match &cli.common.config {
            Some(path) => AdapterConfig::load(path)?,
            None => {
                let config = AdapterConfig::without_file();
                if let Some(folder) = config.node.api.parent() {
                    daemon::private_folder(folder)?;
                }
                config
            }
        };
        if !cli.common.no_sandbox
            && let Err(error) = witness::start()
        {
            tracing::warn!(%error, "no witness; memory that a guest does not share will not be named");
        }
        daemon::api_folder(&config.node.api)?;
        let policy = rim::policy(&config);
        Ok((config, policy))
    };
    daemon::run("niv-adapter", &cli.common, prepare, |config, sandbox, stop| rim::run(&config, sandbox, stop))
}
