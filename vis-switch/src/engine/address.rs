//! A MAC address in one register, for the path of every frame. Elsewhere it is a [`Mac`].

use vntag::ethernet::Mac;

/// The six octets as a number, first octet highest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Address(u64);

impl Address {
    /// Destination and source of a frame, where it has both.
    #[inline(always)]
    pub(super) fn pair(bytes: &[u8]) -> Option<(Self, Self)> {
        let destination = u64::from_be_bytes(*bytes.first_chunk()?) >> 16;
        let source = u64::from_be_bytes(*bytes.get(4..)?.first_chunk()?) & 0xffff_ffff_ffff;
        Some((Self(destination), Self(source)))
    }

    /// The number, below 2^48.
    #[inline]
    pub(super) fn get(self) -> u64 {
        self.0
    }

    /// As [`Mac::is_group`].
    #[inline]
    pub(super) fn is_group(self) -> bool {
        self.0 >> 40 & 1 != 0
    }

    /// As [`Mac::is_zero`].
    #[inline]
    pub(super) fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// As [`Mac::is_link_local`].
    #[inline]
    pub(super) fn is_link_local(self) -> bool {
        self.0 & !0xf == 0x0180_c200_0000
    }
}

impl From<Address> for Mac {
    fn from(address: Address) -> Self {
        let [_, _, mac @ ..] = address.0.to_be_bytes();
        Self(mac)
    }
}

impl From<Mac> for Address {
    fn from(Mac([a, b, c, d, e, f]): Mac) -> Self {
        Self(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn says_what_a_mac_says(frame in prop::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 0..14), last: u8) {
            match Address::pair(&frame) {
                None => prop_assert!(frame.len() < 12),
                Some((destination, source)) => {
                    prop_assert_eq!(&Mac::from(destination).0[..], &frame[..6]);
                    prop_assert_eq!(&Mac::from(source).0[..], &frame[6..12]);
                    prop_assert_eq!(Address::from(Mac::from(source)), source);
                }
            }
            let local = Mac([1, 0x80, 0xc2, 0, 0, last]);
            for mac in [local, Mac([0; 6]), Mac::BROADCAST, Mac([2, 0, 0, 0, 0, last]), Mac([3, 0x80, 0xc2, 0, 0, last])] {
                let address = Address::from(mac);
                prop_assert_eq!(address.is_group(), mac.is_group());
                prop_assert_eq!(address.is_zero(), mac.is_zero());
                prop_assert_eq!(address.is_link_local(), mac.is_link_local());
            }
        }
    }
}
