//! Who a node is: a UUID for its whole life, and a number for each of its starts.

use crate::daemon::private_folder;
use rustix::rand::{GetRandomFlags, getrandom};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

/// The longest file that could be meant: a UUID, and blanks around it.
const LONGEST: u64 = 64;

/// The UUID of a node, random (RFC 9562, version 4), made at its first start and kept in `FOLDER/NAME.uuid` as text. It
/// is a file of its own, and not a key of a store, so that the node stays itself when its other state is thrown away.
///
/// # Errors
/// The file cannot be read or made, or is no UUID; the message names it.
pub fn node_uuid(folder: &Path, name: &str) -> io::Result<[u8; 16]> {
    let path = folder.join(format!("{name}.uuid"));
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    if !path.exists() {
        private_folder(folder)?;
        make(&path).map_err(named)?;
    }
    let mut text = String::new();
    File::open(&path).and_then(|file| file.take(LONGEST).read_to_string(&mut text)).map_err(named)?;
    parse(text.trim()).ok_or_else(|| {
        let hint = "this is no UUID; correct it, or remove the file and the node gets a new one";
        named(io::Error::new(io::ErrorKind::InvalidData, hint))
    })
}

/// A number that no other start of this node had, nor any other node: for the boot id of a session, never 0.
///
/// # Errors
/// The system has no random numbers.
pub fn boot_id() -> io::Result<u64> {
    let mut octets = [0; 8];
    random(&mut octets)?;
    Ok(u64::from_ne_bytes(octets).max(1))
}

fn random(octets: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while let Some(rest) = octets.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        filled += getrandom(rest, GetRandomFlags::empty())?;
    }
    Ok(())
}

/// Puts a new UUID at `path`, where it is whole or not there at all. What another process put there meanwhile stays.
fn make(path: &Path) -> io::Result<()> {
    let mut uuid = [0; 16];
    random(&mut uuid)?;
    let [.., version, _, variant, _, _, _, _, _, _, _] = &mut uuid;
    (*version, *variant) = (*version & 0x0F | 0x40, *variant & 0x3F | 0x80);
    let draft = path.with_extension(format!("uuid.{}", std::process::id()));
    let made = (|| {
        let mut file = File::create(&draft)?;
        writeln!(file, "{}", text(uuid))?;
        file.sync_all()?;
        match std::fs::hard_link(&draft, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }?;
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    })();
    let _ = std::fs::remove_file(&draft);
    made
}

fn text(uuid: [u8; 16]) -> String {
    let hex: String = uuid.iter().map(|octet| format!("{octet:02x}")).collect();
    let group = |from: usize, to: usize| hex.get(from..to).unwrap_or("");
    [group(0, 8), group(8, 12), group(12, 16), group(16, 20), group(20, 32)].join("-")
}

fn parse(written: &str) -> Option<[u8; 16]> {
    let digits = written.replace('-', "");
    if digits.len() != 32 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let uuid = u128::from_str_radix(&digits, 16).ok()?.to_be_bytes();
    (text(uuid).eq_ignore_ascii_case(written)).then_some(uuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_stays_itself() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("deep/state");
        let uuid = node_uuid(&state, "vis0").unwrap();
        assert_eq!(node_uuid(&state, "vis0").unwrap(), uuid);
        assert_ne!(node_uuid(&state, "adapter0").unwrap(), uuid);
        assert_eq!((uuid[6] >> 4, uuid[8] >> 6), (4, 2), "version and variant");
        assert_eq!(std::fs::read_dir(&state).unwrap().count(), 2, "no draft stays");

        let path = state.join("vis0.uuid");
        std::fs::write(&path, " 01234567-89AB-cdef-0123-456789abcdef\n\n").unwrap();
        assert_eq!(node_uuid(&state, "vis0").unwrap()[..3], [0x01, 0x23, 0x45]);
        for wrong in ["", "vis0", "0123456789abcdef0123456789abcdef", "é0234567-89ab-cdef-0123-456789abcdef"]
        {
            std::fs::write(&path, wrong).unwrap();
            let said = node_uuid(&state, "vis0").unwrap_err().to_string();
            assert!(said.contains("vis0.uuid: this is no UUID"), "{said}");
        }
        std::fs::remove_file(&path).unwrap();
        assert_ne!(node_uuid(&state, "vis0").unwrap(), uuid);
    }

    #[test]
    fn each_start_has_its_number() {
        assert_ne!(boot_id().unwrap(), boot_id().unwrap());
    }
}
