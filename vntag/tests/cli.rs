//! The binary `vntag` from outside: what it prints, what it writes, how it ends.

mod common;

use std::io::Write;
use std::process::{Output, Stdio};

use common::pcap;
use common::run::{scratch, vntag};
use common::vectors::{VECTORS, frames};

/// Runs `vntag` with this standard input.
fn run(args: &[&str], input: &[u8]) -> Output {
    let mut child = vntag()
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("vntag starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // A program that refuses its input need not read it.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("vntag ends");
    writer.join().expect("the writer ends");
    output
}

fn lines(bytes: &[u8]) -> Vec<String> {
    String::from_utf8(bytes.to_vec()).expect("UTF-8").lines().map(str::to_owned).collect()
}

/// Runs and takes the standard output, which must have ended in this exit code.
fn stdout(args: &[&str], input: &[u8], code: i32) -> Vec<u8> {
    let output = run(args, input);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {errors}");
    output.stdout
}

/// The error that this input ends in, after this many lines of output.
fn error(input: &[u8], lines_before: usize) -> String {
    let output = run(&["decode"], input);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(lines(&output.stdout).len(), lines_before);
    let errors = lines(&output.stderr);
    assert_eq!(errors.len(), 1, "one clear error: {errors:?}");
    errors.concat()
}

/// The frames of a pcap file as `vntag` writes it.
fn frames_of(file: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = pcap_file::pcap::PcapReader::new(file).expect("a pcap file");
    let next = || reader.next_packet().map(|packet| packet.expect("a frame").data.into_owned());
    std::iter::from_fn(next).collect()
}

#[test]
fn json_of_the_fifteen_frames() {
    let expected: Vec<String> = (1..)
        .zip(VECTORS)
        .map(|(number, vector)| format!(r#"{{"frame":{number},{}}}"#, vector.json))
        .collect();
    assert_eq!(lines(&stdout(&["decode", "--json"], &pcap(&frames()), 0)), expected);
}

#[test]
fn check_names_every_violation_and_fails() {
    type Lines = fn(usize) -> &'static [&'static str];
    let ways: [(&str, Lines); 2] = [("up", |at| VECTORS[at].up), ("down", |at| VECTORS[at].down)];
    for (way, violations) in ways {
        let printed = lines(&stdout(&["decode", "--json", "--check", way, "-"], &pcap(&frames()), 1));
        for (at, line) in printed.iter().enumerate() {
            let json: serde_json::Value = serde_json::from_str(line).expect("JSON");
            assert_eq!(json["violations"], serde_json::json!(violations(at)), "{way} {}", at + 1);
        }
        let people = lines(&stdout(&["decode", "--check", way], &pcap(&frames()), 1));
        let count: usize = (0..VECTORS.len()).map(|at| 1 + violations(at).len()).sum();
        assert_eq!(people.len(), count, "a line for each frame and each violation");
    }
    let good: Vec<_> = frames().into_iter().take(1).collect();
    stdout(&["decode", "--check", "up"], &pcap(&good), 0);
}

#[test]
fn lines_for_people() {
    let printed = lines(&stdout(&["decode"], &pcap(&frames()), 0));
    assert_eq!(printed.len(), 15);
    let shown = |at: usize, text: &str| assert!(printed[at - 1].contains(text), "{}", printed[at - 1]);
    shown(1, "52:54:00:00:00:01 > ff:ff:ff:ff:ff:ff  VNTag up src_vif 5 | vlan 0 pcp 3 | 0x0806 ARP");
    shown(4, "VNTag down list 16383 looped src_vif 5 | vlan 10 pcp 0 |");
    shown(5, "VNTag down dst_vif 5461 looped src_vif 2748 r=1 ver=2 | vlan 4094 pcp 7 dei |");
    shown(10, "no tag | 0x8926 VNTag | 16 octets");
    shown(12, "802.3 length 38");
    shown(15, "E-TAG group 1 ecid 0x123 ingress_ecid 0x5 pcp 0 dei");
}

#[test]
fn strip_takes_out_what_insert_puts_in() {
    let plain: Vec<_> = ["0800 45", "8100000a 0806 0001", "88cc 02"]
        .iter()
        .map(|rest| {
            let hex = format!("525400000002 525400000001 {rest}").replace(' ', "");
            let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("ASCII"));
            digits.map(|octet| u8::from_str_radix(octet, 16).expect("hexadecimal")).collect::<Vec<u8>>()
        })
        .collect();
    let ways: [(&[&str], u32); 4] = [
        (&["--vif", "5"], 0x0000_0005),
        (&["--down", "--dst", "0x6"], 0x8006_0000),
        (&["--down", "--dst", "6", "--looped", "5"], 0x8006_8005),
        (&["--down", "--list", "0x3fff", "--looped", "5"], 0xffff_8005),
    ];
    for (way, word) in ways {
        let args = [&["insert"], way, &["-", "-"]].concat();
        let tagged = stdout(&args, &pcap(&plain), 0);
        for (plain, tagged) in plain.iter().zip(frames_of(&tagged)) {
            let tag = [&[0x89, 0x26][..], &word.to_be_bytes()].concat();
            assert_eq!(tagged, [&plain[..12], &tag, &plain[12..]].concat());
        }
        assert_eq!(frames_of(&stdout(&["strip"], &tagged, 0)), plain);

        // To E-TAG and back, where the direction is known.
        let direction = if way.contains(&"--down") { "down" } else { "up" };
        let etag = stdout(&["to-etag"], &tagged, 0);
        assert!(frames_of(&etag).iter().all(|frame| frame[12..14] == [0x89, 0x3f]));
        let back = stdout(&["from-etag", "--direction", direction], &etag, 0);
        assert_eq!(frames_of(&back), frames_of(&tagged));
    }
}

#[test]
fn what_cannot_be_changed_is_left_out_by_name() {
    let file = pcap(&frames());
    let output = run(&["to-etag"], &file);
    assert_eq!(output.status.code(), Some(1));
    let said = lines(&output.stderr);
    assert_eq!(said.len(), 2);
    assert!(said[0].contains("frame 5 left out: the reserved bit of the VNTag is set"), "{said:?}");
    assert_eq!(frames_of(&output.stdout).len(), 13);

    let output = run(&["from-etag", "--direction", "up"], &file);
    let said = lines(&output.stderr);
    assert!(said[0].contains("frame 14 left out: the E-TAG's E-CID is over 0xfff"), "{said:?}");
    assert!(said[1].contains("frame 15 left out: the E-TAG goes up and has a group"), "{said:?}");

    let output = run(&["insert", "--vif", "1"], &file);
    assert_eq!(frames_of(&output.stdout).len(), 1, "only frame 8 has no tag after its source address");
    let output = run(&["insert", "--vif", "1"], &pcap(&[vec![0; 13]]));
    assert!(lines(&output.stderr)[0].contains("frame 1 left out: shorter than two addresses and a type"));
}

#[test]
fn time_and_length_on_the_wire_survive() {
    // Nanoseconds, big-endian, snapshot length 20: frames were longer on the wire.
    let mut file = Vec::new();
    for word in [0xa1b2_3c4d_u32, 0x0002_0004, 0, 0, 20, 1, 1_700_000_000, 123_456_789, 20, 1500] {
        file.extend(word.to_be_bytes());
    }
    file.extend(&VECTORS[0].frame()[..20]);
    let json = lines(&stdout(&["decode", "--json", "--check", "up"], &file, 0));
    assert!(json[0].contains(r#""src_vif":5},"vlan":null,"ethertype":33024,"violations":[]"#), "{json:?}");
    let stripped = stdout(&["strip"], &file, 0);
    let word = |at: usize| u32::from_le_bytes(stripped[at..at + 4].try_into().expect("four octets"));
    assert_eq!([word(24), word(28), word(32), word(36)], [1_700_000_000, 123_456_789, 14, 1494]);
}

/// A pcapng block of either byte order.
fn block(big: bool, kind: u32, body: &[u8]) -> Vec<u8> {
    let word = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
    let padding = vec![0; body.len().next_multiple_of(4) - body.len()];
    let length = word(12 + (body.len() + padding.len()) as u32);
    [&word(kind)[..], &length, body, &padding, &length].concat()
}

fn words(big: bool, words: &[u32]) -> Vec<u8> {
    let word = |value: &u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
    words.iter().flat_map(word).collect()
}

fn section(big: bool) -> Vec<u8> {
    let version = if big { [0, 1, 0, 0] } else { [1, 0, 0, 0] };
    let body = [&words(big, &[0x1a2b_3c4d])[..], &version, &[0xff; 8]].concat();
    block(big, 0x0a0d_0d0a, &body)
}

fn interface(big: bool, link_type: u16, snapshot_len: u32, options: &[u8]) -> Vec<u8> {
    let link_type = if big { link_type.to_be_bytes() } else { link_type.to_le_bytes() };
    block(big, 1, &[&link_type[..], &[0, 0], &words(big, &[snapshot_len]), options].concat())
}

fn enhanced(big: bool, interface: u32, time: u64, frame: &[u8]) -> Vec<u8> {
    let len = frame.len() as u32;
    let head = words(big, &[interface, (time >> 32) as u32, time as u32, len, len]);
    block(big, 6, &[&head, frame].concat())
}

#[test]
fn pcapng_of_both_byte_orders_with_every_kind_of_packet_block() {
    for big in [false, true] {
        let frame = |at: usize| VECTORS[at - 1].frame();
        let nanoseconds = [0, 9, 0, 1, 9, 0, 0, 0, 0, 0, 0, 0];
        let nanoseconds = if big { nanoseconds } else { [9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0] };
        let simple_len = frame(10).len() as u32;
        let obsolete = [&words(big, &[0, 0, 7, 18, 18])[..], &frame(11)].concat();
        let file = [
            section(big),
            block(big, 5, &[0; 12]), // Statistics: skipped.
            interface(big, 1, 0, &[]),
            interface(big, 1, 65_535, &nanoseconds),
            enhanced(big, 0, 1_700_000_000_123_456, &frame(1)),
            enhanced(big, 1, 1_700_000_000_123_456_789, &frame(2)),
            block(big, 3, &[&words(big, &[simple_len])[..], &frame(10)].concat()),
            block(big, 2, &obsolete),
            // A new section of the other order, with an interface of its own.
            section(!big),
            interface(!big, 1, 0, &[]),
            enhanced(!big, 0, 0, &frame(15)),
        ]
        .concat();
        let printed = lines(&stdout(&["decode", "--json"], &file, 0));
        for (number, (line, at)) in (1..).zip(printed.iter().zip([1, 2, 10, 11, 15])) {
            assert_eq!(*line, format!(r#"{{"frame":{number},{}}}"#, VECTORS[at - 1].json));
        }
        assert_eq!(printed.len(), 5);
        let stripped = stdout(&["strip"], &file, 0);
        let word = |at: usize| u32::from_le_bytes(stripped[at..at + 4].try_into().expect("four octets"));
        assert_eq!([word(24), word(28)], [1_700_000_000, 123_456_000]);
        let second = 24 + 16 + word(32) as usize;
        assert_eq!([word(second), word(second + 4)], [1_700_000_000, 123_456_789]);
    }
}

#[test]
fn captures_of_other_links_are_refused_by_name() {
    let mut file = pcap(&frames());
    file[20] = 113;
    assert!(
        error(&file, 0).contains("link type 113 (LINUX_SLL, made by capturing on `any`) is not Ethernet")
    );

    let frame = VECTORS[0].frame();
    let other = [interface(false, 1, 0, &[]), interface(false, 127, 0, &[])].concat();
    let unused = [section(false), other.clone(), enhanced(false, 0, 0, &frame)].concat();
    stdout(&["decode"], &unused, 0);
    let used = [section(false), other, enhanced(false, 0, 0, &frame), enhanced(false, 1, 0, &frame)].concat();
    assert!(error(&used, 1).contains("frame 2, at octet"), "the frames before are shown");
    assert!(error(&used, 1).contains("link type 127 (IEEE802_11_RADIOTAP) is not Ethernet"));
}

#[test]
fn broken_captures_end_in_one_error_behind_the_frames_before() {
    assert!(error(&[], 0).contains("standard input: empty"));
    assert!(error(b"hello, world", 0).contains("neither pcap nor pcapng"));
    assert!(error(&[0x1f, 0x8b, 8, 0], 0).contains("compressed with gzip"));

    let file = pcap(&frames());
    let mut ends = vec![24];
    for frame in frames() {
        ends.push(ends[ends.len() - 1] + 16 + frame.len());
    }
    for cut in (24..file.len()).step_by(7).filter(|cut| !ends.contains(cut)) {
        let frame = ends.iter().filter(|end| **end < cut).count();
        let said = error(&file[..cut], frame - 1);
        assert!(
            said.contains(&format!("frame {frame}, at octet {}: ends inside", ends[frame - 1])),
            "{said}"
        );
        assert!(said.contains("octets are missing"), "{said}");
    }
    let mut garbage = file;
    garbage[24 + 8..24 + 12].copy_from_slice(&[0xff; 4]);
    assert!(error(&garbage, 0).contains("frame 1, at octet 24: its length is said to be 4294967295"));

    let start = [section(false), interface(false, 1, 0, &[])].concat();
    let frame = enhanced(false, 0, 0, &VECTORS[0].frame());
    let mut lengths = [&start[..], &frame, &frame].concat();
    *lengths.last_mut().expect("octets") = 1;
    assert!(error(&lengths, 1).contains("the two lengths of a block differ"));
    assert!(error(&[&start[..], &frame[..30]].concat(), 0).contains("ends inside a block"));
    assert!(
        error(&[section(false), frame].concat(), 0).contains("interface 0, which has not been described")
    );
    assert!(error(&block(false, 0x0a0d_0d0a, &[0; 16]), 0).contains("byte-order magic"));
}

#[test]
fn wrong_requests_end_in_2_and_missing_files_in_1() {
    for args in [
        &["decode", "--check", "sideways"][..],
        &["insert"],
        &["insert", "--vif", "4095"],
        &["insert", "--vif", "0"],
        &["insert", "--down"],
        &["insert", "--down", "--list", "0x4000"],
        &["insert", "--vif", "5", "--looped", "6"],
        &["insert", "--down", "--dst", "5", "--list", "6"],
        &["from-etag"],
        &["nonsense"],
    ] {
        assert_eq!(run(args, &[]).status.code(), Some(2), "{args:?}");
    }
    let file = scratch("same.pcap");
    std::fs::write(&file, pcap(&frames())).expect("a scratch file");
    let name = file.to_str().expect("UTF-8");
    assert_eq!(run(&["strip", name, name], &[]).status.code(), Some(2), "the input would be emptied");
    assert_eq!(std::fs::read(&file).expect("still there"), pcap(&frames()));

    let output = run(&["decode", "no-such-file.pcap"], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(lines(&output.stderr)[0].starts_with("vntag: no-such-file.pcap: No such file"));
}

#[test]
fn files_are_read_and_written_by_name() {
    let (input, output) = (scratch("in.pcap"), scratch("out.pcap"));
    std::fs::write(&input, pcap(&frames())).expect("a scratch file");
    let paths = [&input, &output].map(|path| path.to_str().expect("UTF-8"));
    assert!(stdout(&["strip", paths[0], paths[1]], &[], 0).is_empty());
    assert_eq!(frames_of(&std::fs::read(&output).expect("written")).len(), 15);
}

#[test]
fn a_reader_who_goes_away_is_no_error() {
    let many: Vec<_> = frames().into_iter().cycle().take(5_000).collect();
    let file = scratch("many.pcap");
    std::fs::write(&file, pcap(&many)).expect("a scratch file");
    for args in [&["decode"][..], &["decode", "--json"], &["strip"]] {
        let mut child = vntag()
            .args(args)
            .arg(&file)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("vntag starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("vntag ends");
        assert!(output.status.success() && output.stderr.is_empty(), "{args:?}: {output:?}");
    }
}
