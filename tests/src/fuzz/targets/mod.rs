//! What is fuzzed.
//!
//! | targets | what an input is |
//! |---|---|
//! | `pdu`, `lldp`, `provisioning`, `record`, `frame` | what a wire or the store holds of one kind (`formats`) |
//! | `configuration` | lines as a person types them, or as the running configuration is kept |
//! | `store`, `kept` | damage to a store's file; keys and values that a switch finds in its store |
//! | `mailbox` | the device commands of a guest's driver |
//! | `session`, `firmware`, `switch` | a schedule for a machine and the other ends of its links (`wire`) |
//! | `vhost`, `vring` | what a front end says at a vNIC's socket; what a guest's driver writes into its memory |
//!
//! The planted ones have faults on purpose: they show that a fault would be found, and how it is told.

mod configuration;
mod firmware;
mod formats;
mod planted;
mod session;
mod steps;
mod store;
mod switch;
mod vhost;
mod vring;
mod wire;
mod words;

use super::{Form, Target};

/// All of them.
pub const TARGETS: &[Target] = &[
    Target {
        name: "pdu",
        about: "a PDU of the VIF control protocol",
        form: Form::Octets,
        seeds: formats::pdus,
        run: formats::pdu,
    },
    Target {
        name: "lldp",
        about: "an LLDP data unit",
        form: Form::Octets,
        seeds: formats::lldp_units,
        run: formats::lldp,
    },
    Target {
        name: "provisioning",
        about: "the blob in which a vNIC's wishes travel",
        form: Form::Octets,
        seeds: formats::blobs,
        run: formats::provisioning,
    },
    Target {
        name: "record",
        about: "a stored vEth",
        form: Form::Text,
        seeds: formats::records,
        run: formats::record,
    },
    Target {
        name: "frame",
        about: "a frame of an NIV link",
        form: Form::Octets,
        seeds: formats::frames,
        run: formats::frame,
    },
    Target {
        name: "configuration",
        about: "configuration lines",
        form: Form::Text,
        seeds: configuration::seeds,
        run: configuration::run,
    },
    Target {
        name: "store",
        about: "damage to the file of a store",
        form: Form::Octets,
        seeds: store::damages,
        run: store::damaged,
    },
    Target {
        name: "kept",
        about: "keys and values that a switch finds in its store",
        form: Form::Octets,
        seeds: store::contents,
        run: store::kept,
    },
    Target {
        name: "mailbox",
        about: "device commands of a guest's driver",
        form: Form::Octets,
        seeds: firmware::mailbox_seeds,
        run: firmware::mailbox,
    },
    Target {
        name: "session",
        about: "a schedule for one end of a link",
        form: Form::Octets,
        seeds: session::seeds,
        run: session::run,
    },
    Target {
        name: "firmware",
        about: "a schedule for the adapter's firmware: two links, vNICs, host commands",
        form: Form::Octets,
        seeds: firmware::seeds,
        run: firmware::run,
    },
    Target {
        name: "switch",
        about: "a schedule for the switch's control plane: two links, configuration, disk",
        form: Form::Octets,
        seeds: switch::seeds,
        run: switch::run,
    },
    Target {
        name: "vhost",
        about: "what a front end says at a vNIC's socket",
        form: Form::Octets,
        seeds: vhost::seeds,
        run: vhost::run,
    },
    Target {
        name: "vring",
        about: "what a guest's driver writes into its memory",
        form: Form::Octets,
        seeds: vring::seeds,
        run: vring::run,
    },
];

/// Those that the machine of a guest, or the guest itself, feeds with whatever it likes.
pub(super) const OF_GUESTS: [&str; 2] = ["vhost", "vring"];

/// The planted one that only a guided search finds.
pub(super) const GUIDED: &str = "planted-way";

/// A target by its name, planted ones too.
#[must_use]
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().chain(planted::TARGETS).find(|target| target.name == name)
}
