//! What is known of a front end beside what it says: who it is, and whether it shares its memory.
//!
//! A memory backend without `share=on` is mapped privately by QEMU: the descriptor comes all the same, but
//! what the guest writes never reaches the file, and the rings stay empty for ever. The front end's own list
//! of mappings tells.

use super::witness;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::fstat;
use rustix::net::sockopt::socket_peercred;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

/// The process at the other end of a connection that it made. It is the same one as long as it lives.
#[derive(Debug)]
pub(super) struct Process {
    /// Its number.
    pub(super) pid: i32,
    fd: OwnedFd,
}

impl Process {
    /// The process that connected; `None` where it cannot be seen (it has ended, or lives in another PID namespace).
    pub(super) fn of(socket: BorrowedFd<'_>) -> Option<Self> {
        let pid = pid(socket)?;
        let fd = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::NONBLOCK).ok()?;
        Some(Self { pid, fd })
    }

    /// It has ended. This descriptor is then readable.
    pub(super) fn has_ended(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(&self.fd, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready > 0)
    }
}

impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The number of the process that connected.
pub(super) fn pid(socket: BorrowedFd<'_>) -> Option<i32> {
    socket_peercred(socket).ok().map(|peer| peer.pid.as_raw_nonzero().get())
}

/// A socket file, told from a later one at the same path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SocketFile {
    device: u64,
    inode: u64,
    born: Option<SystemTime>,
}

impl SocketFile {
    /// The file at `path`.
    pub(super) fn at(path: &Path) -> Option<Self> {
        let meta = fs::symlink_metadata(path).ok()?;
        Some(Self { device: meta.dev(), inode: meta.ino(), born: meta.created().ok() })
    }
}

/// The process has `file` mapped privately at `addr`. `false` when that cannot be known.
pub(super) fn maps_privately(pid: i32, addr: u64, file: BorrowedFd<'_>) -> bool {
    let Ok(stat) = fstat(file) else { return false };
    let seen = list_has_private(pid, addr, stat.st_ino);
    seen.or_else(|| witness::ask(pid, addr, stat.st_ino)).unwrap_or(false)
}

/// The process's list of mappings has the file of this inode privately at `addr`; `None` where it cannot be read.
pub(super) fn list_has_private(pid: i32, addr: u64, inode: u64) -> Option<bool> {
    let maps = File::open(format!("/proc/{pid}/maps")).ok()?;
    Some(BufReader::new(maps).lines().map_while(Result::ok).any(|line| private_at(&line, addr, inode)))
}

/// Judges a line of `/proc/PID/maps`: `start-end perms offset dev inode path`.
fn private_at(line: &str, addr: u64, inode: u64) -> bool {
    let mut fields = line.split_ascii_whitespace();
    let (Some(range), Some(perms), Some(_), Some(_), Some(ino)) =
        (fields.next(), fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return false;
    };
    let Some((start, end)) = range.split_once('-') else { return false };
    let (Ok(start), Ok(end)) = (u64::from_str_radix(start, 16), u64::from_str_radix(end, 16)) else {
        return false;
    };
    (start..end).contains(&addr) && ino.parse() == Ok(inode) && perms.ends_with('p')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_private_mapping_of_this_file_at_this_address_counts() {
        let line =
            "7f5c00000000-7f5c10000000 rw-p 00000000 00:01 1038   /memfd:memory-backend-memfd (deleted)";
        assert!(private_at(line, 0x7f5c_0000_0000, 1038));
        assert!(!private_at(line, 0x7f5c_1000_0000, 1038));
        assert!(!private_at(line, 0x7f5c_0000_0000, 1039));
        assert!(!private_at(&line.replace("rw-p", "rw-s"), 0x7f5c_0000_0000, 1038));
        assert!(!private_at("garbage", 0, 0));
    }
}
