//! The numbers with a meaning: operations, outcomes, types of TLVs. All are open: unknown ones are kept.

use core::fmt;

/// Makes a newtype over an open code point: constants, their names, `Display`.
macro_rules! code_points {
    ($(#[$doc:meta])* $name:ident($int:ty) { $($(#[$item:meta])* $const:ident = $value:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub $int);

        impl $name {
            $($(#[$item])* pub const $const: Self = Self($value);)*

            /// All code points that have a name.
            pub const ALL: &[Self] = &[$(Self::$const),*];

            /// The name in the protocol's tables.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($const)),)*
                    _ => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, "{}({})", stringify!($name), self.0),
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

code_points! {
    /// What a PDU asks for or answers, without the response bit.
    Opcode(u8) {
        /// I am here; both ways, every interval.
        HELLO = 1,
        /// A new vNIC wants a VIF (IV to VIS).
        VIF_CREATE = 2,
        /// Standby to active (IV to VIS).
        VIF_ENABLE = 3,
        /// Active to standby (IV to VIS).
        VIF_DISABLE = 4,
        /// The VIF ends (both ways, idempotent).
        VIF_DELETE = 5,
        /// State and parameters of VIFs (VIS to IV).
        VIF_SET = 6,
        /// All members of a list (VIS to IV).
        LIST_SET = 7,
        /// Members that come and go (VIS to IV).
        LIST_MOD = 8,
        /// Reads a list back (VIS to IV).
        LIST_GET = 9,
        /// Reads a VIF's counters (VIS to IV).
        STATS_GET = 10,
        /// Link state of VIFs (both ways).
        LINK_STATE = 11,
        /// Something happened at the VIS (VIS to IV).
        EVENT = 12,
        /// A guest announced itself after a move (IV to VIS).
        ANNOUNCE = 13,
    }
}

code_points! {
    /// The outcome in a response; 0 in requests.
    Status(u16) {
        /// Done: in effect in every worker.
        OK = 0,
        /// Being worked on; ask again with the same sequence number.
        INPROGRESS = 1,
        /// The request is wrong in itself.
        INVALID = 2,
        /// Not possible in the state things are in.
        BADSTATE = 3,
        /// Something is full.
        INSUFFICIENT_RESOURCES = 4,
        /// Anything else.
        ERROR = 5,
        /// No such port profile, or not enabled, or its max-ports reached.
        UNKNOWN_PROFILE = 6,
        /// No such VIF.
        UNKNOWN_VIF = 7,
        /// A protocol version that is not spoken here.
        VERSION = 8,
        /// Said about something that is no longer so.
        STALE = 9,
    }
}

impl Status {
    /// The code of Linux' port-profile responses (`linux/if_link.h`, `PORT_PROFILE_RESPONSE_*`).
    #[must_use]
    pub const fn linux(self) -> u16 {
        match self {
            Self(code @ 0..=5) => 0x100 + code,
            Self::UNKNOWN_PROFILE => 0x102,
            Self(_) => 0x105,
        }
    }
}

code_points! {
    /// What a TLV's value is.
    TlvType(u16) {
        /// u8, see [`Role`](super::Role).
        ROLE = 1,
        /// u64, random at each start.
        BOOT_ID = 2,
        /// VIFs u16, lists u16, maximum PDU u16.
        LIMITS = 3,
        /// u16: requests that may be outstanding.
        WINDOW = 4,
        /// u16: milliseconds between HELLOs.
        INTERVAL = 5,
        /// u32: octets the end takes in one frame.
        MAX_FRAME = 6,
        /// u16, as in discovery.
        FLAGS = 7,
        /// 16 octets.
        NODE_UUID = 8,
        /// 1 to 63 octets UTF-8.
        NODE_NAME = 9,
        /// u16: the adapter's number of the vNIC.
        CHANNEL = 10,
        /// See [`Provisioning`](super::Provisioning).
        PROVISIONING = 11,
        /// u8: 0 standby, 1 active.
        INITIAL_STATE = 12,
        /// u16.
        VIF = 13,
        /// u32: the number of the vEth.
        VETH = 14,
        /// 24 octets, see [`VifParams`](super::VifParams).
        VIF_PARAMS = 15,
        /// n times u16.
        VIF_VECTOR = 16,
        /// u8, see [`VifState`](super::VifState).
        STATE = 17,
        /// u16 code, then UTF-8 for people.
        CAUSE = 18,
        /// u16.
        LIST = 19,
        /// u32: counts the changes of a list.
        GENERATION = 20,
        /// n times u16.
        ADD = 21,
        /// n times u16.
        DEL = 22,
        /// u8: not 0 while a list is not complete.
        MORE = 23,
        /// 16 times u64.
        COUNTERS = 24,
        /// u8: 0 down, 1 up.
        UP = 25,
        /// u16, see [`EventCode`](super::EventCode).
        EVENT_CODE = 26,
        /// 6 octets.
        MAC = 27,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_has_a_linux_code() {
        let linux: Vec<u16> = Status::ALL.iter().map(|status| status.linux()).collect();
        let (error, invalid) = (0x105, 0x102);
        assert_eq!(linux, [0x100, 0x101, 0x102, 0x103, 0x104, 0x105, invalid, error, error, error]);
    }

    #[test]
    fn code_points_have_the_names_of_the_tables() {
        assert_eq!((Opcode::ALL.len(), TlvType::ALL.len(), Status::ALL.len()), (13, 27, 10));
        assert_eq!(Opcode::VIF_CREATE.to_string(), "VIF_CREATE");
        assert_eq!(TlvType(28).to_string(), "TlvType(28)");
    }
}
