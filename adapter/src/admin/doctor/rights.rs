//! Whether the users that guests run as may connect to a vNIC's socket.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Users that libvirt runs guests as: on Debian, and on most others.
const GUEST_USERS: [&str; 2] = ["libvirt-qemu", "qemu"];

/// A user and the groups it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) name: String,
    /// Its first group, by name.
    pub(super) group: String,
    uid: u32,
    gids: Vec<u32>,
}

impl User {
    /// The users of this host that guests are run as.
    pub(super) fn who_run_guests() -> Vec<Self> {
        let read = |file| std::fs::read_to_string(file).unwrap_or_default();
        let (users, groups) = (read("/etc/passwd"), read("/etc/group"));
        GUEST_USERS.iter().filter_map(|name| Self::of(name, &users, &groups)).collect()
    }

    /// A user by `/etc/passwd` and `/etc/group`.
    fn of(name: &str, users: &str, groups: &str) -> Option<Self> {
        let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
        let line =
            users.lines().map(fields).find(|fields| fields.first().is_some_and(|first| first == name))?;
        let uid = line.get(2)?.parse().ok()?;
        let own: u32 = line.get(3)?.parse().ok()?;
        let (mut gids, mut group) = (vec![own], own.to_string());
        for fields in groups.lines().map(fields) {
            let Some(gid) = fields.get(2).and_then(|gid| gid.parse::<u32>().ok()) else { continue };
            if gid == own {
                group.clone_from(&fields[0]);
            }
            if fields.get(3).is_some_and(|members| members.split(',').any(|member| member == name)) {
                gids.push(gid);
            }
        }
        Some(Self { name: name.to_owned(), group, uid, gids })
    }

    /// Somebody who is in no other group.
    #[cfg(test)]
    pub(super) fn named(name: &str, group: &str) -> Self {
        Self { name: name.to_owned(), group: group.to_owned(), uid: 64_055, gids: vec![994] }
    }

    /// The bits (of 7) that a file's mode gives it.
    fn rights(&self, mode: u32, uid: u32, gid: u32) -> u32 {
        if self.uid == uid {
            mode >> 6 & 7
        } else if self.gids.contains(&gid) {
            mode >> 3 & 7
        } else {
            mode & 7
        }
    }
}

/// A user who may not connect, and what is in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outsider {
    pub(super) user: User,
    /// The socket, or a folder on the way to it.
    pub(super) at: PathBuf,
    pub(super) is_folder: bool,
    pub(super) mode: u32,
}

impl Outsider {
    /// The first of these users that may not connect to a socket that is there.
    pub(super) fn find(socket: &Path, users: &[User]) -> Option<Self> {
        let socket = std::path::absolute(socket).ok()?;
        let look = |path: &Path| {
            let data = std::fs::metadata(path).ok()?;
            Some((data.mode() & 0o777, data.uid(), data.gid()))
        };
        let (mode, uid, gid) = look(&socket)?;
        users.iter().find_map(|user| {
            let folder = socket.ancestors().skip(1).find_map(|folder| {
                let (mode, uid, gid) = look(folder)?;
                (user.rights(mode, uid, gid) & 1 == 0).then(|| (folder.to_owned(), mode))
            });
            let user = user.clone();
            match folder {
                Some((at, mode)) => Some(Self { user, at, is_folder: true, mode }),
                None if user.rights(mode, uid, gid) & 2 == 0 => {
                    Some(Self { user, at: socket.clone(), is_folder: false, mode })
                }
                None => None,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_user_is_kept_out_by_a_folder_or_by_the_socket() {
        let users = "root:x:0:0::/:\nlibvirt-qemu:x:64055:994:Libvirt:/var/lib/libvirt:/bin/false\n";
        let groups = "kvm:x:994:\nniv:x:12:ann,libvirt-qemu\n";
        let user = User::of("libvirt-qemu", users, groups).expect("it is there");
        assert_eq!((user.uid, user.group.as_str(), &user.gids[..]), (64055, "kvm", &[994, 12][..]));
        assert_eq!(User::of("qemu", users, groups), None);
        assert_eq!(
            [user.rights(0o640, 64055, 1), user.rights(0o640, 1, 12), user.rights(0o641, 1, 1)],
            [6, 4, 1]
        );

        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("vnic0.sock");
        assert_eq!(Outsider::find(&socket, std::slice::from_ref(&user)), None, "nothing is there");
        std::fs::write(&socket, "").expect("written");
        let allow =
            |path: &Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("set");
        for (of_folder, of_socket, kept_out) in
            [(0o700, 0o666, Some(true)), (0o711, 0o660, Some(false)), (0o711, 0o662, None)]
        {
            allow(folder.path(), of_folder);
            allow(&socket, of_socket);
            let found = Outsider::find(&socket, std::slice::from_ref(&user));
            assert_eq!(found.map(|found| found.is_folder), kept_out, "{of_folder:o} {of_socket:o}");
        }
    }
}
