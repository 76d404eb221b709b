//! Files, by landlock(7), as far as the kernel has it.
//!
//! A rule belongs to the file or folder that is there when the sandbox is entered, not to its path: a folder that is
//! deleted and made again is another one.

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope, make_bitflags,
};
use rustix::fs::Access as Bits;
use rustix::process::{getegid, geteuid, getgroups};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fmt, io};

/// What has been looked at here: rights that a later kernel adds are not denied before somebody has looked at them.
const KNOWN: ABI = ABI::V6;

/// What every daemon reads: users and groups, which tools replace by new files; the modules of the C library that find
/// them, and their caches; where it is in memory, for the backtrace of a panic.
#[rustfmt::skip]
pub(super) const EVERYBODY_READS: [&str; 8] = [
    "/etc", "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/run/systemd/userdb", "/var/lib/sss/mc", "/proc/self/maps",
];

/// What may be done with something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Right {
    /// Files of a folder are made, read, written, renamed and removed.
    State,
    /// Sockets are made, renamed and removed in a folder.
    Sockets,
    /// Likewise, in the folder of the API, which is made if it is not there.
    Api,
    /// Both of these.
    Open,
    /// What is in a folder is read.
    Read,
    /// A file is written.
    Write,
    /// A device is used.
    Device,
}

/// A file or folder, and what may be done with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) path: PathBuf,
    pub(super) right: Right,
}

impl Grant {
    /// Makes what could not be made later. What cannot be made is complained of by whoever needs it.
    pub(super) fn prepare(&self) {
        match self.right {
            Right::State => drop(crate::daemon::private_folder(&self.path)),
            Right::Api => drop(crate::api::make_folder(&self.path)),
            // Not opened if it is there: a pipe would wait for its reader.
            Right::Write if !self.path.exists() => {
                drop(File::options().write(true).create_new(true).open(&self.path));
            }
            _ => {}
        }
    }

    /// With its path as the kernel sees it; `None` where there is nothing.
    pub(super) fn canonical(self) -> Option<Self> {
        Some(Self { path: std::fs::canonicalize(&self.path).ok()?, ..self })
    }

    /// Sockets may be made in this folder, whose path is canonical, as the grant's.
    pub(super) fn lets_listen(&self, folder: &Path) -> bool {
        matches!(self.right, Right::Sockets | Right::Api | Right::Open) && folder.starts_with(&self.path)
    }

    /// This file, whose path is canonical, as the grant's, may be made and written.
    pub(super) fn lets_write(&self, file: &Path) -> bool {
        match self.right {
            Right::State | Right::Open => file.starts_with(&self.path),
            Right::Write => file == self.path,
            Right::Sockets | Right::Api | Right::Read | Right::Device => false,
        }
    }

    /// Only `CAP_DAC_OVERRIDE` gives this user what it is to do.
    pub(super) fn belongs_to_others(&self) -> bool {
        let needed = match self.right {
            Right::State | Right::Sockets | Right::Api | Right::Open => Bits::WRITE_OK | Bits::EXEC_OK,
            Right::Write => Bits::WRITE_OK,
            // What its mode does not let it read it does without.
            Right::Read | Right::Device => return false,
        };
        let Ok(path) = std::fs::canonicalize(&self.path) else { return false };
        let contents = if self.right == Right::State { files_of(&path) } else { Vec::new() };
        !mode_allows(&path, needed)
            || path.ancestors().skip(1).any(|folder| !mode_allows(folder, Bits::EXEC_OK))
            || contents.iter().any(|file| !mode_allows(file, Bits::READ_OK | Bits::WRITE_OK))
    }

    fn access(&self) -> BitFlags<AccessFs> {
        let sockets = make_bitflags!(AccessFs::{MakeSock | RemoveFile});
        let state =
            make_bitflags!(AccessFs::{ReadFile | ReadDir | WriteFile | Truncate | MakeReg | RemoveFile});
        match self.right {
            Right::State => state,
            Right::Sockets | Right::Api => sockets,
            Right::Open => state | sockets,
            Right::Read => make_bitflags!(AccessFs::{ReadFile | ReadDir}),
            Right::Write => make_bitflags!(AccessFs::{WriteFile | Truncate}),
            Right::Device => make_bitflags!(AccessFs::{ReadFile | WriteFile | IoctlDev}),
        }
    }
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect()
}

/// The mode of a file gives this process's user these rights, without any capability.
fn mode_allows(path: &Path, needed: Bits) -> bool {
    let Ok(data) = std::fs::metadata(path) else { return true };
    let groups = || getgroups().unwrap_or_default().into_iter().chain([getegid()]);
    let shift = if data.uid() == geteuid().as_raw() {
        6
    } else if groups().any(|group| group.as_raw() == data.gid()) {
        3
    } else {
        0
    };
    (data.mode() >> shift) & needed.bits() == needed.bits()
}

/// How far files are confined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Confined {
    /// With everything that is known here.
    Wholly(ABI),
    /// With what this kernel's version has.
    InPart(ABI),
    /// Not at all.
    No,
}

impl fmt::Display for Confined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wholly(abi) => write!(f, "landlock {abi}"),
            Self::InPart(abi) => write!(f, "landlock {abi}, of {KNOWN}"),
            Self::No => f.write_str("not confined"),
        }
    }
}

/// Confines this thread, and those that it will start, to the grants; says how far.
pub(super) fn confine(grants: &[Grant], abstract_names: bool) -> io::Result<String> {
    let wrong = |error: landlock::RulesetError| io::Error::other(error.to_string());
    let scopes = if abstract_names { Scope::Signal.into() } else { Scope::from_all(KNOWN) };
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(KNOWN))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(KNOWN)))
        .and_then(|rules| rules.scope(scopes))
        .and_then(Ruleset::create)
        .map_err(wrong)?;
    for grant in grants {
        let Ok(fd) = PathFd::new(&grant.path) else {
            tracing::debug!(path = %grant.path.display(), right = ?grant.right, "not there, so not granted");
            continue;
        };
        // A file has no rights of folders.
        let is_folder = grant.path.is_dir();
        let access = if is_folder { grant.access() } else { grant.access() & AccessFs::from_file(KNOWN) };
        rules = rules.add_rule(PathBeneath::new(fd, access)).map_err(wrong)?;
    }
    let done = rules.restrict_self().map_err(wrong)?;
    let confined = match (done.ruleset, done.landlock) {
        (RulesetStatus::FullyEnforced, LandlockStatus::Available { effective_abi, .. }) => {
            Confined::Wholly(effective_abi)
        }
        (RulesetStatus::PartiallyEnforced, LandlockStatus::Available { effective_abi, .. }) => {
            Confined::InPart(effective_abi)
        }
        _ => {
            tracing::warn!("this kernel has no landlock: the daemon may open every file that its user may");
            Confined::No
        }
    };
    Ok(confined.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_could_not_be_made_later_is_made_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let grant = |name: &str, right| Grant { path: path(name), right };
        for (name, right) in [
            ("state", Right::State),
            ("file", Right::Write),
            ("run", Right::Sockets),
            ("deep/api", Right::Api),
        ] {
            grant(name, right).prepare();
        }
        std::fs::write(path("file"), "kept").unwrap();
        grant("file", Right::Write).prepare();
        assert_eq!(std::fs::read_to_string(path("file")).unwrap(), "kept");
        assert!(path("state").is_dir() && path("deep/api").is_dir() && !path("run").exists());
        assert!(!grant("state", Right::State).belongs_to_others());
    }

    #[test]
    fn the_mode_decides_whether_a_capability_is_needed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        std::fs::create_dir(&path).unwrap();
        let grant = Grant { path: path.clone(), right: Right::Sockets };
        assert!(!grant.belongs_to_others());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o500)).unwrap();
        assert!(grant.belongs_to_others());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    }
}
