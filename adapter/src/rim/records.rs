//! What is kept in the state folder: vNICs that commands added, and the channels of vNICs that have none written down.
//!
//! | key | value |
//! |---|---|
//! | `vnic/NAME` | `{"version": 1, "settings": {"device": ..., "link": ...}}`: keys and values as they were typed |
//! | `channel/NAME` | the channel, in decimal |

use crate::config::settings::Settings;
use niv_node::store::{Op, Store, StoreError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const VNIC: &str = "vnic/";
const CHANNEL: &str = "channel/";
/// The version of a record that this program writes, and the only one it reads.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Record {
    version: u32,
    settings: Settings,
}

/// What was kept.
#[derive(Default, Debug, PartialEq, Eq)]
pub(super) struct Records {
    /// vNICs that commands added.
    pub(super) vnics: BTreeMap<String, Settings>,
    /// Channels of vNICs.
    pub(super) channels: BTreeMap<String, u16>,
    /// What cannot be read, each with its reason.
    pub(super) unreadable: Vec<String>,
}

impl Records {
    /// Reads it.
    pub(super) fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let mut records = Self::default();
        for entry in store.load(VNIC)? {
            let name = entry.key.strip_prefix(VNIC).unwrap_or_default().to_owned();
            match serde_json::from_slice::<Record>(&entry.value) {
                Ok(record) if record.version == VERSION => {
                    records.vnics.insert(name, record.settings);
                }
                Ok(record) => {
                    let version = record.version;
                    records
                        .unreadable
                        .push(format!("vNIC {name}: a record of version {version}, not {VERSION}"));
                }
                Err(error) => records.unreadable.push(format!("vNIC {name}: {error}")),
            }
        }
        for entry in store.load(CHANNEL)? {
            let name = entry.key.strip_prefix(CHANNEL).unwrap_or_default().to_owned();
            match std::str::from_utf8(&entry.value).ok().and_then(|text| text.parse().ok()) {
                Some(channel) => {
                    records.channels.insert(name, channel);
                }
                None => records.unreadable.push(format!("the channel of {name}: no number")),
            }
        }
        Ok(records)
    }
}

/// Keeps a vNIC.
pub(super) fn put_vnic(name: &str, settings: &Settings) -> Op {
    let record = Record { version: VERSION, settings: settings.clone() };
    // Text under text keys has a JSON form.
    Op::put(format!("{VNIC}{name}"), serde_json::to_vec(&record).unwrap_or_default())
}

/// Forgets a vNIC.
pub(super) fn remove_vnic(name: &str) -> Op {
    Op::remove(format!("{VNIC}{name}"))
}

/// Keeps the channel of a vNIC, or forgets it.
pub(super) fn set_channel(name: &str, channel: Option<u16>) -> Op {
    let key = format!("{CHANNEL}{name}");
    channel.map_or_else(|| Op::remove(&key), |channel| Op::put(&key, channel.to_string()))
}
