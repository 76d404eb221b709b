//! Control PDUs and LLDP as others see them: `vntag decode` for people and as JSON, and tshark.

mod common;

use std::process::Command;

use common::pcap;
use common::run::{have, scratch, vntag};
use serde_json::{Value, json};
use vntag::ctl::session::{Config, Session, SessionEvent};
use vntag::ctl::{Name, Provisioning, Refusal, Request, Role, Status};
use vntag::ethernet::Mac;
use vntag::{Uuid, VifId};

/// What two ends say to each other: discovery, HELLO, a create that is refused, an enable, a good-bye.
fn conversation() -> Vec<Vec<u8>> {
    let mut ends = Role::ALL.iter().map(|role| {
        let number = role.get();
        let name = Name::new(["adapter0", "vis0"][usize::from(number) - 1]).expect("a name");
        let mac = Mac([2, 0, 0, 0, 0, number]);
        let node = (Uuid([number; 16]), name);
        Session::new(Config::new(*role, u64::from(number) + 6, mac, node, "link0"))
    });
    let (mut iv, mut vis) = (ends.next().expect("an IV"), ends.next().expect("a VIS"));
    let mut frames = Vec::new();
    let mut exchange = |iv: &mut Session, vis: &mut Session| {
        let before = frames.len();
        for _ in 0..8 {
            pass(iv, vis, &mut frames);
            pass(vis, iv, &mut frames);
        }
        frames.len() - before
    };
    iv.handle_link(0, true);
    vis.handle_link(0, true);
    assert!(exchange(&mut iv, &mut vis) >= 6);
    let provisioning = Provisioning::builder().profile("web").build().expect("a blob");
    let initial = vntag::ctl::InitialState::Active;
    iv.request(0, Request::VifCreate { channel: 3, provisioning, initial }).expect("a peer");
    iv.request(0, Request::VifEnable { vif: VifId::new(5).expect("a VIF") }).expect("a peer");
    assert_eq!(exchange(&mut iv, &mut vis), 4);
    vis.shutdown(0);
    assert_eq!(exchange(&mut iv, &mut vis), 1);
    frames
}

/// All that `from` has to send; `to` refuses whatever it is asked for.
fn pass(from: &mut Session, to: &mut Session, frames: &mut Vec<Vec<u8>>) {
    while let Some(frame) = from.poll_transmit(0) {
        to.handle_frame(0, &frame);
        frames.push(frame);
    }
    while let Some(event) = to.poll_event() {
        if let SessionEvent::Request { id, .. } = event {
            let refusal = Refusal::with_cause(Status::UNKNOWN_PROFILE, 6, "no port-profile web");
            to.respond(0, id, Err(refusal)).expect("waiting");
        }
    }
}

fn decode(json: bool, name: &str, frames: &[Vec<u8>]) -> String {
    let file = scratch(name);
    std::fs::write(&file, pcap(frames)).expect("the capture");
    let mut command = vntag();
    command.arg("decode").arg(&file);
    if json {
        command.arg("--json");
    }
    let output = command.output().expect("vntag");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn json_has_further_keys_only_on_control_frames() {
    let mut frames = conversation();
    let count = frames.len();
    frames.push([&[0xff; 6][..], &[2, 0, 0, 0, 0, 9], &[8, 6], &[0; 46]].concat());
    let lines: Vec<Value> = decode(true, "json.pcap", &frames)
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    for line in &lines[..count] {
        let key = if line["ethertype"] == 0x88cc { "lldp" } else { "ctl" };
        assert!(line[key]["tlvs"].is_array() && line[key].get("error").is_none(), "{line}");
        assert_eq!(line.as_object().map(serde_json::Map::len), Some(5), "{line}");
    }
    assert_eq!(lines[count], json!({ "frame": count + 1, "vntag": null, "vlan": null, "ethertype": 0x0806 }));
    let create = lines.iter().find(|line| line["ctl"]["op"] == "VIF_CREATE").expect("a create");
    let wanted = json!({
        "op": "VIF_CREATE", "response": false, "seq": 1, "session": "0x0000000f", "status": "OK",
        "tlvs": [
            { "type": 10, "name": "CHANNEL", "value": 3 },
            { "type": 11, "name": "PROVISIONING", "value": { "PORT_PROFILE_NAME_STR": "web" } },
            { "type": 12, "name": "INITIAL_STATE", "value": "active" },
        ],
    });
    assert_eq!(create["ctl"], wanted);
    let niv = json!({ "role": "IV", "boot_id": "0x0000000000000007", "vifs": 4094, "lists": 4095, "flags": "control" });
    assert_eq!(lines[0]["lldp"]["tlvs"][6], json!({ "type": 127, "name": "NIV", "value": niv }));
}

#[test]
fn people_see_the_tlvs_and_what_is_wrong() {
    let mut frames = conversation();
    // VIF 0, a name that would drive a terminal, a PDU cut off.
    let enable = frames.iter().find(|frame| frame[15] == 3).expect("an enable").clone();
    let mut zero = enable.clone();
    zero[35] = 0;
    let cut = enable[..33].to_vec();
    let name_at = |frame: &Vec<u8>| frame.windows(8).position(|part| part == b"adapter0");
    let hellos = frames.iter().filter(|frame| frame[12..14] == [0x88, 0xb5]);
    let (mut hello, at) =
        hellos.filter_map(|frame| Some((frame.clone(), name_at(frame)?))).next().expect("a HELLO");
    hello[at] = 0x1b;
    frames.extend([zero, cut, hello]);
    let text = decode(false, "text.pcap", &frames);
    for wanted in [
        "VIF_CREATE request, seq 1, session 0x0000000f, status OK",
        "  PROVISIONING PORT_PROFILE_NAME_STR web",
        "VIF_CREATE response, seq 1, session 0x0000000f, status UNKNOWN_PROFILE",
        "  CAUSE code 6 text no port-profile web",
        "  NIV role VIS boot_id 0x0000000000000008 vifs 4094 lists 4095 flags control",
        "  LIMITS vifs 4094 lists 4095 max_pdu 1500",
        "  error: VIF: 0 or over 4094",
        "  error: PDU truncated: 3 octets of 6 after the header",
        "  NODE_NAME \u{fffd}dapter0",
        "  error: NODE_NAME: not 1 to 63 octets of text",
    ] {
        assert!(text.contains(wanted), "{wanted}\n{text}");
    }
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn tshark_reads_our_lldp_without_an_expert_warning() {
    if !have("tshark") {
        return;
    }
    let frames: Vec<_> = conversation().into_iter().filter(|frame| frame[12..14] == [0x88, 0xcc]).collect();
    let file = scratch("lldp.pcap");
    std::fs::write(&file, pcap(&frames)).expect("the capture");
    let fields = [
        "_ws.expert.message",
        "_ws.malformed",
        "lldp.time_to_live",
        "lldp.tlv.system.name",
        "lldp.port.id",
        "lldp.orgtlv.oui",
        "lldp.tlv.enable_system_cap.bridge",
    ];
    let mut command = Command::new("tshark");
    command.arg("-r").arg(&file).args(["-T", "fields", "-E", "separator=|"]);
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command.output().expect("tshark");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let first: Vec<&str> = text.lines().take(2).collect();
    println!("{text}");
    assert_eq!(text.lines().count(), frames.len());
    assert!(text.lines().all(|line| line.starts_with("||")), "expert messages:\n{text}");
    assert!(first[0].starts_with("||120|adapter0|link0|"), "{text}");
    assert!(text.lines().last().is_some_and(|line| line.starts_with("||0||link0|")), "{text}");
}
