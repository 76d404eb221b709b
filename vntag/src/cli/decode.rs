//! `decode`: one line a frame, for people or as JSON.

use std::fmt;
use std::io::{self, BufWriter, Write};

use serde::Serialize;
use serde_json::Value;
use vntag::ethernet::{
    TYPE_ETAG, TYPE_LLDP, TYPE_MAC_CONTROL, TYPE_QINQ, TYPE_SLOW, TYPE_SVLAN, TYPE_VIF_CONTROL, TYPE_VLAN,
    TYPE_VNTAG, mac_at,
};
use vntag::{Direction, Etag, Headers, Outer, Violation, Violations, VlanTag, Vntag, check};

use super::Outcome;
use super::args::Decode;
use super::capture::{Capture, Frame};
use super::control::Control;

pub(crate) fn run(args: &Decode) -> anyhow::Result<Outcome> {
    let mut capture = Capture::open(&args.file)?;
    let mut out = BufWriter::new(io::stdout().lock());
    // A pipe may be a running capture: show each frame when it comes.
    let live = args.file == "-";
    let (mut frames, mut bad) = (0_u64, 0_u64);
    let end = loop {
        let frame = match capture.next() {
            Ok(Some(frame)) => frame,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        };
        let headers = Headers::parse(frame.data);
        let found = args.check.map(|way| match way.into() {
            Direction::Up => check::up(frame.data, frame.wire_len),
            Direction::Down => check::down(frame.data, frame.wire_len),
        });
        let control = Control::of(frame.data, &headers);
        frames += 1;
        bad += u64::from(found.is_some_and(|found| !found.is_empty()));
        if args.json {
            serde_json::to_writer(&mut out, &Line::of(&frame, &headers, found, control.as_ref()))
                .map_err(io::Error::from)?;
            writeln!(out)?;
        } else {
            write_line(&mut out, &frame, &headers, found)?;
            for line in control.iter().flat_map(Control::lines) {
                writeln!(out, "       {line}")?;
            }
        }
        if live {
            out.flush()?;
        }
    };
    out.flush()?;
    end?;
    if !args.json && args.check.is_some() {
        eprintln!("{frames} frames, {bad} with violations");
    }
    Ok(if bad == 0 { Outcome::Done } else { Outcome::Findings })
}

/// The JSON object of one frame. The order of its fields is the order in which they are printed.
#[derive(Serialize)]
struct Line<'a> {
    frame: u64,
    #[serde(flatten)]
    tag: TagField,
    vlan: Option<VlanFields>,
    ethertype: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    violations: Option<Vec<&'static str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ctl: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lldp: Option<&'a Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum TagField {
    Vntag(Option<VntagFields>),
    Etag(EtagFields),
}

#[derive(Serialize)]
struct VntagFields {
    d: u8,
    p: u8,
    dst_vif: u16,
    l: u8,
    r: u8,
    ver: u8,
    src_vif: u16,
}

#[derive(Serialize)]
struct EtagFields {
    pcp: u8,
    dei: u8,
    ingress_ecid: u32,
    reserved: u8,
    grp: u8,
    ecid: u32,
}

#[derive(Serialize)]
struct VlanFields {
    vid: u16,
    pcp: u8,
    dei: u8,
}

impl<'a> Line<'a> {
    fn of(
        frame: &Frame<'_>,
        headers: &Headers,
        found: Option<Violations>,
        control: Option<&'a Control>,
    ) -> Self {
        let tag = match headers.outer {
            None => TagField::Vntag(None),
            Some(Outer::Vntag(tag)) => TagField::Vntag(Some(tag.into())),
            Some(Outer::Etag(tag)) => TagField::Etag(tag.into()),
        };
        let vlan =
            headers.vlan.map(|vlan| VlanFields { vid: vlan.vid(), pcp: vlan.pcp(), dei: vlan.dei().into() });
        let violations = found.map(|found| found.iter().map(Violation::name).collect());
        Self {
            frame: frame.number,
            tag,
            vlan,
            ethertype: headers.ethertype,
            violations,
            ctl: control.and_then(Control::ctl),
            lldp: control.and_then(Control::lldp),
        }
    }
}

impl From<Vntag> for VntagFields {
    fn from(tag: Vntag) -> Self {
        Self {
            d: tag.d().into(),
            p: tag.p().into(),
            dst_vif: tag.dst_vif(),
            l: tag.l().into(),
            r: tag.r().into(),
            ver: tag.ver(),
            src_vif: tag.src_vif(),
        }
    }
}

impl From<Etag> for EtagFields {
    fn from(tag: Etag) -> Self {
        Self {
            pcp: tag.pcp(),
            dei: tag.dei().into(),
            ingress_ecid: tag.ingress_ecid(),
            reserved: tag.reserved(),
            grp: tag.grp(),
            ecid: tag.ecid(),
        }
    }
}

/// The line for people, and one more for each violation.
fn write_line(
    out: &mut impl Write,
    frame: &Frame<'_>,
    headers: &Headers,
    found: Option<Violations>,
) -> io::Result<()> {
    write!(out, "{:>5}  ", frame.number)?;
    match (mac_at(frame.data, 6), mac_at(frame.data, 0)) {
        (Some(source), Some(destination)) => write!(out, "{source} > {destination}  ")?,
        _ => write!(out, "no addresses  ")?,
    }
    match headers.outer {
        None => write!(out, "no tag")?,
        Some(Outer::Vntag(tag)) => write!(out, "VNTag {}", VntagText(tag))?,
        Some(Outer::Etag(tag)) => write!(out, "E-TAG {}", EtagText(tag))?,
    }
    if let Some(vlan) = headers.vlan {
        write!(out, " | {}", VlanText(vlan))?;
    }
    write!(out, " | {} | {} octets", TypeText(headers.ethertype), frame.wire_len)?;
    if frame.data.len() < frame.wire_len {
        write!(out, ", {} captured", frame.data.len())?;
    }
    writeln!(out)?;
    for line in found.into_iter().flat_map(Violations::iter) {
        writeln!(out, "       {:<4} {}", line.name(), line.text())?;
    }
    Ok(())
}

/// Every field that is set, and those without which nobody could read the rest.
struct VntagText(Vntag);

impl fmt::Display for VntagText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tag = self.0;
        f.write_str(if tag.d() { "down" } else { "up" })?;
        if tag.p() {
            write!(f, " list {}", tag.dst_vif())?;
        } else if tag.d() || tag.dst_vif() != 0 {
            write!(f, " dst_vif {}", tag.dst_vif())?;
        }
        if tag.l() {
            f.write_str(" looped")?;
        }
        if !tag.d() || tag.l() || tag.src_vif() != 0 {
            write!(f, " src_vif {}", tag.src_vif())?;
        }
        if tag.r() {
            f.write_str(" r=1")?;
        }
        if tag.ver() != 0 {
            write!(f, " ver={}", tag.ver())?;
        }
        Ok(())
    }
}

struct EtagText(Etag);

impl fmt::Display for EtagText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tag = self.0;
        if tag.grp() != 0 {
            write!(f, "group {} ", tag.grp())?;
        }
        write!(f, "ecid {:#x}", tag.ecid())?;
        if tag.ingress_ecid() != 0 {
            write!(f, " ingress_ecid {:#x}", tag.ingress_ecid())?;
        }
        write!(f, " pcp {}", tag.pcp())?;
        if tag.dei() {
            f.write_str(" dei")?;
        }
        if tag.reserved() != 0 {
            write!(f, " reserved={}", tag.reserved())?;
        }
        Ok(())
    }
}

struct VlanText(VlanTag);

impl fmt::Display for VlanText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vlan {} pcp {}", self.0.vid(), self.0.pcp())?;
        f.write_str(if self.0.dei() { " dei" } else { "" })
    }
}

struct TypeText(Option<u16>);

impl fmt::Display for TypeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            None => return f.write_str("ends here"),
            Some(length @ ..=1500) => return write!(f, "802.3 length {length}"),
            Some(0x0800) => "IPv4",
            Some(0x0806) => "ARP",
            Some(0x86dd) => "IPv6",
            Some(TYPE_VLAN) => "802.1Q",
            Some(TYPE_SVLAN) => "802.1ad",
            Some(TYPE_QINQ) => "QinQ",
            Some(TYPE_VNTAG) => "VNTag",
            Some(TYPE_ETAG) => "E-TAG",
            Some(TYPE_LLDP) => "LLDP",
            Some(TYPE_MAC_CONTROL) => "MAC control",
            Some(TYPE_SLOW) => "slow protocols",
            Some(TYPE_VIF_CONTROL) => "VIF control",
            Some(_) => "",
        };
        write!(f, "{:#06x}", self.0.unwrap_or(0))?;
        if name.is_empty() { Ok(()) } else { write!(f, " {name}") }
    }
}
