//! The binary against two readers that owe nothing to it: tshark (values of the fields) and the byte filters of
//! libpcap, through tcpdump (positions of the bits).
//!
//! tshark decodes tags wherever they stand; compared is only the one directly after the source address.

mod common;

use std::path::Path;
use std::process::{Command, Stdio};

use common::run::{have, scratch, vntag};
use common::vectors::frames;
use common::{Random, pcap};
use serde_json::Value;

const FRAMES: usize = 10_000;
const SEED: u64 = 0x8926;

/// Random octets of every length, frames built around a random tag, and mutated known frames.
fn random_frames() -> Vec<Vec<u8>> {
    let random = &mut Random(SEED);
    let known = frames();
    let frame = |_| match random.below(8) {
        0 => {
            let len = random.below(40);
            random.bytes(len)
        }
        1 | 2 => mutated(known[random.below(known.len())].clone(), random),
        _ => {
            let mut frame = built(random);
            if random.below(4) == 0 {
                frame.truncate(12 + random.below(20));
            }
            frame
        }
    };
    (0..FRAMES).map(frame).collect()
}

fn built(random: &mut Random) -> Vec<u8> {
    const TYPES: [u16; 10] = [0x8926, 0x893f, 0x8100, 0x8100, 0x88a8, 0x9100, 0x0800, 0x0806, 0x86dd, 0x88b5];
    let mut frame = random.of(&[[0xff; 6], [0x52, 0x54, 0, 0, 0, 2], [1, 0x80, 0xc2, 0, 0, 0]]).to_vec();
    frame.extend([0x52, 0x54, 0, 0, 0, 1]);
    match random.below(8) {
        0 => {}
        1 | 2 => {
            frame.extend([0x89, 0x3f]);
            frame.extend(random.bytes(6));
        }
        _ => {
            // Fields at their ends as often as anywhere else.
            let word = random.of(&[0, u32::MAX, 0x8005_8005]) ^ random.next() as u32 & random.next() as u32;
            frame.extend([0x89, 0x26]);
            frame.extend(word.to_be_bytes());
        }
    }
    for _ in 0..random.below(4) {
        frame.extend(random.of(&TYPES).to_be_bytes());
        frame.extend(random.bytes(2));
    }
    let last = match random.below(4) {
        0 => random.below(1501) as u16,
        1 => random.next() as u16,
        _ => random.of(&TYPES),
    };
    frame.extend(last.to_be_bytes());
    let payload = random.below(60);
    frame.extend(random.bytes(payload));
    frame
}

fn mutated(mut frame: Vec<u8>, random: &mut Random) -> Vec<u8> {
    for _ in 0..=random.below(3) {
        let len = frame.len();
        match random.below(4) {
            0 => frame.truncate(random.below(len + 1)),
            1 if len > 12 => frame.insert(12 + random.below(len - 12), random.next() as u8),
            2 if len > 0 => frame[random.below(len)] = random.next() as u8,
            _ if len > 0 => frame[random.below(len.min(30))] ^= 1 << random.below(8),
            _ => frame = random.bytes(14),
        }
    }
    frame
}

/// What `vntag decode --json` says, a line a frame.
fn decode(file: &Path) -> Vec<Value> {
    let output = vntag().args(["decode", "--json"]).arg(file).output().expect("vntag runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

const FIELDS: [&str; 25] = [
    "frame.number",
    "eth.type",
    "vntag.dir",
    "vntag.ptr",
    "vntag.dst",
    "vntag.looped",
    "vntag.r",
    "vntag.version",
    "vntag.src",
    "vntag.etype",
    "vntag.len",
    "etag.pcp",
    "etag.dei",
    "etag.iecid_base",
    "etag.resv",
    "etag.group",
    "etag.ecid_base",
    "etag.iecid_ext",
    "etag.ecid_ext",
    "etag.etype",
    "vlan.id",
    "vlan.priority",
    "vlan.dei",
    "vlan.etype",
    "vlan.len",
];

/// One frame as tshark sees it: the first occurrence of each field that is there.
struct Seen(Vec<Option<u32>>);

impl Seen {
    fn get(&self, field: &str) -> Option<u32> {
        self.0[FIELDS.iter().position(|name| *name == field).expect("a field that was asked for")]
    }
}

fn tshark(file: &Path) -> Vec<Seen> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(file).args(["-n", "-T", "fields", "-E", "occurrence=f"]);
    for field in FIELDS {
        command.args(["-e", field]);
    }
    let output = command.stderr(Stdio::null()).output().expect("tshark runs");
    assert!(output.status.success(), "tshark failed");
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().map(|line| Seen(line.split('\t').map(number).collect())).collect()
}

/// The JSON that follows from what tshark saw directly after the source address. `vlan` and `ethertype` only
/// where there is a tag: without one they are ordinary Ethernet, which is not what is compared here.
fn expected(seen: &Seen) -> Value {
    let get = |field| seen.get(field);
    let (tag, behind) = match get("eth.type") {
        Some(0x8926) if get("vntag.src").is_some() => {
            let tag = serde_json::json!({
                "d": get("vntag.dir"), "p": get("vntag.ptr"), "dst_vif": get("vntag.dst"),
                "l": get("vntag.looped"), "r": get("vntag.r"), "ver": get("vntag.version"),
                "src_vif": get("vntag.src"),
            });
            (serde_json::json!({ "vntag": tag }), get("vntag.etype").or(get("vntag.len")))
        }
        Some(0x893f) if get("etag.ecid_ext").is_some() => {
            let ecid = |ext, base| Some(get(ext)? << 12 | get(base)?);
            let tag = serde_json::json!({
                "pcp": get("etag.pcp"), "dei": get("etag.dei"),
                "ingress_ecid": ecid("etag.iecid_ext", "etag.iecid_base"),
                "reserved": get("etag.resv"), "grp": get("etag.group"),
                "ecid": ecid("etag.ecid_ext", "etag.ecid_base"),
            });
            (serde_json::json!({ "etag": tag }), get("etag.etype"))
        }
        _ => return serde_json::json!({ "vntag": null }),
    };
    let (vlan, ethertype) = match (behind, get("vlan.id")) {
        (Some(0x8100), Some(vid)) => {
            let vlan = serde_json::json!({ "vid": vid, "pcp": get("vlan.priority"), "dei": get("vlan.dei") });
            (vlan, get("vlan.etype").or(get("vlan.len")))
        }
        _ => (Value::Null, behind),
    };
    let mut line = tag;
    line["vlan"] = vlan;
    line["ethertype"] = serde_json::json!(ethertype);
    line
}

#[test]
fn decode_and_tshark_agree_on_ten_thousand_frames() {
    if !have("tshark") {
        return;
    }
    let mut all = frames();
    all.extend(random_frames());
    let file = scratch("random.pcap");
    std::fs::write(&file, pcap(&all)).expect("a scratch file");
    let (ours, theirs) = (decode(&file), tshark(&file));
    assert_eq!((ours.len(), theirs.len()), (all.len(), all.len()));
    let (mut vntags, mut etags, mut truncated) = (0, 0, 0);
    for ((frame, line), seen) in all.iter().zip(ours).zip(&theirs) {
        let expected = expected(seen);
        for (key, value) in expected.as_object().expect("an object") {
            assert_eq!(line[key], *value, "{key} of frame {}: {frame:02x?}", line["frame"]);
        }
        vntags += usize::from(line["vntag"].is_object());
        etags += usize::from(line["etag"].is_object());
        truncated +=
            usize::from(expected["vntag"].is_null() && matches!(frame.get(12..14), Some([0x89, 0x26])));
    }
    eprintln!("{vntags} VNTags, {etags} E-TAGs, {truncated} VNTags truncated");
    assert!(vntags > 4_000 && etags > 1_000 && truncated > 100, "the frames are what they are meant to be");
}

/// The numbers, from 1, of the frames that a filter of libpcap lets through: [`pcap`] gives each frame a second
/// of its own.
fn filtered(file: &Path, filter: &str) -> Vec<usize> {
    let output = Command::new("tcpdump").arg("-r").arg(file).args(["-w", "-", filter]).output();
    let output = output.expect("tcpdump runs");
    assert!(output.status.success(), "{filter}: {}", String::from_utf8_lossy(&output.stderr));
    let mut numbers = Vec::new();
    let mut rest = output.stdout.get(24..).unwrap_or_default();
    let word =
        |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four octets"));
    while rest.len() >= 16 {
        numbers.push((word(rest, 0) - 1_700_000_000) as usize + 1);
        rest = &rest[16 + word(rest, 8) as usize..];
    }
    numbers
}

/// Filters, the frames of the fifteen that they let through, and the same question to our JSON.
type Question = (&'static str, &'static [usize], fn(&Value) -> bool);

const QUESTIONS: &[Question] = &[
    ("ether proto 0x8926", &[1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13], |line| {
        let truncated = line["etag"].is_null() && line["vlan"].is_null() && line["ethertype"] == 0x8926;
        line["vntag"].is_object() || truncated
    }),
    ("ether[12:2]=0x8926 and ether[14:4]&0x80000000!=0", &[2, 3, 4, 5, 6], |line| line["vntag"]["d"] == 1),
    ("ether[12:2]=0x8926 and ether[14:4]&0x40000000!=0", &[3, 4, 6], |line| line["vntag"]["p"] == 1),
    ("ether[12:2]=0x8926 and ether[14:4]&0x3fff0000=0x3fff0000", &[4, 6], |line| {
        line["vntag"]["dst_vif"] == 0x3fff
    }),
    ("ether[12:2]=0x8926 and ether[14:4]&0xc0000000=0xc0000000 and ether[16:2]&0x8000!=0", &[4, 6], |line| {
        line["vntag"]["d"] == 1 && line["vntag"]["p"] == 1 && line["vntag"]["l"] == 1
    }),
    ("ether[12:2]=0x8926 and ether[16:2]&0x0fff=5", &[1, 4, 9, 11, 12], |line| line["vntag"]["src_vif"] == 5),
    ("ether[12:2]=0x8926 and ether[16:2]&0x4000!=0", &[5, 6], |line| line["vntag"]["r"] == 1),
    ("ether[12:2]=0x8926 and ether[16:2]&0x3000=0x2000", &[5], |line| line["vntag"]["ver"] == 2),
    ("ether[12:2]=0x8926 and ether[16:2]&0x7000!=0", &[5, 6], |line| {
        line["vntag"].is_object() && (line["vntag"]["r"] != 0 || line["vntag"]["ver"] != 0)
    }),
    ("ether[12:2]=0x8926 and ether[18:2]=0x8100 and ether[20:2]&0xfff=10", &[2, 3, 4], |line| {
        line["vntag"].is_object() && line["vlan"]["vid"] == 10
    }),
    ("ether[12:2]=0x893f and ether[16:2]&0x3000!=0 and len>=20", &[15], |line| {
        line["etag"].is_object() && line["etag"]["grp"] != 0
    }),
    ("ether[12:2]=0x893f and ether[14:2]&0xe000=0xa000 and len>=20", &[14], |line| line["etag"]["pcp"] == 5),
    ("ether[12:2]=0x893f and ether[16:2]&0xfff=7 and ether[19]=1", &[14], |line| {
        line["etag"]["ecid"] == 0x1007
    }),
    ("ether[12:2]=0x893f and ether[14:2]&0xfff=5 and ether[18]=0 and len>=20", &[15], |line| {
        line["etag"]["ingress_ecid"] == 5
    }),
];

#[test]
fn decode_and_byte_filters_agree() {
    if !have("tcpdump") {
        return;
    }
    let mut all = frames();
    all.extend(random_frames());
    let file = scratch("filters.pcap");
    std::fs::write(&file, pcap(&all)).expect("a scratch file");
    let ours = decode(&file);
    for &(filter, of_the_fifteen, holds) in QUESTIONS {
        let passed = filtered(&file, filter);
        for (number, line) in (1..).zip(&ours) {
            assert_eq!(passed.binary_search(&number).is_ok(), holds(line), "{filter}: {line}");
        }
        let first: Vec<usize> = passed.into_iter().take_while(|number| *number <= 15).collect();
        assert_eq!(first, of_the_fifteen, "{filter}");
    }
}
