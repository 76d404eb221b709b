//! `nivctl capture` at ports, links and vNICs of running daemons.

use super::files::{link, list, niv_port, node, port, vethernet, vif_list, vnic};
use super::place::{Place, left_out, missing_program, text, until};
use core::ops::ControlFlow;
use niv_lab::driver::{Features, Guest};
use niv_lab::world::frames::{BROADCAST, frame, mac, up};
use rustix::process::{Pid, Signal, kill_process};
use std::process::{Child, Command, Stdio};

/// Two guests in VLAN 10 on one adapter; VLAN 20 has nobody else.
fn place() -> (Place, [Guest; 2]) {
    let lines = vethernet(1, 10, 1, 5)
        + &vethernet(2, 10, 1, 6)
        + &vif_list(1, 1, "5,6")
        + "interface ethernet 1/2\n";
    let mut place = Place::new(&[
        (
            "vis0.toml",
            node("vis0") + &niv_port(1, "memif:link0.sock") + &port(2, "access", "pcap:away.pcapng"),
        ),
        ("vis0.cfg", lines),
        (
            "adapter0.toml",
            node("adapter0")
                + &link("link0", "memif:link0.sock")
                + &vnic("vnic0", "vhost-user:vnic0.sock", 5, 10)
                + &vnic("vnic1", "vhost-user:vnic1.sock", 6, 10)
                + &list(1, &[5, 6]),
        ),
    ]);
    place.start("vis0");
    place.start("adapter0");
    place.link_up("adapter0", "link0", "vis0", "1/1");
    let guests = [0, 1].map(|n| {
        let guest = Guest::connect(&place.path(&format!("vnic{n}.sock")), Features::default()).unwrap();
        place.vnic_up("adapter0", &format!("vnic{n}"));
        guest
    });
    (place, guests)
}

/// A capture into `FILE.pcapng`, from the moment on at which it runs.
fn capture(place: &Place, api: &str, port: &str, file: &str, more: &[&str]) -> Child {
    let name = format!("{file}.pcapng");
    let words: Vec<&str> =
        ["--api", api, "capture", port, "-w", &name].into_iter().chain(more.iter().copied()).collect();
    let child = place.command("nivctl", &words).stderr(Stdio::piped()).spawn().unwrap();
    until(&format!("{file} is begun"), || place.path(&name).exists().then_some(()));
    child
}

/// What a capture that has ended said, and the comment and octets of each of its frames.
fn ended(place: &Place, child: Child, file: &str) -> (String, Vec<(String, Vec<u8>)>) {
    use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption::Comment;
    use pcap_file::pcapng::{Block, PcapNgReader};
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let read = std::fs::read(place.path(&format!("{file}.pcapng"))).unwrap();
    let mut reader = PcapNgReader::new(&read[..]).unwrap();
    let mut frames = Vec::new();
    while let Some(block) = reader.next_block() {
        let Block::EnhancedPacket(packet) = block.unwrap() else { continue };
        let comment = packet.options.iter().find_map(|option| match option {
            Comment(comment) => Some(comment.to_string()),
            _ => None,
        });
        frames.push((comment.unwrap_or_default(), packet.data.to_vec()));
    }
    (text(&output), frames)
}

#[test]
fn each_place_shows_its_frames_with_what_became_of_them() {
    let (place, mut guests) = place();
    let begin = |api: &str, port: &str, file: &str, more: &[&str]| {
        (file.to_owned(), capture(&place, &format!("{api}.sock"), port, file, more))
    };
    let vnic = begin("adapter0", "vnic0", "vnic0", &["-c", "2"]);
    let link = begin("adapter0", "link0", "link0", &["-c", "2"]);
    let port = begin("vis0", "eth 1/1", "port", &["-c", "2"]);
    let other = begin("adapter0", "vnic1", "vnic1", &[]);
    let again = begin("adapter0", "vnic1", "again", &[]);
    // As many as may; another daemon has its own.
    let (code, _, complained) =
        place.nivctl(&["--api", "adapter0.sock", "capture", "vnic1", "-w", "x.pcapng"]);
    assert!(code == 1 && complained.contains("4 captures are running"), "{code}: {complained}");
    assert!(!place.path("x.pcapng").exists());

    let broadcast = frame(BROADCAST, mac(1)).ipv4(46);
    let forged = frame(mac(2), mac(1)).vntag(up(6)).ipv4(46);
    assert!(guests[0].send(&broadcast) && guests[0].send(&forged));
    assert_eq!(guests[1].recv(super::place::PATIENCE).as_ref(), Some(&broadcast));
    place.at_rest();

    let two = "2 frames captured\n".to_owned();
    let check = |(file, child): (String, Child), said: &str, expected: &[(&str, Option<&[u8]>)]| {
        let (told, frames) = ended(&place, child, &file);
        assert_eq!(told, said, "{file}");
        let comments: Vec<&str> = frames.iter().map(|(comment, _)| comment.as_str()).collect();
        assert_eq!(comments, expected.iter().map(|(comment, _)| *comment).collect::<Vec<_>>(), "{file}");
        for ((_, octets), (_, wanted)) in frames.iter().zip(expected) {
            assert!(wanted.is_none_or(|wanted| wanted == octets), "{file}: {octets:02x?}");
        }
    };
    check(
        vnic,
        &two,
        &[("to link0 as VIF 5", Some(&broadcast)), ("dropped: host_vntag (I1)", Some(&forged))],
    );
    check(link, &two, &[("from vnic0", None), ("for list 1", None)]);
    check(port, &two, &[("from vethernet1, flooded in VLAN 10", None), ("a copy of a flooded frame", None)]);
    for (file, child) in [other, again] {
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        check((file, child), "1 frames captured\n", &[("from link0", Some(&broadcast))]);
    }

    // There is room again for all that are listed, and nobody else has what was not there.
    for (node, names) in
        [("vis0", &["ethernet1/1", "ethernet1/2"][..]), ("adapter0", &["link0", "vnic0", "vnic1"])]
    {
        assert_eq!(place.client(node).ports().unwrap(), names);
        for name in names {
            let begun = place.client(node).capture(name, None, async {}, |_| ControlFlow::Break(()));
            assert!(begun.is_ok(), "{name}: {begun:?}");
        }
    }
    let (code, _, complained) =
        place.nivctl(&["--api", "adapter0.sock", "capture", "vnic9", "-w", "x.pcapng"]);
    assert!(code == 2 && complained.contains("no link or vNIC vnic9"), "{code}: {complained}");
    let (code, _, complained) =
        place.nivctl(&["--api", "vis0.sock", "capture", "ethernet1/9", "-w", "x.pcapng"]);
    assert!(code == 2 && complained.contains("no port ethernet1/9"), "{code}: {complained}");
}

#[test]
fn tshark_reads_a_capture_from_a_pipe() {
    if left_out(missing_program(&["tshark"])) {
        return;
    }
    let (place, mut guests) = place();
    let mut nivctl = place.command("nivctl", &["--api", "vis0.sock", "capture", "ethernet1/1", "-c", "1"]);
    let mut nivctl = nivctl.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut tshark = Command::new("tshark");
    tshark.args(["-r", "-", "-T", "fields", "-e", "frame.comment", "-e", "vntag.src"]);
    tshark.args(["-e", "frame.interface_name"]).stdin(nivctl.stdout.take().unwrap());
    // Nobody says when the capture has begun, and one frame is enough for it.
    let thread = std::thread::spawn(move || tshark.output().unwrap());
    until("the capture ends", || {
        guests[0].send(&frame(BROADCAST, mac(1)).ipv4(46));
        nivctl.try_wait().unwrap()
    });
    let output = thread.join().unwrap();
    let read = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        read.lines().next(),
        Some("from vethernet1, flooded in VLAN 10\t5\tethernet1/1"),
        "{}",
        text(&output)
    );
}

/// Between two vNICs behind one link frames are given back in the buffers they came in, but for those that somebody looks at when
/// they have left.
#[test]
fn frames_go_back_uncopied_but_where_they_are_captured() {
    let (place, mut guests) = place();
    assert!(guests[1].send(&frame(BROADCAST, mac(2)).ipv4(46)));
    assert!(guests[0].recv(super::place::PATIENCE).is_some());
    let exchanged = || {
        let port = place.show("vis0", "show interface ethernet 1/1");
        port["device_counters"]["tx_exchanged"].as_u64().unwrap()
    };
    let mut frames = |from: u8| {
        for n in 0..150u16 {
            let payload = [46, 600, 1500][usize::from(n) % 3];
            let mut sent = frame(mac(2), mac(1)).ipv4(payload);
            let [high, low] = n.to_be_bytes();
            sent.splice(38..41, [from, high, low]);
            assert!(guests[0].send(&sent));
            assert!(guests[1].recv(super::place::PATIENCE).as_ref() == Some(&sent), "{from} {n}");
        }
    };
    // A third of them is short, and that is copied.
    frames(0);
    assert_eq!(exchanged(), 100);
    let captured = capture(&place, "vis0.sock", "ethernet1/1", "all", &["-c", "300"]);
    frames(1);
    let (_, seen) = ended(&place, captured, "all");
    let gone = seen.iter().filter(|(comment, _)| comment.starts_with("to "));
    // The payload of a frame on the link is behind ten octets of tags.
    let numbers = gone.map(|(_, octets)| (octets[48], u16::from_be_bytes([octets[49], octets[50]])));
    assert!(numbers.eq((0..150).map(|n| (1, n))), "{:?}", seen.iter().map(|one| &one.0).collect::<Vec<_>>());
    assert_eq!(exchanged(), 100);
    frames(2);
    assert_eq!(exchanged(), 200);
    place.at_rest();
}
