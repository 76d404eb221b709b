//! Everything that is compared, in the order in which it runs: what is worth most comes first.

use super::Cores;
use super::curve::Curve;
use super::duel::Duel;
use super::{bulk, forwarding, hosts, pace, parts, scale, veth};

/// All of it.
pub(super) fn all() -> Vec<Duel> {
    vec![
        forwarding::duel(
            "64 octets between two virtio-user guests that forward by MAC address",
            64,
            Cores::ONE,
            ["pps-64-1core", "cycles-64-1core"],
            true,
        ),
        forwarding::duel(
            "the same with 256 octets",
            256,
            Cores::ONE,
            ["pps-256-1core", "cycles-256-1core"],
            false,
        ),
        forwarding::duel(
            "the same with the longest frames, 1518 octets with their check sequence",
            1514,
            Cores::ONE,
            ["pps-1518-1core", "cycles-1518-1core"],
            false,
        ),
        forwarding::duel(
            "64 octets, two cores for each side: our adapter and our switch, two threads of OVS",
            64,
            Cores::TWO,
            ["pps-64-2core", "cycles-64-2core"],
            false,
        ),
        hosts::tap(),
        hosts::veth(),
        bulk::duel(),
        scale::idle(),
        scale::memory(),
        parts::vrings(),
        parts::memif(),
        veth::duel(),
        hosts::xdp(),
        scale::silent_vnics("two guests talk, 14 are silent", "vnics-16-idle", 16),
        scale::silent_vnics("two guests talk, 254 are silent", "vnics-256-idle", 256),
        scale::silent_vnics("two guests talk, 1,022 are silent", "vnics-1024-idle", 1024),
        scale::talking_vnics("16 guests talk, in pairs", "vnics-16-all", 16),
        scale::talking_vnics("256 guests talk, in pairs", "vnics-256-all", 256),
        scale::talking_vnics("1,024 guests talk, in pairs", "vnics-1024-all", 1024),
        scale::flood("a guest floods to 16", "flood-16", 16),
        scale::flood("a guest floods to 256", "flood-256", 256),
        scale::vifs("the switch alone: 4,094 VIFs on one link talk in pairs", "vifs-4094", 4094),
        scale::addresses("the switch alone: frames to 10,000 addresses", "macs-10000", 10_000),
        scale::addresses("the switch alone: frames to 100,000 addresses", "macs-100000", 100_000),
        scale::addresses("the switch alone: frames to 1,000,000 addresses", "macs-1000000", 1_000_000),
        pace::round_trip(
            "1,000 round trips a second between two guests; ours sleeps between them",
            true,
            ["latency-low-p50", "latency-low-p99", "latency-low-p999"],
        ),
        hosts::round_trip(),
        pace::round_trip(
            "round trips at half of the lower maximum",
            false,
            ["latency-half-p50", "latency-half-p99", "latency-half-p999"],
        ),
        pace::offered("a tenth of the lower maximum", 0.1, ["cycles-load-10", "cpu-load-10"]),
        pace::offered("half of the lower maximum", 0.5, ["cycles-load-50", "cpu-load-50"]),
        pace::offered("the lower maximum", 1.0, ["cycles-load-100", "cpu-load-100"]),
    ]
}

/// What is drawn.
pub(super) const CURVES: &[Curve] = &[
    Curve {
        name: "vnics-idle",
        title: "A frame between two guests while the other vNICs are silent",
        across: "vNICs",
        first: 2.0,
        points: &[(16.0, "vnics-16-idle"), (256.0, "vnics-256-idle"), (1024.0, "vnics-1024-idle")],
    },
    Curve {
        name: "vnics-all",
        title: "A frame while all guests talk, 512 frames under way",
        across: "vNICs",
        first: 2.0,
        points: &[(16.0, "vnics-16-all"), (256.0, "vnics-256-all"), (1024.0, "vnics-1024-all")],
    },
    Curve {
        name: "flood",
        title: "A copy of a flooded frame",
        across: "members",
        first: 1.0,
        points: &[(16.0, "flood-16"), (256.0, "flood-256")],
    },
    Curve {
        name: "macs",
        title: "A frame to one of many addresses, in the switch alone",
        across: "addresses",
        first: 1000.0,
        points: &[(1e4, "macs-10000"), (1e5, "macs-100000"), (1e6, "macs-1000000")],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_comparisons_have_one_name() {
        let ids: Vec<_> = all().iter().flat_map(|duel| duel.goals.iter().map(|goal| goal.id)).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
    }

    #[test]
    fn curves_are_of_what_is_compared() {
        let duels = all();
        let ids: BTreeSet<_> = duels.iter().flat_map(|duel| duel.goals.iter().map(|goal| goal.id)).collect();
        for (_, id) in CURVES.iter().flat_map(|curve| curve.points) {
            assert!(ids.contains(id), "{id}");
        }
    }

    #[test]
    fn a_quick_run_compares_something_and_not_everything() {
        let daily = all().iter().filter(|duel| duel.daily).count();
        assert!(daily > 0 && daily < all().len());
    }
}
