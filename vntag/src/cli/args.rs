//! The command line. (The lab reads this file too, for manual pages.)

use clap::{Parser, Subcommand, ValueEnum};
use vntag::{Direction, ListId, VifId};

/// Show, check, insert, remove and convert VNTag and E-TAG in capture files
///
/// Reads pcap and pcapng (Ethernet only), writes pcap with nanoseconds. `-` is standard input or output.
#[derive(Parser)]
#[command(name = "vntag", version, after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  it failed: an unreadable file, frames left out, or violations found by --check
  2  the request was wrong

Examples:
  vntag decode link0.pcapng
  tcpdump -i eth0 -w - | vntag decode --json -
  vntag decode --check up from-adapter.pcap
  vntag insert --vif 5 plain.pcap tagged.pcap";

#[derive(Subcommand)]
pub(crate) enum Command {
    Decode(Decode),
    Strip(Strip),
    Insert(Insert),
    ToEtag(ToEtag),
    FromEtag(FromEtag),
}

/// Show the tag of every frame
///
/// A tag counts only directly after the source address, with all its octets.
#[derive(clap::Args)]
#[command(after_long_help = DECODE_HELP)]
pub(crate) struct Decode {
    /// The capture; `-` for standard input
    #[arg(default_value = "-")]
    pub(crate) file: String,
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Name every violation that a frame alone can decide, for frames that travel this way
    #[arg(long, value_name = "DIRECTION")]
    pub(crate) check: Option<Way>,
}

const DECODE_HELP: &str = "\
JSON, one object a frame:
  {\"frame\":1,\"vntag\":{\"d\":0,\"p\":0,\"dst_vif\":0,\"l\":0,\"r\":0,\"ver\":0,
   \"src_vif\":5},\"vlan\":{\"vid\":10,\"pcp\":3,\"dei\":0},\"ethertype\":2054,
   \"violations\":[]}
  frame       number in the capture, from 1
  vntag       null where the frame has no tag; a frame with an E-TAG has instead:
  etag        {\"pcp\":0,\"dei\":0,\"ingress_ecid\":0,\"reserved\":0,\"grp\":0,
               \"ecid\":5}, E-CIDs with 20 bits
  vlan        the 802.1Q tag (0x8100) that follows the tag or, without one, the
              source address; or null
  ethertype   the two octets behind the tags shown, as they stand: an EtherType,
              an 802.3 length (up to 1500), or the EtherType of a further tag
              (second VNTag, second VLAN tag, 802.1ad) or of a tag that is not
              whole; null where the frame ends first
  violations  only with --check: names of lines, V... for `up`, I... for `down`
              (V29 for both), in the order of judgement; the first is the one
              that a receiver without further knowledge counts
  ctl         only for control PDUs: {\"op\",\"response\",\"seq\",\"session\",\"status\",
              \"tlvs\":[{\"type\",\"name\",\"value\"}]}, and \"error\" where it is not
              one that an end accepts
  lldp        only for LLDP: {\"tlvs\":[{\"type\",\"name\",\"value\"}]}, likewise

--check judges a frame as the bridge does (`up`) or as the adapter does
(`down`). What depends on tables or settings (an unknown VIF, a VLAN not
allowed) is not judged, nor what the capture cut off. Exit code 1 where any
frame has a violation.

Examples:
  vntag decode link0.pcapng
  vntag decode --json link0.pcapng | jq 'select(.vntag.l == 1)'
  vntag decode --check down to-adapter.pcap";

/// Remove the VNTag or E-TAG directly after the source address
///
/// Frames without one pass unchanged. Only one tag is removed; frames are not padded.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  vntag strip link0.pcapng inner.pcap")]
pub(crate) struct Strip {
    #[command(flatten)]
    pub(crate) files: Files,
}

/// Put a VNTag into every frame, directly after the source address
///
/// Frames that have a VNTag or E-TAG there already, and frames without room for two addresses and a type, are
/// left out, each with a line on standard error; the exit code is then 1. Numbers may be written as 5 or 0x5.
#[derive(clap::Args)]
#[command(after_help = INSERT_HELP)]
#[command(group(clap::ArgGroup::new("way").required(true).args(["vif", "down"])))]
#[command(group(clap::ArgGroup::new("target").args(["dst", "list"])))]
pub(crate) struct Insert {
    /// Upward, from this VIF (1-0xffe)
    #[arg(long, value_name = "VIF", value_parser = vif)]
    pub(crate) vif: Option<VifId>,
    /// Downward
    #[arg(long, requires = "target")]
    pub(crate) down: bool,
    /// To this VIF
    #[arg(long, value_name = "VIF", value_parser = vif, conflicts_with = "vif")]
    pub(crate) dst: Option<VifId>,
    /// To this VIF list (1-0x3fff)
    #[arg(long, value_name = "LIST", value_parser = list, conflicts_with = "vif")]
    pub(crate) list: Option<ListId>,
    /// On the way back to the link it came from: this VIF must not get it
    #[arg(long, value_name = "VIF", value_parser = vif, requires = "down")]
    pub(crate) looped: Option<VifId>,
    #[command(flatten)]
    pub(crate) files: Files,
}

const INSERT_HELP: &str = "\
Examples:
  vntag insert --vif 5 plain.pcap up.pcap
  vntag insert --down --dst 6 --looped 5 plain.pcap hairpin.pcap
  vntag insert --down --list 1 --looped 5 plain.pcap flood.pcap";

/// Turn VNTags into E-TAGs
///
/// The source of an upward frame becomes the E-CID, a list the group and E-CID, the source of a looped frame the
/// Ingress_E-CID. E-PCP and E-DEI are taken from the 802.1Q tag that follows, if any. Frames without a VNTag pass
/// unchanged. A tag that has no twin (lists below 0x1000, a reserved bit, a version) is left out, with its reason
/// on standard error; the exit code is then 1.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  vntag to-etag link0.pcapng etag.pcap")]
pub(crate) struct ToEtag {
    #[command(flatten)]
    pub(crate) files: Files,
}

/// Turn E-TAGs into VNTags
///
/// E-PCP and E-DEI are lost. Frames without an E-TAG pass unchanged. A tag that has no twin (E-CIDs over 0xfff,
/// reserved bits; upward: a group or an Ingress_E-CID) is left out, with its reason on standard error; the exit
/// code is then 1.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  vntag from-etag --direction up etag.pcap vntag.pcap")]
pub(crate) struct FromEtag {
    /// Which way the frames travel: an E-TAG does not say it
    #[arg(long)]
    pub(crate) direction: Way,
    #[command(flatten)]
    pub(crate) files: Files,
}

/// What is read and what is written.
#[derive(clap::Args)]
pub(crate) struct Files {
    /// The capture to read; `-` for standard input
    #[arg(default_value = "-")]
    pub(crate) input: String,
    /// The pcap file to write; `-` for standard output
    #[arg(default_value = "-")]
    pub(crate) output: String,
}

/// [`Direction`] as a word.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    /// From the adapter toward the bridge
    Up,
    /// From the bridge toward the adapter
    Down,
}

impl From<Way> for Direction {
    fn from(way: Way) -> Self {
        match way {
            Way::Up => Self::Up,
            Way::Down => Self::Down,
        }
    }
}

fn number(text: &str) -> Option<u16> {
    match text.strip_prefix("0x") {
        Some(digits) => u16::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn vif(text: &str) -> Result<VifId, &'static str> {
    number(text).and_then(VifId::new).ok_or("a VIF is a number from 1 to 4094 (0xffe)")
}

fn list(text: &str) -> Result<ListId, &'static str> {
    number(text).and_then(ListId::new).ok_or("a VIF list is a number from 1 to 16383 (0x3fff)")
}
