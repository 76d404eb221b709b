//! The fate of a frame, as a value, and the reasons why one is dropped.
//!
//! The labels in front of the help (`V5`, `F1`) are the lines of the conformance tables in `docs/observability.md`.

use super::lif::LifId;
use vntag::Fault;

/// What becomes of a frame that was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// To one logical interface.
    Unicast(LifId),
    /// To every other member of its VLAN.
    Flood,
    /// To nobody.
    Drop(DropReason),
}

niv_node::drop_reasons! {
    /// Why a frame, or one copy of a flooded frame, was dropped. Counted where it is decided.
    pub enum DropReason, DropCounters {
        /// Neither a VNTag nor an exempt control frame on an NIV link.
        RxNoVntag = "rx_no_vntag", "V1 V15";
        /// VNTag on a port that is not in vntag mode.
        RxVntagIllegal = "rx_vntag_illegal", "V2";
        /// Fewer than four octets behind the EtherType of the tag.
        RxTruncated = "rx_truncated", "V3";
        /// The tag is whole, but no EtherType follows it.
        RxNoInnerType = "rx_no_inner_type", "V4";
        /// Tag with d=1 from an adapter.
        RxBadDir = "rx_bad_dir", "V5";
        /// Tag with p=1 on the way up.
        RxBadPtr = "rx_bad_ptr", "V6";
        /// Tag with l=1 on the way up.
        RxBadLoop = "rx_bad_loop", "V7";
        /// Tag with a destination on the way up.
        RxBadDst = "rx_bad_dst", "V8";
        /// Tag with the reserved bit set.
        RxReserved = "rx_reserved", "V9";
        /// Tag with a version other than 0.
        RxVersion = "rx_version", "V10";
        /// Source VIF 0 or 0xFFF, which can never be assigned.
        RxSrcReserved = "rx_src_reserved", "V11";
        /// No vEth is bound to this source VIF of this port.
        RxSrcUnknown = "rx_src_unknown", "V12";
        /// A second VNTag directly behind the first.
        RxDouble = "rx_double", "V14";
        /// The frame ends inside its Ethernet header or its 802.1Q tag.
        RxRunt = "rx_runt", "";
        /// VLAN id 0xFFF.
        RxVlanReserved = "rx_vlan_reserved", "V18";
        /// The VLAN is not allowed on the interface.
        RxVlan = "rx_vlan", "V17";
        /// The source address is a group address or zero.
        RxSmac = "rx_smac", "V20";
        /// Link-local destination 01-80-C2-00-00-0x, which a bridge does not forward.
        RxLinklocal = "rx_linklocal", "V22";
        /// Longer than the MTU of the interface.
        RxOversize = "rx_oversize", "V23";
        /// A further VLAN tag behind the one that was taken off, on an access interface.
        RxStacked = "rx_stacked", "V24";
        /// VNTag or E-TAG where the payload begins.
        RxTagHidden = "rx_tag_hidden", "V25";
        /// A neighbour's own untagged protocol (CDP, UDLD, spanning tree) on an NIV link.
        RxPeerL2proto = "rx_peer_l2proto", "V29";
        /// Control frame that nothing here listens to: pause, LACP; LLDP and VIF control on a link without negotiation.
        RxControl = "rx_control", "";
        /// LLDP or VIF control that came faster than control takes it.
        PuntFull = "punt_full", "";
        /// An IPv4 packet that the access list of the interface it came from does not permit.
        AclIn = "acl_in", "";
        /// An IPv4 packet, or its copy for some interfaces, that their access list does not permit.
        AclOut = "acl_out", "";
        /// The source address is none that port security lets in at its interface.
        PortSecurity = "port_security", "";
        /// What is said to be left undone in the frame (checksum, segmentation) does not fit the frame.
        RxOffload = "rx_offload", "";
        /// Destination and source are the same vEth.
        SameVifUc = "same_vif_uc", "F1";
        /// Destination and source are the same ordinary port.
        SameIfUc = "same_if_uc", "F2";
        /// The destination is known, but the private VLAN of the frame does not reach it.
        Pvlan = "pvlan", "";
        /// The destination has no VIF on its NIV link.
        UcDvifXlateMiss = "uc_dvif_xlate_miss", "F7";
        /// No VIF list on that NIV link that reaches the members of this flood.
        McDvifXlateMiss = "mc_dvif_xlate_miss", "F8";
        /// The frame goes back down its link, but its originator has no VIF there.
        SvifXlateMiss = "svif_xlate_miss", "F9";
        /// Flooded in a VLAN without any other member.
        FloodNoReceiver = "flood_no_receiver", "";
        /// The port it should leave by is down.
        TxPortDown = "tx_port_down", "";
        /// The transmit queue of the port is full.
        TxRingFull = "tx_ring_full", "";
        /// The device of the port refused the frame for good (too long, interface set down).
        TxUnsendable = "tx_unsendable", "";
    }
}

impl From<Fault> for DropReason {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Truncated => Self::RxTruncated,
            Fault::NoInnerType => Self::RxNoInnerType,
            Fault::Direction => Self::RxBadDir,
            Fault::Pointer => Self::RxBadPtr,
            Fault::Looped => Self::RxBadLoop,
            // The range is a fault of downward tags; upward, any destination is one.
            Fault::Destination | Fault::DestinationRange => Self::RxBadDst,
            Fault::Reserved => Self::RxReserved,
            Fault::Version => Self::RxVersion,
            Fault::Source => Self::RxSrcReserved,
        }
    }
}
