//! What a vNIC is known by, where nobody wrote it down: derived from the node and the vNIC's name, so that it is the
//! same at every start.

use vntag::ethernet::Mac;
use vntag::uuid::Uuid;

/// The UUID of a name within `namespace` (RFC 9562, version 5).
#[must_use]
pub fn uuid_v5(namespace: Uuid, name: &str) -> Uuid {
    let mut hash = sha1_smol::Sha1::new();
    hash.update(&namespace.0);
    hash.update(name.as_bytes());
    let digest = hash.digest().bytes();
    let mut octets = [0; 16];
    octets.copy_from_slice(&digest[..16]);
    octets[6] = octets[6] & 0x0f | 0x50;
    octets[8] = octets[8] & 0x3f | 0x80;
    Uuid(octets)
}

/// The instance UUID of a vNIC that has none. Another node makes another one of the same name: such a vNIC cannot move.
#[must_use]
pub fn derived_uuid(node: Uuid, vnic: &str) -> Uuid {
    uuid_v5(node, vnic)
}

/// The address of a port or vNIC that has none: locally administered, one station's.
#[must_use]
pub fn derived_mac(node: Uuid, name: &str) -> Mac {
    let Uuid([a, b, c, d, e, f, ..]) = uuid_v5(node, &format!("mac {name}"));
    Mac([a & 0xfc | 0x02, b, c, d, e, f])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_5_as_the_standard_shows_it() {
        // RFC 9562, appendix A.4: www.example.com in the namespace of DNS.
        let dns: Uuid = "6ba7b810-9dad-11d1-80b4-00c04fd430c8".parse().expect("a UUID");
        assert_eq!(uuid_v5(dns, "www.example.com").to_string(), "2ed6657d-e927-568b-95e1-2665a8aea6a2");
    }

    #[test]
    fn derived_addresses_are_stations_and_differ_by_node_and_name() {
        let nodes = [Uuid([1; 16]), Uuid([2; 16])];
        let mut seen = std::collections::BTreeSet::new();
        for node in nodes {
            for n in 0..4000 {
                let mac = derived_mac(node, &format!("vnic{n}"));
                assert!(!mac.is_group() && mac.0[0] & 2 == 2, "{mac}");
                assert!(seen.insert(mac), "{mac} twice");
            }
        }
        assert_eq!(derived_mac(nodes[0], "vnic7"), derived_mac(nodes[0], "vnic7"));
    }
}
