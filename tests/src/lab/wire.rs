//! What the capture of a link holds: the frames as they were, and the same read by tshark.

use super::given::Given;
use super::packages::output;
use super::say;
use super::topology::{CAPTURE, VLAN, VMS};
use anyhow::{Context, Result, anyhow, bail};
use pcap_file::pcapng::{Block, PcapNgReader};
use std::fs::File;
use std::io::BufReader;
use std::process::Command;
use vntag::Vntag;

/// A tagged frame of the capture.
pub(crate) struct Tagged {
    /// Its place in the capture, counted from 1 as every reader does.
    pub(crate) number: usize,
    pub(crate) tag: Vntag,
    /// VLAN of the 802.1Q tag behind the VNTag.
    pub(crate) vid: Option<u16>,
    pub(crate) ethertype: u16,
    /// What is behind the last EtherType.
    payload: usize,
    octets: Vec<u8>,
}

/// VNTag's EtherType.
const VNTAG: u16 = 0x8926;
/// 802.1Q's.
const VLAN_TAG: u16 = 0x8100;
/// IPv4's.
const IPV4: u16 = 0x0800;

impl Tagged {
    fn parse(number: usize, octets: &[u8]) -> Option<Self> {
        if word16(octets, 12)? != VNTAG {
            return None;
        }
        let tag = Vntag::from_word(u32::from(word16(octets, 14)?) << 16 | u32::from(word16(octets, 16)?));
        let (vid, at) = match word16(octets, 18)? {
            VLAN_TAG => (Some(word16(octets, 20)? & 0xfff), 22),
            _ => (None, 18),
        };
        let ethertype = word16(octets, at)?;
        Some(Self { number, tag, vid, ethertype, payload: at + 2, octets: octets.to_vec() })
    }

    fn payload(&self) -> &[u8] {
        self.octets.get(self.payload..).unwrap_or_default()
    }

    /// ICMP echo: whether it asks, identifier and sequence number together, and between whom.
    fn echo(&self) -> Option<(bool, u32, [u8; 8])> {
        let ip = self.payload();
        let header = usize::from(ip.first()? & 15) * 4;
        if self.ethertype != IPV4 || *ip.get(9)? != 1 {
            return None;
        }
        let kind = *ip.get(header)?;
        if kind != 8 && kind != 0 {
            return None;
        }
        let name = u32::from(word16(ip, header + 4)?) << 16 | u32::from(word16(ip, header + 6)?);
        let between = ip.get(12..20)?.try_into().ok()?;
        Some((kind == 8, name, between))
    }

    /// The frame's head in hexadecimal, grouped by field.
    fn hex(&self) -> String {
        const SHOWN: usize = 28;
        let hex = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
        let mut groups = Vec::new();
        let vlan = if self.vid.is_some() { &[2, 2][..] } else { &[] };
        let mut at = 0;
        for (nr, length) in [&[6, 6, 2, 4][..], vlan, &[2, SHOWN]].concat().into_iter().enumerate() {
            let end = (at + length).min(self.octets.len());
            let text = hex(&self.octets[at..end]);
            groups.push(if nr == 2 || nr == 3 { say::bold(&text) } else { text });
            at = end;
        }
        let rest = self.octets.len() - at;
        if rest > 0 {
            groups.push(say::dim(&format!("+{rest}")));
        }
        groups.join(" ")
    }

    /// Its tags in words.
    fn words(&self, given: &[Given]) -> String {
        let tag = self.tag;
        let name = |vif: u16| {
            let known = VMS.iter().zip(given).find(|(vm, given)| vm.adapter == 0 && given.vif == vif);
            known.map_or_else(|| format!("{vif}"), |(vm, _)| format!("{vif} ({})", vm.name))
        };
        let vnt = if tag.d() {
            let looped =
                if tag.l() { format!(" l=1 src_vif={}", name(tag.src_vif())) } else { " l=0".to_owned() };
            let to = if tag.p() {
                format!("p=1 list={}", tag.dst_vif())
            } else {
                format!("p=0 dst_vif={}", name(tag.dst_vif()))
            };
            format!("d=1 (from the switch) {to}{looped}")
        } else {
            format!("d=0 (to the switch) src_vif={}", name(tag.src_vif()))
        };
        let vlan = self.vid.map_or_else(|| "none".to_owned(), |vid| format!("VLAN {vid}"));
        format!("VNTag {:08x}: {vnt}   802.1Q: {vlan}", tag.word())
    }
}

fn word16(octets: &[u8], at: usize) -> Option<u16> {
    let pair = octets.get(at..at + 2)?;
    Some(u16::from_be_bytes([pair[0], pair[1]]))
}

/// Reads the tagged frames of the capture.
pub(crate) fn read() -> Result<Vec<Tagged>> {
    let file = File::open(CAPTURE).with_context(|| format!("no capture {CAPTURE}"))?;
    let mut reader = PcapNgReader::new(BufReader::new(file)).context("the capture's first block")?;
    let mut frames = Vec::new();
    let mut number = 0;
    while let Some(block) = reader.next_block() {
        let block = block.context("the capture is damaged")?;
        let octets = match &block {
            Block::EnhancedPacket(packet) => &packet.data,
            Block::SimplePacket(packet) => &packet.data,
            Block::Packet(packet) => &packet.data,
            _ => continue,
        };
        number += 1;
        frames.extend(Tagged::parse(number, octets));
    }
    Ok(frames)
}

/// One hairpinned ping: request up, request down, reply up, reply down.
pub(crate) fn hairpinned_ping<'a>(frames: &'a [Tagged], given: &[Given]) -> Result<[&'a Tagged; 4]> {
    let (one, two) = (given[0].vif, given[1].vif);
    for (at, up) in frames.iter().enumerate() {
        let Some((true, name, [a, b, c, d, w, x, y, z])) = up.echo() else { continue };
        if up.tag.d() || up.tag.src_vif() != one {
            continue;
        }
        let find = |asks: bool, is: &dyn Fn(&Vntag) -> bool| {
            let between = if asks { [a, b, c, d, w, x, y, z] } else { [w, x, y, z, a, b, c, d] };
            frames[at..].iter().find(|f| f.echo() == Some((asks, name, between)) && is(&f.tag))
        };
        let down = |from: u16, to: u16| {
            move |tag: &Vntag| tag.d() && !tag.p() && tag.dst_vif() == to && tag.l() && tag.src_vif() == from
        };
        let answer_up = find(false, &|tag| !tag.d() && tag.src_vif() == two);
        if let (Some(down), Some(answer_up), Some(answer_down)) =
            (find(true, &down(one, two)), answer_up, find(false, &down(two, one)))
        {
            return Ok([up, down, answer_up, answer_down]);
        }
    }
    Err(anyhow!(
        "no ping from {} to {} in the capture went up and came down on the link",
        VMS[0].name,
        VMS[1].name
    ))
}

/// Shows the four frames of a ping with their tags.
pub(crate) fn show_ping(frames: &[&Tagged; 4], given: &[Given]) {
    let (one, two) = (VMS[0].name, VMS[1].name);
    let captions = [
        format!("{one} asks {two}: up to the switch"),
        format!("the switch turns it round: down to {two}"),
        format!("{two} answers: up"),
        format!("and down to {one}"),
    ];
    for (frame, caption) in frames.iter().zip(captions) {
        say::line(&format!("       {}", say::dim(&format!("frame {}, {caption}", frame.number))));
        say::line(&format!("       {}", frame.hex()));
        say::line(&format!("         {}", frame.words(given)));
    }
}

/// The copies of the broadcast that says `text`: it went up once and came down once, looped, by a list.
pub(crate) fn broadcast(frames: &[Tagged], text: &str, given: &[Given]) -> Result<String> {
    let copies: Vec<&Tagged> = frames
        .iter()
        .filter(|f| f.ethertype == super::inside::EXPERIMENTAL && f.payload().starts_with(text.as_bytes()))
        .collect();
    let (up, down): (Vec<&Tagged>, Vec<&Tagged>) = copies.iter().partition(|frame| !frame.tag.d());
    let ([up], [down]) = (&up[..], &down[..]) else {
        bail!(
            "the broadcast went up {} times and came down {} times, once each was due",
            up.len(),
            down.len()
        );
    };
    let from = given[0].vif;
    let tag = down.tag;
    if up.tag.src_vif() != from || !tag.p() || !tag.l() || tag.src_vif() != from || down.vid != Some(VLAN) {
        bail!("the broadcast's tags are wrong: up {:?}, down {:?}, VLAN {:?}", up.tag, tag, down.vid);
    }
    Ok(format!("d=1 p=1 list={} l=1 src_vif={}", tag.dst_vif(), tag.src_vif()))
}

/// The ping's way by tshark's reading, which is not ours: `(direction, list, destination, looped, source)` each.
pub(crate) fn by_tshark(ping: &[&Tagged; 4]) -> Result<Vec<String>> {
    let numbers: Vec<_> = ping.iter().map(|frame| frame.number.to_string()).collect();
    let fields = ["vntag.dir", "vntag.ptr", "vntag.dst", "vntag.looped", "vntag.src"];
    let mut tshark = Command::new("tshark");
    tshark.args(["-n", "-r", CAPTURE, "-Y", &format!("frame.number in {{{}}}", numbers.join(","))]);
    // Only as far as the ping: the capture is long.
    tshark.args(["-c", numbers.last().map_or("1", String::as_str), "-T", "fields"]);
    for field in fields {
        tshark.args(["-e", field]);
    }
    let text = output(&mut tshark)?;
    let rows: Vec<&str> = text.lines().collect();
    if rows.len() != ping.len() {
        bail!("tshark sees {} of {} frames", rows.len(), ping.len());
    }
    let mut shown = Vec::new();
    for (row, frame) in rows.iter().zip(ping) {
        let values: Vec<u32> = row.split('\t').map(number).collect::<Result<_>>()?;
        let tag = frame.tag;
        let ours: [u32; 5] =
            [tag.d().into(), tag.p().into(), tag.dst_vif().into(), tag.l().into(), tag.src_vif().into()];
        if values != ours {
            bail!("frame {}: tshark reads {values:?}, we read {ours:?}", frame.number);
        }
        shown.push(if tag.d() {
            format!("frame {} d=1 dst_vif={} l={} src_vif={}", frame.number, values[2], values[3], values[4])
        } else {
            format!("frame {} d=0 src_vif={}", frame.number, values[4])
        });
    }
    Ok(shown)
}

fn number(text: &str) -> Result<u32> {
    match text.trim() {
        "True" => Ok(1),
        "False" => Ok(0),
        text => match text.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => text.parse(),
        }
        .with_context(|| format!("tshark said {text:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(number: usize, word: u32, asks: bool) -> Tagged {
        let mut octets = vec![0; 12];
        octets.extend_from_slice(&VNTAG.to_be_bytes());
        octets.extend_from_slice(&word.to_be_bytes());
        octets.extend_from_slice(&[0x81, 0, 0, 10, 8, 0]);
        let (from, to) = if asks { (1, 2) } else { (2, 1) };
        octets.extend_from_slice(&[0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 10, 10, 0, from, 10, 10, 0, to]);
        octets.extend_from_slice(&[if asks { 8 } else { 0 }, 0, 0, 0, 0, 7, 0, 1]);
        Tagged::parse(number, &octets).unwrap()
    }

    /// A ping's four frames are found among others, and not without the looped bit.
    #[test]
    fn hairpinned_ping_is_the_four_frames_of_one_ping() {
        let wire = |word: u32| {
            vec![
                frame(1, 0x8002_0000, true),
                frame(2, 0x0000_0001, true),
                frame(3, word, true),
                frame(4, 0x0000_0002, false),
                frame(5, 0x8001_8002, false),
            ]
        };
        let given = [1, 2].map(|vif| Given { vif, veth: vif.into() });
        let frames = wire(0x8002_8001);
        let ping = hairpinned_ping(&frames, &given).unwrap();
        assert_eq!(ping.map(|frame| frame.number), [2, 3, 4, 5]);
        assert!(hairpinned_ping(&wire(0x8002_0000), &given).is_err());
    }

    #[test]
    fn untagged_and_short_frames_are_not_tagged() {
        assert!(Tagged::parse(1, &[0; 64]).is_none());
        let whole = frame(1, 0x14, true).octets;
        for length in 0..24 {
            assert!(Tagged::parse(1, &whole[..length]).is_none(), "{length} octets");
        }
    }
}
