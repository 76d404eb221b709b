//! Orders, parameters and counters, from one vocabulary to the other.

use crate::engine::{self, DropReason, GroupStats, VnicStats};
use firmware_sim::{LinkId, Order, VnicId};
use niv_node::counter::Counter;
use vntag::ctl;

fn index(link: LinkId) -> usize {
    usize::from(link.0)
}

/// An order of the firmware as the data path takes it.
#[must_use]
pub fn engine_order(order: Order) -> engine::Order {
    match order {
        Order::SetVif { link, vif, vnic: VnicId(vnic), state, params } => engine::Order::SetVif {
            link: index(link),
            vif,
            vnic,
            state: match state {
                ctl::VifState::Active => engine::VifState::Active,
                ctl::VifState::Standby | ctl::VifState::Disabled | ctl::VifState::Deleted => {
                    engine::VifState::Standby
                }
            },
            params: engine_params(&params),
        },
        Order::ClearVif { link, vif } => engine::Order::ClearVif { link: index(link), vif },
        Order::SetList { link, list, members } => {
            engine::Order::SetList { link: index(link), list, members: Some(members.into_boxed_slice()) }
        }
        Order::ClearList { link, list } => engine::Order::SetList { link: index(link), list, members: None },
    }
}

/// The parameters of a VIF as the data path takes them. Rates are the switch's to keep.
#[must_use]
pub const fn engine_params(params: &ctl::VifParams) -> engine::VifParams {
    engine::VifParams {
        vlan_mode: match params.mode {
            ctl::VlanMode::Trunk => engine::VlanMode::Trunk,
            ctl::VlanMode::Access => engine::VlanMode::Access,
            ctl::VlanMode::NativeTagged => engine::VlanMode::NativeTagged,
        },
        default_vlan: params.vlan,
        default_cos: params.cos,
        allowed_priorities: params.priorities,
        mtu: params.mtu,
    }
}

/// What a vNIC has counted, in the order of AFEX: `tx` is what its guest sent, `rx` what it got. Frames that were taken
/// from the guest and dropped then are among the transmitted ones, too. Discarded are frames that the VIF's rules
/// forbid; dropped are those for which there was no room, no link or no guest.
#[must_use]
pub fn afex_counters(stats: &VnicStats) -> ctl::Counters {
    use DropReason as R;
    let sum = |reasons: &[R]| reasons.iter().map(|reason| stats.drops[*reason].get()).sum();
    let side = |frames: &Counter, octets: &Counter, groups: &GroupStats| {
        let of = [
            groups.multicast_frames.get(),
            groups.multicast_octets.get(),
            groups.broadcast_frames.get(),
            groups.broadcast_octets.get(),
        ];
        // The worker counts meanwhile: what is for groups may be ahead of the sum.
        let unicast =
            [frames.get().saturating_sub(of[0] + of[2]), octets.get().saturating_sub(of[1] + of[3])];
        [unicast[0], unicast[1], of[0], of[1], of[2], of[3]]
    };
    let mut counters = [0; 16];
    let (tx, rx) = counters.split_at_mut(8);
    tx[..6].copy_from_slice(&side(&stats.rx_frames, &stats.rx_octets, &stats.rx_groups));
    tx[6] = sum(&[
        R::HostVntag,
        R::HostTagHidden,
        R::HostVifDown,
        R::HostPriority,
        R::HostRunt,
        R::HostOversize,
        R::HostOffload,
    ]);
    tx[7] = sum(&[R::LinkDown, R::LinkRefused]);
    rx[..6].copy_from_slice(&side(&stats.tx_frames, &stats.tx_octets, &stats.tx_groups));
    rx[6] = sum(&[R::LinkVlan, R::LinkDouble, R::LinkOffload]);
    rx[7] = sum(&[R::LinkVifDown, R::HostRingFull, R::HostRefused]);
    ctl::Counters(counters)
}
