//! The `[node]` section, the same for every daemon.

use super::{ConfigError, File, Spanned};
use crate::api::{Access, NamedGroup};
use crate::counter::MOST_WORKERS;
use crate::sandbox::Allowed;
use rustix::thread::sched_getaffinity;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A node's name goes into discovery and control PDUs, where it has 63 octets.
const LONGEST_NAME: usize = 63;

/// `[node]` as it is written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSection {
    /// The node's name; letters, digits, `.`, `_` and `-`.
    pub name: Option<Spanned<String>>,
    /// Where state is kept.
    pub state_dir: Option<PathBuf>,
    /// The socket of the admin API.
    pub api: Option<PathBuf>,
    /// The group of users who may do everything by the API.
    pub admin_group: Option<Spanned<String>>,
    /// The group of users who may look.
    pub reader_group: Option<Spanned<String>>,
    /// Threads that move frames.
    pub workers: Option<Spanned<usize>>,
    /// The CPU of each worker; with fewer CPUs than workers they are shared in turn.
    pub cpus: Option<Spanned<Vec<usize>>>,
    /// A file of configuration lines that is run at start.
    pub startup: Option<PathBuf>,
    /// What commands may use beyond what the file uses: `tap`, `packet`, folders.
    pub sandbox_allow: Option<Spanned<Vec<String>>>,
}

/// `[node]` with its defaults filled in. Relative paths are relative to the working directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The node's name.
    pub name: String,
    /// Where state is kept.
    pub state_dir: PathBuf,
    /// The socket of the admin API.
    pub api: PathBuf,
    /// Who may use it.
    pub access: Access,
    /// Threads that move frames, at least one.
    pub workers: usize,
    /// CPUs to stay on; empty for none in particular.
    pub cpus: Vec<usize>,
    /// Configuration lines to run at start.
    pub startup: Option<PathBuf>,
    /// What commands may use beyond what is configured at start.
    pub sandbox_allow: Vec<Allowed>,
}

impl Node {
    /// A daemon without a file: everything under `./niv-run/`, where a first try needs no rights.
    #[must_use]
    pub fn without_file(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            state_dir: Path::new("niv-run").join(name),
            api: Path::new("niv-run").join(format!("{name}.sock")),
            access: Access::default(),
            workers: 1,
            cpus: Vec::new(),
            startup: None,
            sandbox_allow: Vec::new(),
        }
    }

    /// The section of a file, with the system's folders for what it does not say.
    ///
    /// # Errors
    /// A value that cannot be: its key and line are named.
    pub fn from_file(file: &File, section: &NodeSection, default_name: &str) -> Result<Self, ConfigError> {
        let name = match &section.name {
            Some(name) => {
                let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
                let text = name.get_ref();
                if text.is_empty()
                    || text.len() > LONGEST_NAME
                    || text.starts_with('.')
                    || !text.chars().all(fits)
                {
                    return Err(file
                        .error(name, "up to 63 letters, digits, `_`, `-` and (not first) `.` are allowed"));
                }
                text.as_str()
            }
            None => default_name,
        };
        let workers = match &section.workers {
            Some(workers) if !(1..=MOST_WORKERS).contains(workers.get_ref()) => {
                return Err(file.error(workers, format!("1 to {MOST_WORKERS} are allowed")));
            }
            Some(workers) => *workers.get_ref(),
            None => 1,
        };
        let cpus = section.cpus.as_ref().map_or_else(Vec::new, |cpus| cpus.get_ref().clone());
        if let Some(at) = &section.cpus
            && cpus.iter().any(|cpu| *cpu >= rustix::thread::CpuSet::MAX_CPU)
        {
            return Err(file.error(at, "there is no such CPU"));
        }
        let group = |written: &Option<Spanned<String>>| {
            let Some(name) = written else { return Ok(None) };
            let found = NamedGroup::find(name.get_ref());
            found.map(Some).ok_or_else(|| file.error(name, "there is no such group of users"))
        };
        let mut sandbox_allow = Vec::new();
        if let Some(written) = &section.sandbox_allow {
            for text in written.get_ref() {
                let allowed = Allowed::parse(text).ok_or_else(|| {
                    file.error(
                        written,
                        format!("\"{text}\" is not \"tap\", \"packet\", \"xdp\" or the path of a folder"),
                    )
                })?;
                sandbox_allow.push(allowed);
            }
        }
        Ok(Self {
            name: name.to_owned(),
            state_dir: section.state_dir.clone().unwrap_or_else(|| Path::new("/var/lib/niv").join(name)),
            api: section.api.clone().unwrap_or_else(|| Path::new("/run/niv").join(format!("{name}.sock"))),
            access: Access { admins: group(&section.admin_group)?, readers: group(&section.reader_group)? },
            workers,
            cpus,
            startup: section.startup.clone(),
            sandbox_allow,
        })
    }

    /// More workers than CPUs for them: both numbers.
    #[must_use]
    pub fn crowd(&self) -> Option<(usize, usize)> {
        let own = || sched_getaffinity(None).map_or(MOST_WORKERS, |set| set.count() as usize);
        let written = self.cpus.iter().collect::<BTreeSet<_>>().len();
        let cpus = if written == 0 { own() } else { written };
        (self.workers > cpus).then_some((self.workers, cpus))
    }

    /// The CPU of worker `index`.
    #[must_use]
    pub fn cpu(&self, index: usize) -> Option<usize> {
        self.cpus.get(index.checked_rem(self.cpus.len())?).copied()
    }
}
