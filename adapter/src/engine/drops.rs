//! Why the adapter dropped a frame.

niv_node::drop_reasons! {
    /// Why the adapter dropped a frame. `host_` reasons are decided on frames from a host port and on their way
    /// up, `link_` reasons on frames from the link and on their way down.
    pub enum DropReason, DropCounters {
        /// The host sent a frame that already carries a VNTag.
        HostVntag = "host_vntag", "I1";
        /// The host hid a VNTag behind an 802.1Q or 802.1ad tag.
        HostTagHidden = "host_tag_hidden", "I2";
        /// The vNIC has no active VIF.
        HostVifDown = "host_vif_down", "I3";
        /// The priority of the frame is not allowed on this VIF.
        HostPriority = "host_priority", "I5";
        /// The host sent less than an Ethernet header.
        HostRunt = "host_runt", "I6";
        /// The host sent more than its MTU and one 802.1Q tag.
        HostOversize = "host_oversize", "I6";
        /// What the host left undone in the frame (checksum, segmentation) does not fit the frame.
        HostOffload = "host_offload", "";
        /// The link has no peer: nobody would read the frame.
        LinkDown = "link_down", "";
        /// The link can never carry this frame (longer than the link takes).
        LinkRefused = "link_refused", "";
        /// The link had no slot left for a frame of control.
        LinkRingFull = "link_ring_full", "";
        /// Control frame that nothing here listens to: pause, LACP; LLDP and VIF control on a link without negotiation.
        LinkControl = "link_control", "";
        /// LLDP or VIF control that came faster than control takes it.
        PuntFull = "punt_full", "";
        /// A real switch's own untagged protocol frame (CDP, UDLD, spanning tree).
        LinkPeerProtocol = "link_peer_l2proto", "V29";
        /// No VNTag directly after the addresses, and not link-local control.
        LinkNoVntag = "link_no_vntag", "I7 I23";
        /// The tag or the EtherType behind it is not all there.
        LinkTruncated = "link_truncated", "I8";
        /// The tag says "to the bridge".
        LinkBadDir = "link_bad_dir", "I9";
        /// The reserved bit is set.
        LinkReserved = "link_reserved", "I10";
        /// A version other than 0.
        LinkVersion = "link_version", "I11";
        /// A single VIF above 0xFFF.
        LinkDstRange = "link_dst_range", "I13";
        /// No such VIF here, or VIF 0.
        LinkDstUnknown = "link_dst_unknown", "I12";
        /// No such list here, or list 0.
        LinkListUnknown = "link_list_unknown", "I14";
        /// The list has no member that may get the frame.
        LinkListEmpty = "link_list_empty", "I15";
        /// Looped back to the VIF it came from.
        LinkSelfLoop = "link_self_loop", "I20";
        /// The VIF is not active: its guest is away or its rings are not enabled.
        LinkVifDown = "link_vif_down", "I21";
        /// A second VNTag directly behind the first.
        LinkDouble = "link_double", "I22";
        /// The VLAN is not that of an access VIF.
        LinkVlan = "link_vlan", "I24";
        /// What is said to be left undone in the frame (checksum, segmentation) does not fit the frame.
        LinkOffload = "link_offload", "";
        /// The guest posted no buffers.
        HostRingFull = "host_ring_full", "";
        /// The host port can never take this frame (longer than the guest's buffers).
        HostRefused = "host_refused", "";
    }
}
