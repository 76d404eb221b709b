//! Which daemons a tool talks to.

use super::Client;
use std::path::{Path, PathBuf};

/// Where a daemon is looked for: the usual names of nodes, and those of daemons without a configuration file.
const SOCKETS: [&str; 2] = ["vis0.sock", "adapter0.sock"];
const FOLDERS: [&str; 2] = ["niv-run", "/run/niv"];

/// No daemon is there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no daemon found; looked for {}. Name its socket with --api or NIV_API.", listed(places))]
pub struct NotFound {
    places: Vec<PathBuf>,
}

fn listed(places: &[PathBuf]) -> String {
    places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(", ")
}

impl NotFound {
    /// Where one was looked for.
    #[must_use]
    pub fn places(&self) -> &[PathBuf] {
        &self.places
    }

    fn at(places: &[PathBuf]) -> Self {
        Self { places: places.to_vec() }
    }
}

/// The socket or node that is named.
fn named(asked: Option<&Path>) -> Option<PathBuf> {
    let from_environment = || std::env::var_os("NIV_API").filter(|path| !path.is_empty()).map(PathBuf::from);
    asked.map(Path::to_owned).or_else(from_environment)
}

/// The usual sockets that are not there beside those that [`find`] found: their daemons might have known more.
#[must_use]
pub fn not_there(asked: Option<&Path>, found: &[Client]) -> Vec<PathBuf> {
    let folder = found.first().and_then(|client| client.path().parent());
    let Some(folder) = folder.filter(|_| named(asked).is_none()) else { return Vec::new() };
    SOCKETS.map(|name| folder.join(name)).into_iter().filter(|place| !place.exists()).collect()
}

/// The daemons that a request may go to, in the order in which they are asked: the one at the socket or of the node
/// that is named here or else in `NIV_API`, or all of the usual ones that are there. At least one.
///
/// # Errors
/// None is there, where a name or nothing was given. A socket that is named outright is not looked at.
pub fn find(asked: Option<&Path>) -> Result<Vec<Client>, NotFound> {
    let folders = FOLDERS.map(Path::new);
    if let Some(path) = named(asked) {
        let is_name = path.components().count() == 1 && path.extension().is_none() && !path.exists();
        let places = folders.map(|folder| folder.join(&path).with_extension("sock"));
        return match places.iter().find(|place| place.exists()) {
            Some(place) if is_name => Ok(vec![Client::new(place)]),
            None if is_name => Err(NotFound::at(&places)),
            _ => Ok(vec![Client::new(path)]),
        };
    }
    let mut looked = Vec::new();
    for folder in folders {
        let places = SOCKETS.map(|name| folder.join(name));
        let there: Vec<Client> = places.iter().filter(|place| place.exists()).map(Client::new).collect();
        if !there.is_empty() {
            return Ok(there);
        }
        looked.extend(places);
    }
    Err(NotFound::at(&looked))
}
