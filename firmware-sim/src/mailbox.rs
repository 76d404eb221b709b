//! The host mailbox: how a driver talks to the firmware, modelled on the public enic device commands (devcmd).
//!
//! A driver writes a command word, two arguments and perhaps data; it reads back a status word, two arguments and perhaps
//! data. Numbers, words, arguments and error codes are those of the public headers (`vnic_devcmd.h`). What this firmware
//! does not do is answered with an error code as well: no command is without an answer.
//!
//! | command | what it does here |
//! |---|---|
//! | OPEN, OPEN_STATUS, CLOSE | opens the device; all but CAPABILITY need it open. CLOSE gives the VIFs back |
//! | INIT, INIT_v1, INIT_STATUS | asks for VIFs with what the vNIC was configured with |
//! | INIT_PROV_INFO | asks for VIFs with the blob in the data |
//! | INIT_PROV_INFO2, ENABLE2 | keeps the blob; asks for VIFs with it, standby (a0 = 0) or active (a0 = 1) |
//! | PROV_INFO_UPDATE | asks for VIFs with another blob at once |
//! | ENABLE, ENABLE_WAIT, DISABLE, SOFT_RESET | the guest's rings |
//! | DEINIT | gives the VIFs back |
//! | STATUS | how far the command in a0 has got: 0 in a0, or an error code |
//! | GET_MAC_ADDR, ADDR_ADD, ADDR_DEL, PACKET_FILTER, NOTIFY | as a NIC does |
//! | SET_MAC_ADDR, SET_DEFAULT_VLAN | EPERM: the host's configuration and the switch own these |
//! | all others | ENOTSUPPORTED, or ECMDUNKNOWN for what is no command |

use std::collections::BTreeSet;

use vntag::ctl::{Provisioning, Status};
use vntag::ethernet::Mac;

use crate::config::VnicId;
use crate::firmware::Firmware;
use crate::life::Phase;

/// Low 14 bits of a command word: the command's number.
const NUMBER: u32 = 0x3fff;
/// Station addresses that a device takes.
const MAX_ADDRESSES: usize = 64;
/// All bits of PACKET_FILTER.
const FILTER_BITS: u64 = 0x1f;

/// Makes the commands from one table.
macro_rules! commands {
    ($($name:ident = $word:literal,)*) => {
        /// A command that the public headers know.
        #[allow(missing_docs, reason = "the names are those of the public header, and all there is to say")]
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "names of the public header")]
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Command { $($name,)* }

        impl Command {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its command word.
            #[must_use]
            pub const fn word(self) -> u32 {
                match self { $(Self::$name => $word,)* }
            }

            /// Its name in the public header, without the prefix `CMD_`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

commands! {
    PACKET_FILTER = 0x4100_4007,
    GET_MAC_ADDR = 0x8000_c009,
    ADDR_ADD = 0x4100_c00c,
    ADDR_DEL = 0x4100_c00d,
    VLAN_ADD = 0x4100_400e,
    VLAN_DEL = 0x4100_400f,
    SOFT_RESET = 0x0101_c013,
    SOFT_RESET_STATUS = 0x8001_c014,
    NOTIFY = 0xc001_c015,
    OPEN = 0x4101_c017,
    OPEN_STATUS = 0x8001_c018,
    CLOSE = 0x0001_c019,
    INIT_V1 = 0x8101_c01a,
    INIT_PROV_INFO = 0x4000_401b,
    ENABLE = 0x4101_c01c,
    ENABLE_WAIT = 0x4001_c01c,
    DISABLE = 0x0001_c01d,
    INIT_STATUS = 0x8001_c01f,
    LOGICAL_UPLINK = 0x4100_4021,
    DEINIT = 0x0101_c022,
    INIT = 0x4101_c023,
    CAPABILITY = 0xc001_c024,
    IG_VLAN_REWRITE_MODE = 0xc000_4029,
    PROXY_BY_BDF = 0xc001_c02a,
    PROXY_BY_INDEX = 0xc001_c02b,
    CONFIG_INFO_GET = 0xc001_c02c,
    SET_DEFAULT_VLAN = 0xc001_c02e,
    INIT_PROV_INFO2 = 0x4000_402f,
    ENABLE2 = 0x4000_4030,
    STATUS = 0xc001_c031,
    SET_MAC_ADDR = 0x4000_4037,
    PROV_INFO_UPDATE = 0x4000_4038,
    INITIALIZE_DEVCMD2 = 0x4001_c039,
}

impl Command {
    /// The command with this word: number, directions and types have to fit.
    #[must_use]
    pub fn from_word(word: u32) -> Option<Self> {
        Self::ALL.iter().copied().find(|command| command.word() == word)
    }

    /// The command that an argument names, by its word or by its number alone.
    fn named(argument: u64) -> Option<Self> {
        let word = u32::try_from(argument).ok()?;
        Self::from_word(word)
            .or_else(|| Self::ALL.iter().copied().find(|command| command.word() & NUMBER == word))
    }

    /// Whether this firmware does anything for it.
    #[must_use]
    pub const fn is_supported(self) -> bool {
        !matches!(
            self,
            Self::VLAN_ADD
                | Self::VLAN_DEL
                | Self::LOGICAL_UPLINK
                | Self::IG_VLAN_REWRITE_MODE
                | Self::PROXY_BY_BDF
                | Self::PROXY_BY_INDEX
                | Self::CONFIG_INFO_GET
                | Self::INITIALIZE_DEVCMD2
        )
    }
}

/// Why a command is rejected, with the numbers of the public header.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
#[repr(u8)]
pub enum DevError {
    /// An argument or the data make no sense.
    #[error("EINVAL")]
    Invalid = 1,
    /// Not the driver's to decide.
    #[error("EPERM")]
    Permission = 3,
    /// No such command.
    #[error("ECMDUNKNOWN")]
    Unknown = 5,
    /// Not in this state.
    #[error("EBADSTATE")]
    BadState = 6,
    /// The switch has no room.
    #[error("ENOMEM")]
    NoMemory = 7,
    /// The switch cannot be reached.
    #[error("ELINKDOWN")]
    LinkDown = 9,
    /// No room for another one.
    #[error("EMAXRES")]
    MaxResources = 10,
    /// This firmware does not do that.
    #[error("ENOTSUPPORTED")]
    NotSupported = 11,
    /// Not done yet.
    #[error("EINPROGRESS")]
    InProgress = 12,
    /// The switch refuses for another reason.
    #[error("ETIMEDOUT")]
    TimedOut = 8,
}

/// What the driver reads back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Completion {
    /// Bit 1: error, with its code in the first argument. BUSY (bit 0) is never seen: commands are done at once.
    pub status: u32,
    /// Arguments.
    pub args: [u64; 2],
}

impl Completion {
    /// The status bit of an error.
    pub const ERROR: u32 = 2;

    const fn of(result: Result<[u64; 2], DevError>) -> Self {
        match result {
            Ok(args) => Self { status: 0, args },
            Err(error) => Self { status: Self::ERROR, args: [error as u64, 0] },
        }
    }
}

/// What the firmware would write into the notify block that the driver registered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotifyBlock {
    /// The carrier is up.
    pub link_up: bool,
    /// Times it went down.
    pub link_down_count: u32,
    /// Greatest payload of a frame, once the switch said so.
    pub mtu: Option<u16>,
}

/// A device, as it is shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceStatus {
    /// The driver has opened it.
    pub open: bool,
    /// What its notify block has; `None` where the driver registered none.
    pub notify: Option<NotifyBlock>,
    /// The bits of PACKET_FILTER.
    pub filter: u64,
    /// Addresses that the driver added.
    pub addresses: Vec<Mac>,
    /// A blob waits for ENABLE2.
    pub staged: bool,
}

/// A device, as the driver left it.
#[derive(Default, Debug)]
pub(crate) struct Device {
    open: bool,
    notify: bool,
    filter: u64,
    addresses: BTreeSet<Mac>,
    staged: Option<Provisioning>,
}

impl Firmware {
    /// Carries out a device command of a vNIC's driver.
    pub fn devcmd(&mut self, now: u64, id: VnicId, word: u32, args: [u64; 2], data: &[u8]) -> Completion {
        let result = Command::from_word(word)
            .ok_or(DevError::Unknown)
            .and_then(|command| self.command(now, id, command, args, data));
        Completion::of(result)
    }

    fn command(
        &mut self,
        now: u64,
        id: VnicId,
        command: Command,
        args: [u64; 2],
        data: &[u8],
    ) -> Result<[u64; 2], DevError> {
        const DONE: [u64; 2] = [0, 0];
        let [a0, _] = args;
        let mac = self.vnic_mac(id).ok_or(DevError::Invalid)?;
        if command == Command::CAPABILITY {
            let known = Command::named(a0).is_some_and(Command::is_supported);
            return Ok([if known { 0 } else { DevError::NotSupported as u64 }, 0]);
        }
        if !command.is_supported() {
            return Err(DevError::NotSupported);
        }
        let status = self.association(id);
        let device = self.device(id).ok_or(DevError::Invalid)?;
        if !device.open && !matches!(command, Command::OPEN | Command::OPEN_STATUS) {
            return Err(DevError::BadState);
        }
        match command {
            Command::OPEN => device.open = true,
            Command::OPEN_STATUS => return Ok([u64::from(!device.open), 0]),
            Command::CLOSE => {
                *device = Device::default();
                self.provision(now, id, None, Some(false));
            }
            Command::INIT | Command::INIT_V1 => self.provision(now, id, None, None),
            Command::INIT_STATUS => {
                return Ok(match status {
                    Err(DevError::InProgress) => [1, 0],
                    Err(error) => [0, error as u64],
                    Ok(()) => DONE,
                });
            }
            Command::INIT_PROV_INFO | Command::PROV_INFO_UPDATE => {
                self.provision(now, id, Some(blob(data)?), None);
            }
            Command::INIT_PROV_INFO2 => device.staged = Some(blob(data)?),
            Command::ENABLE2 => {
                let active = match a0 {
                    0 => false,
                    1 => true,
                    _ => return Err(DevError::Invalid),
                };
                let staged = device.staged.take().ok_or(DevError::BadState)?;
                self.set_rings(now, id, active);
                self.provision(now, id, Some(staged), None);
            }
            Command::ENABLE | Command::ENABLE_WAIT => self.set_rings(now, id, true),
            Command::DISABLE => self.set_rings(now, id, false),
            Command::SOFT_RESET => {
                (device.filter, device.addresses) = (0, BTreeSet::new());
                self.set_rings(now, id, false);
            }
            Command::DEINIT => self.provision(now, id, None, Some(false)),
            Command::STATUS => return self.command_status(id, a0).map(|code| [code, 0]),
            Command::GET_MAC_ADDR => return Ok([mac_argument(mac), 0]),
            Command::ADDR_ADD if device.addresses.len() >= MAX_ADDRESSES => {
                return Err(DevError::MaxResources);
            }
            Command::ADDR_ADD => {
                device.addresses.insert(argument_mac(a0)?);
            }
            Command::ADDR_DEL if !device.addresses.remove(&argument_mac(a0)?) => {
                return Err(DevError::Invalid);
            }
            Command::PACKET_FILTER if a0 & !FILTER_BITS != 0 => return Err(DevError::Invalid),
            Command::PACKET_FILTER => device.filter = a0,
            // The address of the block; 0 takes it back.
            Command::NOTIFY => device.notify = a0 != 0,
            Command::SET_MAC_ADDR | Command::SET_DEFAULT_VLAN => return Err(DevError::Permission),
            _ => {}
        }
        Ok(DONE)
    }

    /// How far a command has got: what STATUS answers.
    fn command_status(&self, id: VnicId, asked: u64) -> Result<u64, DevError> {
        let command = Command::named(asked).ok_or(DevError::Unknown)?;
        let code = |result: Result<(), DevError>| result.err().map_or(0, |error| error as u64);
        match command {
            Command::OPEN => Ok(0),
            Command::INIT | Command::INIT_PROV_INFO | Command::INIT_PROV_INFO2 | Command::ENABLE2 => {
                Ok(code(self.association(id)))
            }
            Command::DEINIT => {
                let gone = self.vnic(id).is_some_and(|vnic| vnic.vifs.is_empty());
                Ok(if gone { 0 } else { DevError::InProgress as u64 })
            }
            _ => Err(DevError::NotSupported),
        }
    }

    /// Whether the vNIC has what it asked for.
    fn association(&self, id: VnicId) -> Result<(), DevError> {
        let vnic = self.vnic(id).ok_or(DevError::Invalid)?;
        let vif = vnic.vifs.first().ok_or(DevError::BadState)?;
        match vif.phase {
            Phase::Standby | Phase::Active => Ok(()),
            Phase::Absent if self.session(vif.link).is_none_or(|session| session.peer().is_none()) => {
                Err(DevError::LinkDown)
            }
            Phase::Absent | Phase::Creating | Phase::Enabling | Phase::Disabling | Phase::Deleting => {
                Err(DevError::InProgress)
            }
            Phase::Claimed | Phase::Disabled => Err(DevError::BadState),
            Phase::Pending => Err(match vif.cause.as_ref().map(|(status, _)| *status) {
                Some(Status::INVALID | Status::UNKNOWN_PROFILE) => DevError::Invalid,
                Some(Status::BADSTATE) => DevError::BadState,
                Some(Status::INSUFFICIENT_RESOURCES) => DevError::NoMemory,
                _ => DevError::TimedOut,
            }),
        }
    }

    /// The device of a vNIC.
    #[must_use]
    pub fn device_status(&self, id: VnicId) -> Option<DeviceStatus> {
        let device = self.device_of(id)?;
        Some(DeviceStatus {
            open: device.open,
            notify: self.notify_block(id),
            filter: device.filter,
            addresses: device.addresses.iter().copied().collect(),
            staged: device.staged.is_some(),
        })
    }

    /// The notify block of a vNIC whose driver registered one.
    #[must_use]
    pub fn notify_block(&self, id: VnicId) -> Option<NotifyBlock> {
        self.device_of(id).filter(|device| device.notify)?;
        self.notify_contents(id)
    }
}

fn blob(data: &[u8]) -> Result<Provisioning, DevError> {
    Provisioning::parse(data).map_err(|_| DevError::Invalid)
}

/// An address in the first six octets of a little-endian argument.
fn argument_mac(argument: u64) -> Result<Mac, DevError> {
    match argument.to_le_bytes() {
        [a, b, c, d, e, f, 0, 0] => Ok(Mac([a, b, c, d, e, f])),
        _ => Err(DevError::Invalid),
    }
}

const fn mac_argument(mac: Mac) -> u64 {
    let [a, b, c, d, e, f] = mac.0;
    u64::from_le_bytes([a, b, c, d, e, f, 0, 0])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the public header: number and name go together.
    #[test]
    fn words_have_their_numbers() {
        let numbers: Vec<u32> = Command::ALL.iter().map(|command| command.word() & NUMBER).collect();
        let expected = [
            7, 9, 12, 13, 14, 15, 19, 20, 21, 23, 24, 25, 26, 27, 28, 28, 29, 31, 33, 34, 35, 36, 41, 42, 43,
            44, 46, 47, 48, 49, 55, 56, 57,
        ];
        assert_eq!(numbers, expected);
        for command in Command::ALL {
            assert_eq!(Command::from_word(command.word()), Some(*command));
        }
    }

    #[test]
    fn addresses_are_little_endian_arguments() {
        let mac = Mac([0x52, 0x54, 0, 0, 0, 1]);
        assert_eq!(mac_argument(mac), 0x0100_0000_5452);
        assert_eq!(argument_mac(mac_argument(mac)), Ok(mac));
        assert_eq!(argument_mac(1 << 48), Err(DevError::Invalid));
    }
}
