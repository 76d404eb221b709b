use super::*;
use crate::frame::{Gather, Seg};
use crate::pair::pair;
use proptest::prelude::*;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Direction, octets and comment of each frame in a capture; frames recorded and lost of each statistics block.
pub(super) type Blocks = (Vec<(u32, Vec<u8>, String)>, Vec<(u64, u64)>);

pub(super) fn blocks(file: &[u8]) -> Blocks {
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    let half = |at: usize| usize::from(u16::from_le_bytes(file[at..at + 2].try_into().unwrap()));
    let (mut frames, mut statistics) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < file.len() {
        let total = word(at + 4) as usize;
        assert_eq!(total % 4, 0);
        assert_eq!(word(at + total - 4) as usize, total, "the block's length stands at both ends");
        // Code and value of each option from here.
        let options = |mut from: usize| {
            std::iter::from_fn(move || {
                let (code, len) = (half(from), half(from + 2));
                let value = &file[from + 4..from + 4 + len];
                from += 4 + len.next_multiple_of(4);
                (code != 0).then_some((code, value))
            })
        };
        match word(at) {
            6 => {
                let len = word(at + 20) as usize;
                let bytes = file[at + 28..at + 28 + len].to_vec();
                let (mut flags, mut comment) = (0, String::new());
                for (code, value) in options(at + 28 + len.next_multiple_of(4)) {
                    match code {
                        1 => comment = String::from_utf8(value.to_vec()).unwrap(),
                        2 => flags = u32::from_le_bytes(value.try_into().unwrap()),
                        other => panic!("option {other}"),
                    }
                }
                frames.push((flags, bytes, comment));
            }
            5 => {
                let numbers: Vec<u64> = options(at + 20)
                    .map(|(_, value)| u64::from_le_bytes(value.try_into().unwrap()))
                    .collect();
                statistics.push((numbers[0] - numbers[1], numbers[1]));
            }
            _ => {}
        }
        at += total;
    }
    (frames, statistics)
}

/// What the file says: direction and bytes of each frame.
fn read(path: &Path) -> Vec<(u32, Vec<u8>)> {
    blocks(&std::fs::read(path).unwrap()).0.into_iter().map(|(way, bytes, _)| (way, bytes)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// Every frame that passes is in the file once, in its order, however often it was lent; and it passes
    /// unchanged.
    #[test]
    fn every_frame_is_recorded_once(steps in prop::collection::vec((0usize..9, 0usize..70, 0usize..9), 1..60)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.pcapng");
        let (mut a, b, _cable) = pair(50);
        let mut b = tee(b, &Capture::create(&path).unwrap().interface("b", "pair"));
        let (mut sent, mut recorded, mut passed) = (Vec::new(), Vec::new(), 0);
        let mut serial = 0u8;
        for (n, max, release) in steps {
            for _ in 0..n {
                serial = serial.wrapping_add(1);
                let bytes = vec![serial; 1 + usize::from(serial % 7)];
                if a.tx[0].send(0, &[OutFrame::private(&bytes)]).frames == 1 {
                    sent.push(bytes);
                }
            }
            let mut burst = RxBurst::new();
            b.rx[0].recv(0, max, &mut burst);
            let got: Vec<_> = burst.iter().map(|f| f.data.to_vec()).collect();
            drop(burst);
            prop_assert_eq!(&got, &sent[passed..passed + got.len()]);
            let seen: usize = recorded.iter().filter(|(way, _)| *way == 1).count();
            recorded.extend(got.iter().skip(seen - passed).map(|bytes| (1, bytes.clone())));
            let release = release.min(got.len());
            // The answer goes out before the burst is released, as a worker does it.
            for bytes in &got[..release] {
                let (head, body) = bytes.split_at(1);
                let out = OutFrame::complete(head, Gather::one(Seg::from_slice(body)));
                recorded.extend((b.tx[0].send(0, &[out]).frames == 1).then(|| (2, bytes.clone())));
            }
            b.rx[0].release(release);
            passed += release;
        }
        drop(b);
        prop_assert_eq!(read(&path), recorded);
    }
}

#[test]
fn a_queue_that_lost_what_it_had_lent_is_recorded_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.pcapng");
    let (mut a, b, cable) = pair(50);
    let mut b = tee(b, &Capture::create(&path).unwrap().interface("b", "pair"));
    for n in 0..2 {
        a.tx[0].send(0, &[OutFrame::private(&[n])]);
        b.rx[0].recv(0, BURST, &mut RxBurst::new());
        b.rx[0].release(0);
        cable.unplug();
        b.rx[0].recv(0, BURST, &mut RxBurst::new());
        b.rx[0].release(0);
        cable.plug();
    }
    drop(b);
    assert_eq!(read(&path), [(1, vec![0]), (1, vec![1])]);
}

#[test]
fn frames_that_find_no_room_are_counted_and_pass() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.pcapng");
    let interface = Capture::create(&path).unwrap().interface("a", "test");
    let big = vec![0; 60_000];
    // More than the buffer holds, in one go: the writer cannot come in between.
    let frames = core::iter::repeat_n(OutFrame::private(&big), 200);
    interface.record(1, Direction::Out, None, frames);
    let lost = interface.lost() as usize;
    assert!((1..200).contains(&lost));
    drop(interface);
    assert_eq!(read(&path).len(), 200 - lost);
}

#[test]
fn two_captures_do_not_write_into_one_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.pcapng");
    std::fs::write(&path, [0; 5000]).unwrap();
    let first = Capture::create(&path).unwrap();
    let error = Capture::create(&path).err().unwrap().to_string();
    assert!(error.ends_with("another port or process is writing this file; give each its own"), "{error}");
    drop(first);
    assert_eq!(read(&path), [], "what was there before is gone");
    Capture::create(&path).unwrap();
}

#[test]
fn a_path_that_cannot_be_made_is_named() {
    let error = Capture::create("/nowhere/at/all.pcapng".as_ref()).err().unwrap().to_string();
    assert_eq!(
        error,
        "capture /nowhere/at/all.pcapng: the file cannot be made: No such file or directory (os error 2)"
    );
}

#[test]
fn tshark_reads_the_file_while_it_grows() {
    if Command::new("tshark").arg("--version").output().is_err() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "tshark is missing");
        eprintln!("skipped: tshark is missing");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.pcapng");
    let capture = Capture::create(&path).unwrap();
    let interface = capture.interface("link0", "memif:x");
    let mut frame = vec![0xff; 12];
    frame.extend([0x89, 0x26, 0x00, 0x00, 0x00, 0x05, 0x08, 0x06]);
    frame.resize(60, 0);
    interface.record(1_700_000_000_123_456_789, Direction::In, None, [OutFrame::private(&frame)].into_iter());
    interface.record(
        1_700_000_000_123_456_790,
        Direction::Out,
        Some("copied"),
        [OutFrame::private(&frame[..59])].into_iter(),
    );
    // 124 + 120 octets of packets: wait for the file to grow, as a reader beside it does.
    let deadline = Instant::now() + Duration::from_secs(10);
    while read(&path).len() < 2 {
        assert!(Instant::now() < deadline, "written within 200 ms, were the machine idle");
        std::thread::yield_now();
    }
    let fields = [
        "frame.time_epoch",
        "frame.interface_name",
        "frame.packet_flags_direction",
        "frame.len",
        "frame.comment",
        "vntag.src",
    ];
    let output = Command::new("tshark")
        .args(["-r".as_ref(), path.as_os_str()])
        .args(["-T", "fields", "-E", "separator=,"])
        .args(fields.iter().flat_map(|field| ["-e", field]))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && !errors.contains("cut short") && !errors.contains("damaged"),
        "{errors}"
    );
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "1700000000.123456789,link0,0x00000001,60,,5");
    assert_eq!(lines[1], "1700000000.123456790,link0,0x00000002,59,copied,5");
    drop((interface, capture));
}
