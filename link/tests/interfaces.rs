//! AF_PACKET, AF_XDP and tap against the kernel: veth pairs, network namespaces, real hosts in them.

mod common;

use common::{
    Cable, Net, PATIENCE, counter, drain, ip, missing, missing_program, open_device, open_link,
    open_with_mtu, receive, send, text, until, within,
};
use link::{BURST, OutFrame, PortState, Taken, Undone};
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

/// Devices that are interfaces of the kernel: what is asked of one is asked of the other.
const KINDS: [&str; 2] = ["packet", "xdp"];

/// Runs a test for each of them.
fn each(test: impl Fn(&str)) {
    if !missing() {
        KINDS.iter().for_each(|kind| test(kind));
    }
}

fn frame(ethertype_and_rest: &[u8], len: usize) -> Vec<u8> {
    let mut frame = vec![0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2];
    frame.extend(ethertype_and_rest);
    frame.resize(len, 0x5a);
    frame
}

#[test]
fn tags_are_where_the_wire_has_them() {
    for kinds in [["packet"; 2], ["xdp"; 2], ["packet", "xdp"]] {
        if missing() {
            return;
        }
        let net = Net::new().unwrap();
        let (a, b) = net.veth().unwrap();
        let [a, b] = [(kinds[0], a), (kinds[1], b)].map(|(kind, end)| open_device(&format!("{kind}:{end}")));
        tags_pass(a, b);
    }
}

/// Frames with tags of all kinds go from one port to the other.
fn tags_pass(mut a: link::Port, mut b: link::Port) {
    let frames = [
        frame(&[0x88, 0xb5], 60),
        frame(&[0x81, 0x00, 0x20, 0x0a, 0x88, 0xb5], 64),
        frame(&[0x81, 0x00, 0x00, 0x00, 0x88, 0xb5], 64),
        frame(&[0x88, 0xa8, 0xb0, 0x0a, 0x81, 0x00, 0x00, 0x0b, 0x88, 0xb5], 68),
        frame(&[0x81, 0x00, 0x0f, 0xff, 0x81, 0x00, 0x0f, 0xfe, 0x88, 0xb5], 1518),
        frame(&[0x89, 0x26, 0x00, 0x00, 0x00, 0x05, 0x81, 0x00, 0x20, 0x0a, 0x88, 0xb5], 80),
    ];
    // In pieces, as a worker sends: a private head, a borrowed rest.
    let out: Vec<_> = frames
        .iter()
        .map(|f| {
            let (head, rest) = f.split_at(14);
            OutFrame::complete(head, link::Gather::one(link::Seg::from_slice(rest)))
        })
        .collect();
    assert_eq!(send(&mut a, &out), Taken { frames: out.len(), refused: 0 });
    assert_eq!(receive(&mut b, frames.len()), frames);
    assert_eq!(counter(&a, "tx_frames"), 6);
    assert_eq!(counter(&b, "rx_frames"), 6);
    // What a port sends it does not receive.
    let mut burst = link::RxBurst::new();
    a.rx[0].recv(0, BURST, &mut burst);
    assert!(burst.is_empty());
}

#[test]
fn what_was_not_released_is_lent_again() {
    each(|kind| {
        let net = Net::new().unwrap();
        let (a, b) = net.veth().unwrap();
        let (mut a, mut b) = (open_device(&format!("{kind}:{a}")), open_device(&format!("{kind}:{b}")));
        let frames: Vec<_> = (0..100).map(|n| frame(&[0x88, 0xb5, n], 60)).collect();
        let out: Vec<_> = frames.iter().map(|f| OutFrame::private(f)).collect();
        assert_eq!(send(&mut a, &out).frames, 100);
        let mut got = Vec::new();
        while got.len() < 100 {
            let mut burst = link::RxBurst::new();
            b.rx[0].recv(0, 40, &mut burst);
            let release = burst.len().min(7);
            got.extend(burst.iter().take(release).map(|f| f.data.to_vec()));
            drop(burst);
            b.rx[0].release(release);
        }
        assert_eq!(got, frames);
        assert_eq!(counter(&b, "rx_frames"), 100, "a frame that is lent again is counted once");
    });
}

#[test]
fn an_mtu_that_is_too_small_is_refused_with_the_command_that_mends_it() {
    each(|kind| {
        let net = Net::new().unwrap();
        let (a, b) = net.veth().unwrap();
        let device = format!("{kind}:{a}");
        let error = open_with_mtu(&device, 1510).err().unwrap().to_string();
        let command = format!("link set dev {a} mtu 1510");
        assert_eq!(error, format!("{device}: its MTU is 1500, this port needs 1510: ip {command}"));
        ip(&command).unwrap();
        let mut a = open_with_mtu(&device, 1510).unwrap();
        ip(&format!("link set dev {b} mtu 1510")).unwrap();
        let mut b = open_device(&format!("{kind}:{b}"));
        // The longest frame of an NIV link passes; a longer one is refused and the one behind it passes.
        let (long, longer) = (frame(&[0x89, 0x26], 1524), frame(&[0x89, 0x26], 1525));
        let out = [&long, &longer, &long].map(|f| OutFrame::private(f));
        assert_eq!(send(&mut a, &out), Taken { frames: 3, refused: 1 });
        assert_eq!(counter(&a, "tx_too_long"), 1);
        assert_eq!(receive(&mut b, 2), [long.clone(), long]);
    });
}

#[test]
fn devices_that_cannot_be_opened_say_why() {
    if missing() {
        return;
    }
    let net = Net::new().unwrap();
    let (a, _) = net.veth().unwrap();
    let why = |device: String| open_with_mtu(&device, 1500).err().unwrap().to_string();
    let gone = net.name("z");
    for kind in KINDS {
        let no_such = format!("{kind}:{gone}: there is no interface {gone} (see: ip link)");
        assert_eq!(why(format!("{kind}:{gone}")), no_such);
    }
    assert!(why(format!("tap:{a}")).contains("that is not a tap"), "{}", why(format!("tap:{a}")));
    let tap = net.name("t");
    let _port = open_device(&format!("tap:{tap}"));
    assert!(why(format!("tap:{tap}")).contains("another process has this tap"));
}

/// How often the port has told of a change from now on.
fn told(port: &link::Port) -> impl Fn() -> u32 + use<> {
    let told = Arc::new(AtomicU32::new(0));
    let count = told.clone();
    port.monitor.on_change(Box::new(move || {
        count.fetch_add(1, Ordering::Relaxed);
    }));
    move || told.load(Ordering::Relaxed)
}

#[test]
fn an_interface_goes_down_and_away_and_the_port_comes_back_with_it() {
    each(|kind| {
        let net = Net::new().unwrap();
        let (a, b) = net.veth().unwrap();
        let mut port = open_device(&format!("{kind}:{a}"));
        let down = |cause: String| PortState::Down { cause };
        let state = |want: PortState| move |port: &mut link::Port| port.monitor.state() == want;

        let told = told(&port);
        ip(&format!("link set {b} down")).unwrap();
        until(&mut port, "no carrier", state(down(format!("interface {a} has no carrier"))));
        let one = frame(&[0x88, 0xb5], 60);
        assert_eq!(port.tx[0].send(0, &[OutFrame::private(&one)]), Taken::default());
        assert!(!port.tx[0].is_up());

        ip(&format!("link set {a} down")).unwrap();
        until(&mut port, "down", state(down(format!("interface {a} is down"))));
        ip(&format!("link set {a} up")).unwrap();
        ip(&format!("link set {b} up")).unwrap();
        until(&mut port, "up", state(PortState::Up));

        assert!(told() >= 3, "no carrier, down, up");
        ip(&format!("link del {a}")).unwrap();
        until(&mut port, "gone", state(down(format!("interface {a} is gone"))));
        drain(&mut port);
        assert!(port.rx[0].arm(), "a port that is down lets its worker sleep");
        let (_, b) = net.veth().unwrap();
        until(&mut port, "up again", state(PortState::Up));
        assert!(told() >= 5, "gone, up");
        let mut peer = open_device(&format!("{kind}:{b}"));
        assert_eq!(send(&mut port, &[OutFrame::private(&one)]).frames, 1);
        assert_eq!(receive(&mut peer, 1), std::slice::from_ref(&one));
        assert_eq!(send(&mut peer, &[OutFrame::private(&one)]).frames, 1);
        assert_eq!(receive(&mut port, 1), [one]);
    });
}

/// A program in the background that ends with its test.
struct Background(Child);

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The address of a test's host over IPv4 or IPv6, with its prefix length.
fn address(version: u8, host: u8) -> String {
    if version == 4 { format!("198.18.77.{host}/24") } else { format!("fd77::{host}/64") }
}

/// Two hosts, made of these interfaces, talk: TCP both ways and UDP, over IPv4 and IPv6; and neither sees a
/// wrong checksum.
fn hosts_talk([x, y]: [&str; 2], [x_end, y_end]: [&str; 2]) {
    for (ns, end, host) in [(x, x_end, 1), (y, y_end, 2)] {
        ip(&format!("-n {ns} addr add {} dev {end} nodad", address(6, host))).expect("an address");
    }
    let server =
        within(y, "iperf3 -s").stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("ip netns exec");
    let _server = Background(server);
    for version in [4, 6] {
        let to = address(version, 2);
        let to = to.split('/').next().unwrap_or_default();
        let ping = within(x, &format!("ping -c 2 -i 0.2 -W 5 {to}")).output().expect("ip netns exec");
        assert!(ping.status.success(), "{}", text(&ping));
        for kind in ["", " -R", " -u -b 50M -l 1400"] {
            let end = Instant::now() + PATIENCE;
            loop {
                // The server needs a moment to listen, and one after each client.
                let client =
                    within(x, &format!("timeout 20 iperf3 -c {to} -t 1 --connect-timeout 3000{kind}"))
                        .output()
                        .expect("ip netns exec");
                let said = text(&client);
                if client.status.success() {
                    println!("{said}");
                    break;
                }
                let not_yet = said.contains("Connection refused") || said.contains("server is busy");
                assert!(not_yet && Instant::now() < end, "{said}");
            }
        }
    }
    for ns in [x, y] {
        assert_eq!(wrong_checksums(ns), [0; 3], "TCP, UDP, UDP over IPv6");
    }
}

/// What a host counted as received with a wrong checksum: TCP, UDP, UDP over IPv6.
fn wrong_checksums(ns: &str) -> [u64; 3] {
    let said = text(&within(ns, "cat /proc/net/snmp /proc/net/snmp6").output().expect("ip netns exec"));
    let column = |kind: &str| {
        let mut lines = said.lines().filter(|line| line.starts_with(kind)).map(str::split_whitespace);
        let (mut names, mut values) = (lines.next().expect("names"), lines.next().expect("values"));
        let at = names.position(|name| name == "InCsumErrors").expect("this column");
        values.nth(at).expect("a value").parse().expect("a number")
    };
    let six = said.lines().find_map(|line| line.strip_prefix("Udp6InCsumErrors")).expect("this line");
    [column("Tcp:"), column("Udp:"), six.trim().parse().expect("a number")]
}

#[test]
fn hosts_behind_veths_talk_with_their_offloads_on() {
    if missing_program("iperf3") {
        return;
    }
    each(|kind| {
        let (one, two) = (Net::new().unwrap(), Net::new().unwrap());
        let ((a, b), (c, d)) = (one.veth().unwrap(), two.veth().unwrap());
        let x = one.host("x", &b, &address(4, 1)).unwrap();
        let y = two.host("y", &d, &address(4, 2)).unwrap();
        let cable = Cable::between(open_device(&format!("{kind}:{a}")), open_device(&format!("{kind}:{c}")));
        hosts_talk([&x, &y], [&b, &d]);
        assert_eq!(
            cable.longest() > 1514,
            kind == "packet",
            "{kind}: super-frames pass whole: {}",
            cable.longest()
        );
        for port in cable.stop() {
            assert!(counter(&port, "rx_unfinished") > 0, "the hosts did leave checksums and segmentation");
            for loss in ["rx_bad_offload", "rx_too_long", "tx_too_long"] {
                let counters = port.monitor.counters();
                assert!(counters.iter().all(|c| c.name != loss || c.value == 0), "{counters:?}");
            }
        }
    });
}

#[test]
fn hosts_behind_veths_that_are_links_get_what_a_wire_carries() {
    if missing() || missing_program("iperf3") {
        return;
    }
    let (one, two) = (Net::new().unwrap(), Net::new().unwrap());
    let ((a, b), (c, d)) = (one.veth().unwrap(), two.veth().unwrap());
    let x = one.host("x", &b, &address(4, 1)).unwrap();
    let y = two.host("y", &d, &address(4, 2)).unwrap();
    let cable = Cable::between(open_link(&format!("packet:{a}")), open_link(&format!("packet:{c}")));
    hosts_talk([&x, &y], [&b, &d]);
    assert_eq!(cable.longest(), 1514, "super-frames were cut");
}

/// What a host does in [`datagrams_between_taps_are_cut_by_who_gets_them`], over IPv6 or IPv4, with so many octets in datagrams
/// of that size: it waits for them, says their lengths, and whether they were all the same; or it leaves one super-frame to its kernel.
const DATAGRAMS: &str = "
import socket, sys
role, family, address, octets, size = sys.argv[1:]
octets, size = int(octets), int(size)
data = bytes(at * 7 % 251 for at in range(octets))
s = socket.socket(socket.AF_INET6 if family == '6' else socket.AF_INET, socket.SOCK_DGRAM)
if role == 'send':
    s.setsockopt(socket.IPPROTO_UDP, 103, size)  # UDP_SEGMENT
    s.sendto(data, (address, 5000))
else:
    s.settimeout(20)
    s.bind((address, 5000))
    print('ready', flush=True)
    got = []
    while sum(map(len, got)) < octets:
        got.append(s.recv(65536))
    print(*map(len, got), b''.join(got) == data)
";

/// This kernel's taps know super-frames of UDP.
fn knows_udp() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("a kernel");
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|number| number.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (6, 2)
}

#[test]
fn a_kernel_that_knows_datagrams_refuses_none_behind_tags() {
    if missing() {
        return;
    }
    let net = Net::new().unwrap();
    let name = net.name("a");
    let mut tap = open_device(&format!("tap:{name}"));
    let mut seen = open_link(&format!("packet:{name}"));
    drain(&mut seen);
    for tags in [0, 1, 2] {
        let start = 34 + 4 * tags as u8;
        let undone = Undone::from_bytes([1, 5, start + 8, 0, 0xe8, 3, start, 0, 6, 0, 0, 0]).unwrap();
        let ip = [0x08, 0x00, 0x45, 0, 11, 212, 0, 1, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        let udp = [0x30, 0x39, 0x13, 0x88, 0x0b, 0xc0, 0, 0];
        let front = [&[0x81, 0, 0, 5].repeat(tags)[..], &ip, &udp].concat();
        let whole = frame(&front, 12 + front.len() + 3000);
        assert_eq!(tap.tx[0].takes(&undone, whole.len()), knows_udp());
        if knows_udp() {
            let taken = send(&mut tap, &[OutFrame { undone: Some(undone), ..OutFrame::private(&whole) }]);
            assert_eq!(taken, Taken { frames: 1, refused: 0 });
            until(&mut seen, "it", |port| receive(port, 1) == [&whole[..]]);
        }
    }
}

#[test]
fn datagrams_between_taps_are_cut_by_who_gets_them() {
    if missing() || missing_program("python3") {
        return;
    }
    for (whole, open) in [(knows_udp(), open_device as fn(&str) -> link::Port), (false, open_link)] {
        let net = Net::new().unwrap();
        let (s, t) = (net.name("s"), net.name("t"));
        let (a, b) = (open(&format!("tap:{s}")), open(&format!("tap:{t}")));
        let x = net.host("x", &s, &address(4, 1)).unwrap();
        let y = net.host("y", &t, &address(4, 2)).unwrap();
        for (ns, end, host) in [(&x, &s, 1), (&y, &t, 2)] {
            ip(&format!("-n {ns} addr add {} dev {end} nodad", address(6, host))).unwrap();
        }
        let cable = Cable::between(a, b);
        for family in [4, 6] {
            let to = address(family, 2);
            let to = to.split('/').next().unwrap_or_default();
            let run = |host: &str, role: &str| {
                let mut command = within(host, "timeout 30 python3 -c");
                command.arg(DATAGRAMS).args([role, &family.to_string(), to, "14077", "1400"]);
                command
            };
            let mut receiver = run(&y, "receive").stdout(Stdio::piped()).spawn().unwrap();
            let mut said = BufReader::new(receiver.stdout.take().unwrap());
            let _receiver = Background(receiver);
            let mut line = String::new();
            said.read_line(&mut line).unwrap();
            assert_eq!(line, "ready\n");
            let sent = run(&x, "send").output().unwrap();
            assert!(sent.status.success(), "{}", text(&sent));
            line.clear();
            said.read_line(&mut line).unwrap();
            assert_eq!(line, "1400 ".repeat(10) + "77 True\n", "IPv{family}");
        }
        for ns in [&x, &y] {
            assert_eq!(wrong_checksums(ns), [0; 3], "TCP, UDP, UDP over IPv6");
        }
        let longest = cable.longest();
        assert_eq!(longest > 14_077, whole, "{longest}");
        for port in cable.stop() {
            assert_eq!(counter(&port, "tx_refused"), 0);
        }
    }
}

#[test]
fn hosts_behind_taps_talk() {
    if missing() || missing_program("iperf3") {
        return;
    }
    for (whole, open) in [(true, open_device as fn(&str) -> link::Port), (false, open_link)] {
        let net = Net::new().unwrap();
        let (s, t) = (net.name("s"), net.name("t"));
        let (a, b) = (open(&format!("tap:{s}")), open(&format!("tap:{t}")));
        let x = net.host("x", &s, &address(4, 1)).unwrap();
        let y = net.host("y", &t, &address(4, 2)).unwrap();
        let cable = Cable::between(a, b);
        hosts_talk([&x, &y], [&s, &t]);
        assert_eq!(cable.longest() > 1514, whole, "{}", cable.longest());
        for port in cable.stop() {
            assert_eq!(counter(&port, "rx_unfinished") > 0, whole);
            for loss in ["rx_too_long", "tx_refused"] {
                assert_eq!(counter(&port, loss), 0, "{loss}");
            }
        }
    }
}

#[test]
fn a_tap_has_what_it_needs_and_survives_its_deletion() {
    if missing() {
        return;
    }
    let net = Net::new().unwrap();
    let tap = net.name("t");
    let mut port = open_with_mtu(&format!("tap:{tap}"), 1600).unwrap();
    assert_eq!(port.monitor.state(), PortState::Up);
    assert_eq!(std::fs::read_to_string(format!("/sys/class/net/{tap}/mtu")).unwrap().trim(), "1600");
    // A host interface on the same machine: what we send, a packet socket on the tap receives, and back.
    let mut host = open_device(&format!("packet:{tap}"));
    let tagged = frame(&[0x81, 0x00, 0x20, 0x0a, 0x88, 0xb5], 64);
    let there = |frames: Vec<Vec<u8>>| assert!(frames.contains(&tagged));
    assert_eq!(port.tx[0].send(0, &[OutFrame::private(&tagged)]).frames, 1);
    there(receive(&mut host, 1));
    ip(&format!("link set {tap} down")).unwrap();
    assert_eq!(port.tx[0].send(0, &[OutFrame::private(&tagged)]), Taken { frames: 1, refused: 1 });
    assert_eq!(counter(&port, "tx_interface_down"), 1);

    let told = told(&port);
    ip(&format!("link del {tap}")).unwrap();
    let down = PortState::Down { cause: format!("interface {tap} was deleted") };
    until(&mut port, "deleted", |port| {
        drain(port);
        port.monitor.state() == down
    });
    assert_eq!(port.tx[0].send(0, &[OutFrame::private(&tagged)]), Taken::default());
    assert!(port.rx[0].arm(), "a port that is down lets its worker sleep");
    ip(&format!("tuntap add {tap} mode tap")).unwrap();
    until(&mut port, "made again", |port| port.monitor.state() == PortState::Up);
    assert_eq!(told(), 2);
    until(&mut host, "its host side too", |host| host.monitor.state() == PortState::Up);
    assert_eq!(port.tx[0].send(0, &[OutFrame::private(&tagged)]).frames, 1);
    ip(&format!("link del {tap}")).unwrap();
}
