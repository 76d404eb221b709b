//! The adapter as its admin API sees it.

use super::adapter::Adapter;
use super::capture;
use crate::admin;
use niv_node::accounting::Accounting;
use niv_node::api::{Capture, Daemon, Identity};
use niv_node::command::{CommandError, Language, Table};
use niv_node::metrics::Metrics;
use niv_node::output::Output;
use std::sync::Arc;

pub(super) struct Api {
    table: Table<admin::Context>,
    adapter: Arc<Adapter>,
}

impl Api {
    pub(super) fn new(adapter: Arc<Adapter>) -> Self {
        Self { table: admin::table(), adapter }
    }
}

impl Daemon for Api {
    fn identity(&self) -> Identity {
        Identity {
            daemon: "niv-adapter".to_owned(),
            name: self.adapter.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    fn exec(&self, line: &str) -> Result<Output, CommandError> {
        self.table.exec(&mut Arc::clone(&self.adapter), line)
    }

    fn language(&self) -> &dyn Language {
        &self.table
    }

    fn ports(&self) -> Vec<String> {
        let vnics = self.adapter.vnics().into_iter().map(|view| view.entry.config.name.clone());
        self.adapter.links.iter().map(|link| link.name.clone()).chain(vnics).collect()
    }

    fn accounting(&self) -> &Accounting {
        &self.adapter.accounting
    }

    fn capture(&self, port: &str, count: Option<u64>) -> Result<Box<dyn Capture>, CommandError> {
        capture::begin(&self.adapter, port, count)
    }

    fn metrics(&self, metrics: &mut Metrics) {
        self.adapter.metrics(metrics);
    }

    fn health(&self) -> Result<(), String> {
        self.adapter.health()
    }
}
