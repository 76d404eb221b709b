//! The fifteen frames on which this product, tshark and BPF are compared.
//!
//! The tags are written as octets, by hand from the field tables, so that nothing here depends on the codec.

/// One frame and what is known of it.
pub(crate) struct Vector {
    /// What it is.
    pub(crate) about: &'static str,
    /// Its octets, in hexadecimal; blanks do not count.
    pub(crate) hex: &'static str,
    /// What `decode --json` prints for it, `frame` left out.
    pub(crate) json: &'static str,
    /// Lines of the conformance tables against it on the way up.
    pub(crate) up: &'static [&'static str],
    /// And on the way down.
    pub(crate) down: &'static [&'static str],
}

impl Vector {
    /// The octets.
    pub(crate) fn frame(&self) -> Vec<u8> {
        let digits: Vec<u8> = self.hex.bytes().filter(|octet| !octet.is_ascii_whitespace()).collect();
        let octet = |pair: &[u8]| {
            u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hexadecimal")
        };
        digits.chunks(2).map(octet).collect()
    }
}

/// The frames of all vectors.
pub(crate) fn frames() -> Vec<Vec<u8>> {
    VECTORS.iter().map(Vector::frame).collect()
}

macro_rules! arp {
    () => {
        "0806 0001080006040001 525400000001 0a000001 000000000000 0a000002"
    };
}
macro_rules! ipv4 {
    () => {
        "0800 4500001c0001000040fd65e20a0000010a000002 0000000000000000"
    };
}
macro_rules! unicast {
    () => {
        "525400000002 525400000001 "
    };
}
macro_rules! broadcast {
    () => {
        "ffffffffffff 525400000001 "
    };
}

/// See the module.
pub(crate) const VECTORS: &[Vector] = &[
    Vector {
        about: "up, source 5, priority tag",
        hex: concat!(broadcast!(), "8926 00000005 81006000", arp!()),
        json: r#""vntag":{"d":0,"p":0,"dst_vif":0,"l":0,"r":0,"ver":0,"src_vif":5},"vlan":{"vid":0,"pcp":3,"dei":0},"ethertype":2054"#,
        up: &[],
        down: &["I9", "I12"],
    },
    Vector {
        about: "down to VIF 5",
        hex: concat!(unicast!(), "8926 80050000 8100000a", ipv4!()),
        json: r#""vntag":{"d":1,"p":0,"dst_vif":5,"l":0,"r":0,"ver":0,"src_vif":0},"vlan":{"vid":10,"pcp":0,"dei":0},"ethertype":2048"#,
        up: &["V5", "V8", "V11"],
        down: &[],
    },
    Vector {
        about: "down to list 0x2aaa",
        hex: concat!(broadcast!(), "8926 eaaa0000 8100000a", arp!()),
        json: r#""vntag":{"d":1,"p":1,"dst_vif":10922,"l":0,"r":0,"ver":0,"src_vif":0},"vlan":{"vid":10,"pcp":0,"dei":0},"ethertype":2054"#,
        up: &["V5", "V6", "V8", "V11"],
        down: &[],
    },
    Vector {
        about: "down to list 0x3fff, looped, from VIF 5",
        hex: concat!(broadcast!(), "8926 ffff8005 8100000a", arp!()),
        json: r#""vntag":{"d":1,"p":1,"dst_vif":16383,"l":1,"r":0,"ver":0,"src_vif":5},"vlan":{"vid":10,"pcp":0,"dei":0},"ethertype":2054"#,
        up: &["V5", "V6", "V7", "V8"],
        down: &[],
    },
    Vector {
        about: "every field distinct",
        hex: concat!(unicast!(), "8926 9555eabc 8100fffe", ipv4!()),
        json: r#""vntag":{"d":1,"p":0,"dst_vif":5461,"l":1,"r":1,"ver":2,"src_vif":2748},"vlan":{"vid":4094,"pcp":7,"dei":1},"ethertype":2048"#,
        up: &["V5", "V7", "V8", "V9", "V10"],
        down: &["I10", "I11", "I13"],
    },
    Vector {
        about: "all ones",
        hex: concat!(unicast!(), "8926 ffffffff 8100ffff", ipv4!()),
        json: r#""vntag":{"d":1,"p":1,"dst_vif":16383,"l":1,"r":1,"ver":3,"src_vif":4095},"vlan":{"vid":4095,"pcp":7,"dei":1},"ethertype":2048"#,
        up: &["V5", "V6", "V7", "V8", "V9", "V10", "V11", "V18"],
        down: &["I10", "I11"],
    },
    Vector {
        about: "no 802.1Q inside",
        hex: concat!(unicast!(), "8926 00000123", ipv4!()),
        json: r#""vntag":{"d":0,"p":0,"dst_vif":0,"l":0,"r":0,"ver":0,"src_vif":291},"vlan":null,"ethertype":2048"#,
        up: &[],
        down: &["I9", "I12"],
    },
    Vector {
        about: "VNTag after 802.1Q",
        hex: concat!(unicast!(), "8100000a 8926 00000005", ipv4!()),
        json: r#""vntag":null,"vlan":{"vid":10,"pcp":0,"dei":0},"ethertype":35110"#,
        up: &["V1", "V15"],
        down: &["I7", "I23"],
    },
    Vector {
        about: "two VNTags",
        hex: concat!(unicast!(), "8926 00000005 8926 00000006 8100000a", ipv4!()),
        json: r#""vntag":{"d":0,"p":0,"dst_vif":0,"l":0,"r":0,"ver":0,"src_vif":5},"vlan":null,"ethertype":35110"#,
        up: &["V14"],
        down: &["I9", "I12", "I22"],
    },
    Vector {
        about: "only two octets of the word",
        hex: concat!(unicast!(), "8926 8005"),
        json: r#""vntag":null,"vlan":null,"ethertype":35110"#,
        up: &["V3"],
        down: &["I8"],
    },
    Vector {
        about: "word without inner type",
        hex: concat!(unicast!(), "8926 00000005"),
        json: r#""vntag":{"d":0,"p":0,"dst_vif":0,"l":0,"r":0,"ver":0,"src_vif":5},"vlan":null,"ethertype":null"#,
        up: &["V4"],
        down: &["I8", "I9", "I12"],
    },
    Vector {
        about: "802.3 length inside, spanning tree",
        hex: "0180c2000000 525400000001 8926 00000005 0026 424203 \
              0000000000000000000000000000000000000000000000000000000000000000000000",
        json: r#""vntag":{"d":0,"p":0,"dst_vif":0,"l":0,"r":0,"ver":0,"src_vif":5},"vlan":null,"ethertype":38"#,
        up: &["V22"],
        down: &["I9", "I12"],
    },
    Vector {
        about: "head of a frame captured on a real link",
        hex: concat!("00000c9ff065 6400f127f89e 8926 00000014 81000065", ipv4!()),
        json: r#""vntag":{"d":0,"p":0,"dst_vif":0,"l":0,"r":0,"ver":0,"src_vif":20},"vlan":{"vid":101,"pcp":0,"dei":0},"ethertype":2048"#,
        up: &[],
        down: &["I9", "I12"],
    },
    Vector {
        about: "E-TAG with extensions",
        hex: concat!(unicast!(), "893f a00500072301 8100000a", ipv4!()),
        json: r#""etag":{"pcp":5,"dei":0,"ingress_ecid":143365,"reserved":0,"grp":0,"ecid":4103},"vlan":{"vid":10,"pcp":0,"dei":0},"ethertype":2048"#,
        up: &["V1"],
        down: &["I7"],
    },
    Vector {
        about: "E-TAG with a group",
        hex: concat!(broadcast!(), "893f 100511230000 8100000a", arp!()),
        json: r#""etag":{"pcp":0,"dei":1,"ingress_ecid":5,"reserved":0,"grp":1,"ecid":291},"vlan":{"vid":10,"pcp":0,"dei":0},"ethertype":2054"#,
        up: &["V1"],
        down: &["I7"],
    },
];
