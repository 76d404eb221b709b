//! The API's place in the file system.

use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A listening socket and its file, which goes when this goes.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and inode, so that nobody else's file is removed.
    id: (u64, u64),
}

/// Listens at `path`, which is a new file of this mode from its first moment on. Missing folders are made (mode
/// 0755). A file that a dead process left behind is replaced, a live one and anything else is not.
pub(super) fn listen(path: &Path, mode: u32) -> io::Result<(UnixListener, SocketFile)> {
    let name = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_folder(folder).map_err(name)?;
    refuse_taken(path).map_err(name)?;

    // Made under another name, given its mode, and only then put in place: there is no moment at which others could
    // connect, and none without a file.
    static DRAFTS: AtomicU32 = AtomicU32::new(0);
    let draft = folder.join(format!(".{}.{}", std::process::id(), DRAFTS.fetch_add(1, Ordering::Relaxed)));
    let _ = std::fs::remove_file(&draft);
    let listener = UnixListener::bind(&draft).map_err(name)?;
    let placed = std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(mode))
        .and_then(|()| std::fs::symlink_metadata(&draft))
        .and_then(|data| std::fs::rename(&draft, path).map(|()| data));
    match placed {
        Ok(data) => Ok((listener, SocketFile { path: path.to_owned(), id: (data.dev(), data.ino()) })),
        Err(error) => {
            let _ = std::fs::remove_file(&draft);
            Err(name(error))
        }
    }
}

/// Makes the folder of a socket, and those above it. One that is there is left as it is.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(folder)
}

fn refuse_taken(path: &Path) -> io::Result<()> {
    let data = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    if !data.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "is there already and is no socket"));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "in use by another process")),
        Err(error) => Err(error),
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if std::fs::symlink_metadata(&self.path).is_ok_and(|data| (data.dev(), data.ino()) == self.id) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
