//! Captures of links and vNICs, for the admin API.

use super::adapter::Adapter;
use crate::engine::DropReason;
use crate::engine::capture::{Fate, Place};
use link::capture::live::Session;
use niv_node::api::Capture;
use niv_node::command::{CommandError, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

/// Begins a capture of a link or vNIC.
///
/// # Errors
/// There is none of this name, or too many captures run.
pub(super) fn begin(
    adapter: &Arc<Adapter>,
    name: &str,
    count: Option<u64>,
) -> Result<Box<dyn Capture>, CommandError> {
    let link = adapter.links.iter().position(|link| link.name == name);
    // Held until the capture has begun, so that it ends with this vNIC and not with the next one in its slot.
    let state = adapter.state.lock();
    let (place, device) = match (link, state.hands.vnics.named(name)) {
        (Some(index), _) => (Place::Link(index), adapter.links.get(index).map(|link| link.device.clone())),
        (None, Some(entry)) => (Place::Vnic(entry.slot), Some(entry.config.options.device.to_string())),
        (None, None) => {
            let message = format!("There is no link or vNIC {name}; show link and show vnic list them.");
            return Err(CommandError { kind: ErrorKind::Invalid, ..CommandError::refused(message) });
        }
    };
    let session = adapter.captures.begin(place, name, &device.unwrap_or_default(), count);
    drop(state);
    let session = session.map_err(|error| CommandError::refused(error.to_string()))?;
    Ok(Box::new(Reading { session, adapter: Arc::clone(adapter) }))
}

struct Reading {
    session: Session<Place, Fate>,
    adapter: Arc<Adapter>,
}

impl Capture for Reading {
    fn read(&mut self, patience: Duration) -> Option<Vec<u8>> {
        let adapter = &self.adapter;
        self.session.read(patience, |fate| describe(adapter, *fate))
    }
}

/// What became of a frame, in a few words.
fn describe(adapter: &Adapter, fate: Fate) -> String {
    let link = |index| adapter.link_name(index).to_owned();
    match fate {
        Fate::Up { link: index, vif } => format!("to {} as VIF {vif}", link(index)),
        Fate::Unicast { vif } => format!("for VIF {vif}"),
        Fate::List { list } => format!("for list {list}"),
        Fate::Punted => "for control".to_owned(),
        Fate::Sent(slot) => format!("from {}", adapter.state.lock().hands.vnics.name(slot)),
        Fate::Delivered { link: index } => format!("from {}", link(index)),
        Fate::Originated => "from control".to_owned(),
        Fate::Dropped(reason) => dropped(reason),
    }
}

fn dropped(reason: DropReason) -> String {
    match reason.lines() {
        "" => format!("dropped: {}", reason.name()),
        lines => format!("dropped: {} ({lines})", reason.name()),
    }
}
