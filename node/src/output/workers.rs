//! `show system workers`, which both daemons have.

use super::{Cell, Column, Grid, Output};
use crate::config::Node;
use crate::counter::Balance;
use serde_json::Value;

/// What each worker of a node moved, in their order.
pub fn workers(node: &Node, moved: impl IntoIterator<Item = Balance>) -> Output {
    let mut grid = Grid::new([
        Column::right("worker", "Worker"),
        Column::left("cpu", "CPU"),
        Column::right("received", "Received"),
        Column::right("sent", "Sent"),
        Column::right("dropped", "Dropped"),
    ]);
    for (worker, moved) in moved.into_iter().enumerate() {
        grid.row([
            worker.into(),
            node.cpu(worker).map_or_else(|| Cell::shown("any", Value::Null), Cell::from),
            moved.received.into(),
            moved.sent.into(),
            moved.dropped.into(),
        ]);
    }
    Output::from(grid)
}
