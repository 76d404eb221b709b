//! Why a link that is up has no peer, for those who mend it.

use super::{Neighbor, NotPeer, Session, Standing, State};

/// Why a link that is up has no peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoPeer<'a> {
    /// Nobody on the link speaks LLDP.
    Silent,
    /// Nobody who does can be the peer: the one who comes closest, and what is in the way.
    Refused(&'a Neighbor, &'a NotPeer),
    /// This one could be, but does not answer HELLO.
    Unanswered(&'a Neighbor),
}

impl Session {
    /// Why there is no peer; `None` while there is one, and while the link is down.
    #[must_use]
    pub fn no_peer(&self) -> Option<NoPeer<'_>> {
        let neighbors = self.neighbors();
        match self.state() {
            State::Down | State::Up => None,
            State::Greeting => {
                let greeted = neighbors.iter().find(|neighbor| neighbor.standing == Standing::Peer);
                Some(greeted.map_or(NoPeer::Silent, NoPeer::Unanswered))
            }
            State::Discovering => {
                let refused = neighbors.iter().filter_map(|neighbor| match &neighbor.standing {
                    Standing::Other(why) => Some((neighbor, why)),
                    Standing::Peer => None,
                });
                // Somebody who speaks NIV in another way is the one that was meant.
                let closest = refused.min_by_key(|(_, why)| **why == NotPeer::NoNiv);
                Some(closest.map_or(NoPeer::Silent, |(neighbor, why)| NoPeer::Refused(neighbor, why)))
            }
        }
    }

    /// Neighbours that want to be the peer while there is another one.
    pub fn rivals(&self) -> impl Iterator<Item = &Neighbor> {
        let second =
            |neighbor: &&Neighbor| matches!(neighbor.standing, Standing::Other(NotPeer::Second { .. }));
        self.neighbors().iter().filter(second)
    }
}
