//! Who may do what: the roles of those who connect.
//!
//! The kernel says whose process connects (`SO_PEERCRED`), the system's user database in which groups that user is.
//! Without groups in the configuration, whoever the socket's mode lets connect is an administrator.

use super::http::Problem;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use nix::unistd::{Gid, Group, Uid, User, getgrouplist};
use std::ffi::CString;

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look: `show`, metrics, health.
    Reader,
    /// Everything: change, capture.
    Admin,
}

/// A group of users, as the configuration names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedGroup {
    name: String,
    gid: Gid,
}

impl NamedGroup {
    /// The group of this name, or of this number.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        let gid = match name.parse() {
            Ok(number) => Gid::from_raw(number),
            Err(_) => Group::from_name(name).ok()??.gid,
        };
        Some(Self { name: name.to_owned(), gid })
    }
}

/// Who may connect, and as what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// May do everything.
    pub admins: Option<NamedGroup>,
    /// May look.
    pub readers: Option<NamedGroup>,
}

impl Access {
    /// The mode of the socket's file: where groups decide, everybody may connect to be judged.
    pub(super) fn mode(&self) -> u32 {
        if self.by_group() { 0o666 } else { 0o660 }
    }

    fn by_group(&self) -> bool {
        self.admins.is_some() || self.readers.is_some()
    }

    /// What this user may do. Asks the user database, so it may take a moment.
    pub(super) fn role(&self, uid: u32, gid: u32) -> Option<Role> {
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        if !self.by_group() || uid.is_root() || uid == Uid::effective() {
            return Some(Role::Admin);
        }
        let groups = groups(uid, gid);
        let of = |group: &Option<NamedGroup>| group.as_ref().is_some_and(|group| groups.contains(&group.gid));
        if of(&self.admins) { Some(Role::Admin) } else { of(&self.readers).then_some(Role::Reader) }
    }

    /// `group niv-admin may change things, group niv may look`
    pub(super) fn rule(&self) -> String {
        let part = |group: &Option<NamedGroup>, may: &str| {
            group.as_ref().map(|group| format!("group {} may {may}", group.name))
        };
        let parts: Vec<String> = [part(&self.admins, "do everything"), part(&self.readers, "look")]
            .into_iter()
            .flatten()
            .collect();
        parts.join(", ")
    }
}

/// The groups of a user; at least the one of the process.
fn groups(uid: Uid, gid: Gid) -> Vec<Gid> {
    let listed = || {
        let user = User::from_uid(uid).ok()??;
        getgrouplist(&CString::new(user.name).ok()?, user.gid).ok()
    };
    let mut groups = listed().unwrap_or_default();
    groups.push(gid);
    groups
}

/// Somebody who has connected.
#[derive(Clone, Debug)]
pub struct Client {
    /// The user.
    pub uid: u32,
    /// The process, where the kernel knows it.
    pub pid: Option<i32>,
    /// What they may do; nothing for strangers.
    pub role: Option<Role>,
    /// What they are told where they may not.
    pub(crate) rule: String,
}

impl Client {
    /// The user's name, or their number.
    #[must_use]
    pub fn user(&self) -> String {
        let known = User::from_uid(Uid::from_raw(self.uid)).ok().flatten();
        known.map_or_else(|| self.uid.to_string(), |user| user.name)
    }

    /// Why they may not.
    pub(super) fn denial(&self) -> String {
        format!("Permission denied for user {}: {}.", self.user(), self.rule)
    }
}

/// Nothing is answered to strangers.
pub(super) async fn known(request: Request, next: Next) -> Response {
    match request.extensions().get::<Client>() {
        Some(client) if client.role.is_some() => next.run(request).await,
        Some(client) => Problem::plain(StatusCode::FORBIDDEN, client.denial()).into_response(),
        None => Problem::plain(StatusCode::FORBIDDEN, "nobody knows who asks").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(gid: u32) -> Option<NamedGroup> {
        NamedGroup::find(&gid.to_string())
    }

    #[test]
    fn groups_decide_where_there_are_any() {
        const NOBODY: u32 = 65_534;
        let open = Access::default();
        assert_eq!((open.role(NOBODY, NOBODY), open.mode()), (Some(Role::Admin), 0o660));
        let access = Access { admins: group(4_000_001), readers: group(4_000_002) };
        assert_eq!(access.mode(), 0o666);
        // The process's own group counts, as after newgrp(1).
        for (gid, role) in
            [(4_000_001, Some(Role::Admin)), (4_000_002, Some(Role::Reader)), (4_000_003, None)]
        {
            assert_eq!(access.role(NOBODY, gid), role);
        }
        assert_eq!(access.role(0, 4_000_003), Some(Role::Admin));
        assert_eq!(access.rule(), "group 4000001 may do everything, group 4000002 may look");
        let only = Access { admins: None, readers: group(4_000_002) };
        assert_eq!(only.role(NOBODY, 4_000_001), None);
    }

    #[test]
    fn the_user_database_is_asked() {
        assert_eq!(NamedGroup::find("root").map(|group| group.gid.as_raw()), Some(0));
        assert_eq!(NamedGroup::find("no-such-group-here"), None);
        assert!(groups(Uid::from_raw(0), Gid::from_raw(77)).contains(&Gid::from_raw(0)));
        assert_eq!(Client { uid: 0, pid: None, role: None, rule: String::new() }.user(), "root");
    }
}
