//! Whether the front end shares its memory, which the protocol does not say.
//!
//! A memory backend without `share=on` is mapped privately by QEMU: the descriptor comes all the same, but
//! what the guest writes never reaches the file, and the rings stay empty for ever. The front end's own list
//! of mappings tells.

use rustix::fs::fstat;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::BorrowedFd;

/// The process has `file` mapped privately at `addr`. `false` when that cannot be known.
pub(super) fn maps_privately(pid: i32, addr: u64, file: BorrowedFd<'_>) -> bool {
    let (Ok(stat), Ok(maps)) = (fstat(file), File::open(format!("/proc/{pid}/maps"))) else { return false };
    BufReader::new(maps).lines().map_while(Result::ok).any(|line| private_at(&line, addr, stat.st_ino))
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
