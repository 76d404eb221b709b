//! What a session counts.

/// Makes the struct and its list of names from one table.
macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counters of one session, since it began.
        #[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
        pub struct SessionCounters {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl SessionCounters {
            /// Names and values.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name)),*].into_iter()
            }
        }
    };
}

counters! {
    /// LLDP data units sent.
    lldp_tx,
    /// LLDP data units received.
    lldp_rx,
    /// LLDP data units refused.
    lldp_malformed,
    /// Neighbours for whom there was no room.
    lldp_neighbors_full,
    /// HELLOs sent, responses included.
    ctl_hello_tx,
    /// HELLOs received, responses included.
    ctl_hello_rx,
    /// HELLOs refused: wrong contents, or the same role as ours.
    ctl_hello_refused,
    /// Requests sent for the first time.
    ctl_request_tx,
    /// Requests sent again.
    ctl_retransmitted,
    /// Responses received and matched with their requests.
    ctl_response_rx,
    /// Requests received for the first time.
    ctl_request_rx,
    /// Responses sent, repeated ones included.
    ctl_response_tx,
    /// Requests received again.
    ctl_duplicate,
    /// Requests refused here because of their contents.
    ctl_refused,
    /// PDUs of another session, or from before what is known of this one.
    ctl_stale,
    /// PDUs from somebody who is not the peer.
    ctl_foreign,
    /// PDUs of the session while it is not up.
    ctl_not_up,
    /// PDUs whose lengths do not hold.
    ctl_malformed,
    /// PDUs of another protocol version.
    ctl_version,
    /// Requests over the window announced.
    ctl_window_exceeded,
    /// Responses that match no request.
    ctl_unexpected_response,
    /// TLVs skipped because nobody expected them.
    ctl_unknown_tlv,
    /// Frames dropped because nobody fetched the events.
    ctl_events_full,
    /// Requests of our own for which there was no room.
    ctl_queue_full,
    /// Times the peer was lost.
    ctl_peer_lost,
}
