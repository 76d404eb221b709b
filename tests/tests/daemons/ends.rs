//! Everything but guests: hosts on taps and veths, links over interfaces, testers and DPDK at the end of a link.

use super::files::{link, list, niv_port, node, port, vethernet, vif_list, vnic};
use super::net::{Net, Tester, missing_rights, on, run_on};
use super::place::{PATIENCE, Place, left_out, missing_program, text, until};
use super::testpmd::Testpmd;
use niv_lab::driver::{Features, Guest};
use niv_lab::world::frames::{BROADCAST, down, down_list, frame, looped, mac, up};
use std::process::{Child, Stdio};

/// A program in the background that ends with its test.
struct Background(Child);

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Hosts on every kind of port, one in each place: a tap and a veth at the adapter, a tap and a veth at the switch.
/// The link's device is that of the switch and that of the adapter; `kind` is how veths are opened.
fn hosts_talk(net: &mut Net, devices: [&str; 2], kind: &str) {
    let (taps, veths) = ([net.tap(), net.tap()], [net.veth(1500), net.veth(1500)]);
    let chassis = node("vis0")
        + &niv_port(1, devices[0])
        + &port(2, "access", &format!("tap:{}", taps[1]))
        + &port(3, "access", &format!("{kind}:{}", veths[1][0]));
    let lines = vethernet(1, 10, 1, 5)
        + &vethernet(2, 10, 1, 6)
        + &vif_list(1, 1, "5,6")
        + "interface ethernet 1/2\n  switchport access vlan 10\ninterface ethernet 1/3\n  switchport access vlan 10\n";
    let adapter = node("adapter0")
        + &link("link0", devices[1])
        + &vnic("tapped", &format!("tap:{}", taps[0]), 5, 10)
        + &vnic("wired", &format!("{kind}:{}", veths[0][0]), 6, 10)
        + &list(1, &[5, 6]);
    let mut place = Place::new(&[("vis0.toml", chassis), ("vis0.cfg", lines), ("adapter0.toml", adapter)]);
    let address = |n: usize| format!("198.18.66.{}", n + 1);
    let wired = [1, 3].map(|n| net.host(&veths[n / 2][1], &address(n)));
    place.start("adapter0");
    place.start("vis0");
    // A tap that is in use can be given to a host; one that a host has is found by nobody else.
    let tapped = [0, 2].map(|n| net.host(&taps[n / 2], &address(n)));
    let hosts = [&tapped[0], &wired[0], &tapped[1], &wired[1]];
    place.link_up("adapter0", "link0", "vis0", "1/1");
    for name in ["tapped", "wired"] {
        place.vnic_up("adapter0", name);
    }
    place.port_up("vis0", "1/2");
    place.port_up("vis0", "1/3");

    // Frames as long as the hosts' MTU allows, so that those on the link are as long as they can be.
    for (n, host) in hosts.iter().enumerate() {
        for other in (0..hosts.len()).filter(|other| *other != n) {
            let ping = run_on(host, &format!("ping -c 2 -i 0.01 -W 5 -s 1472 -M do {}", address(other)));
            assert!(ping.status.success(), "from {n} to {other}: {}", text(&ping));
        }
    }
    // Checksums and segments of hosts on this machine are finished on the way: TCP hairpinned and across.
    let listener = on(hosts[1], "iperf3 -s").stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let _listener = Background(listener.unwrap());
    for from in [0, 2, 3] {
        until("iperf3 transfers", || {
            // The server needs a moment to listen.
            let client = run_on(hosts[from], &format!("timeout 20 iperf3 -c {} -n 2M", address(1)));
            let said = text(&client);
            assert!(client.status.success() || said.contains("refused") || said.contains("busy"), "{said}");
            client.status.success().then_some(())
        });
    }
    place.at_rest();
    // Nobody lost anything but to rings that were full for a moment.
    for name in ["vis0", "adapter0"] {
        let drops = place.drops(name);
        assert!(drops.keys().all(|reason| reason.contains("full")), "{name}: {drops:?}");
    }
    let rows = place.show("adapter0", "show vnic");
    assert!(rows.as_array().unwrap().iter().all(|row| row["rx_frames"].as_u64().unwrap() > 10), "{rows:#}");
}

fn cannot_run(programs: &[&str]) -> bool {
    left_out(missing_program(programs)) || left_out(missing_rights())
}

#[test]
fn hosts_talk_over_a_memif_whose_roles_are_reversed() {
    if !cannot_run(&["ip", "ping", "iperf3"]) {
        let devices = ["memif:link0.sock,role=client", "memif:link0.sock,role=server"];
        hosts_talk(&mut Net::default(), devices, "packet");
    }
}

#[test]
fn hosts_talk_over_a_veth_that_is_the_link() {
    if cannot_run(&["ip", "ping", "iperf3"]) {
        return;
    }
    let mut net = Net::default();
    let [a, b] = net.veth(1510);
    hosts_talk(&mut net, [&format!("packet:{a}"), &format!("packet:{b}")], "packet");
}

#[test]
fn hosts_talk_through_af_xdp_at_every_place() {
    if cannot_run(&["ip", "ping", "iperf3"]) {
        return;
    }
    let mut net = Net::default();
    let [a, b] = net.veth(1510);
    hosts_talk(&mut net, [&format!("xdp:{a}"), &format!("xdp:{b}")], "xdp");
}

#[test]
fn a_link_with_too_small_an_mtu_is_refused_with_the_command_that_mends_it() {
    if cannot_run(&["ip"]) {
        return;
    }
    let mut net = Net::default();
    let [a, b] = net.veth(1509);
    let place = Place::new(&[
        ("vis0.toml", node("vis0") + &niv_port(1, &format!("packet:{a}"))),
        ("vis0.cfg", String::new()),
        ("adapter0.toml", node("adapter0") + &link("link0", &format!("packet:{b}"))),
    ]);
    for (node, interface, section) in [("vis0", &a, "ethernet1/1"), ("adapter0", &b, "link0")] {
        let (code, said) = place.run_daemon(node, &["--config", &format!("{node}.toml")]);
        assert_eq!(code, 1, "{said}");
        for part in [section, &format!("ip link set dev {interface} mtu 1510")] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
}

/// The link as the daemon under test has it, and the interface at which the tester is.
enum Wire {
    /// One end of a veth, opened so.
    Veth(&'static str),
    /// A tap.
    Tap,
    /// A memif whose other end is DPDK's, which carries frames between it and the tester's veth.
    Dpdk,
}

/// Makes the wire: the daemon's device, the tester's interface, and DPDK's interface.
fn lay(wire: &Wire, net: &mut Net) -> (String, String, Option<String>) {
    match wire {
        Wire::Veth(kind) => {
            let [a, b] = net.veth(1510);
            (format!("{kind}:{a}"), b, None)
        }
        Wire::Tap => {
            let tap = net.tap();
            (format!("tap:{tap}"), tap, None)
        }
        Wire::Dpdk => {
            let [a, b] = net.veth(1510);
            ("memif:link0.sock".to_owned(), a, Some(b))
        }
    }
}

#[test]
fn a_tester_is_an_adapter_to_the_switch() {
    if cannot_run(&["ip", "dpdk-testpmd", "stdbuf"]) {
        return;
    }
    for wire in [Wire::Veth("packet"), Wire::Veth("xdp"), Wire::Tap, Wire::Dpdk] {
        let mut net = Net::default();
        let (device, interface, dpdk) = lay(&wire, &mut net);
        let mut place = Place::new(&[
            ("vis0.toml", node("vis0") + &niv_port(1, &device)),
            ("vis0.cfg", vethernet(1, 10, 1, 5) + &vethernet(2, 10, 1, 6) + &vif_list(1, 9, "5-6")),
        ]);
        place.start("vis0");
        let _bridge = dpdk.map(|interface| Testpmd::bridge(&place, "client", &interface));
        place.port_up("vis0", "1/1");
        let mut tester = Tester::on(&interface);
        // Every upward frame has an 802.1Q tag behind its VNTag; what is not in another VLAN is in that of its vEth.
        tester.send(&frame(BROADCAST, mac(1)).vntag(up(5)).vlan(0, 3).ipv4(46));
        let flooded = frame(BROADCAST, mac(1)).vntag(looped(down_list(9), 5)).vlan(10, 3).ipv4(46);
        assert_eq!(tester.receive(), flooded);
        tester.send(&frame(mac(1), mac(2)).vntag(up(6)).vlan(0, 0).ipv4(1500));
        let turned = frame(mac(1), mac(2)).vntag(looped(down(5), 6)).vlan(10, 0).ipv4(1500);
        assert_eq!(tester.receive(), turned);
        // What no switch accepts is counted under its name, and the next frame passes.
        tester.send(&frame(mac(1), mac(2)).vntag(down(5)).vlan(0, 0).ipv4(46));
        tester.send(&frame(mac(1), mac(2)).vntag(up(7)).vlan(0, 0).ipv4(46));
        tester.send(&frame(mac(2), mac(1)).vntag(up(5)).vlan(0, 0).ipv4(46));
        let answer = frame(mac(2), mac(1)).vntag(looped(down(6), 5)).vlan(10, 0).ipv4(46);
        assert_eq!(tester.receive(), answer);
        place.at_rest();
        let drops = place.drops("vis0");
        assert_eq!(drops.values().sum::<u64>(), 2, "{drops:?}");
        assert_eq!(drops.get("rx_bad_dir"), Some(&1), "{drops:?}");
    }
}

#[test]
fn a_tester_is_a_switch_to_the_adapter() {
    if cannot_run(&["ip", "dpdk-testpmd", "stdbuf"]) {
        return;
    }
    for wire in [Wire::Veth("packet"), Wire::Veth("xdp"), Wire::Tap, Wire::Dpdk] {
        let mut net = Net::default();
        let (device, interface, dpdk) = lay(&wire, &mut net);
        let adapter = node("adapter0")
            + &link("link0", &device)
            + &vnic("vnic0", "vhost-user:vnic0.sock", 5, 10)
            + &vnic("vnic1", "vhost-user:vnic1.sock", 6, 10)
            + &list(9, &[5, 6]);
        let mut place = Place::new(&[("adapter0.toml", adapter)]);
        place.start("adapter0");
        let _bridge = dpdk.map(|interface| Testpmd::bridge(&place, "server", &interface));
        until("the link is up", || (place.show("adapter0", "show link")[0]["state"] == "up").then_some(()));
        let mut guests = [0, 1].map(|n| {
            let guest = Guest::connect(&place.path(&format!("vnic{n}.sock")), Features::default()).unwrap();
            place.vnic_up("adapter0", &format!("vnic{n}"));
            guest
        });
        let mut tester = Tester::on(&interface);
        assert!(guests[0].send(&frame(mac(2), mac(1)).ipv4(1500)));
        assert_eq!(tester.receive(), frame(mac(2), mac(1)).vntag(up(5)).vlan(0, 0).ipv4(1500));
        // The tester turns it round; nobody else does.
        tester.send(&frame(mac(2), mac(1)).vntag(looped(down(6), 5)).vlan(10, 0).ipv4(1500));
        assert_eq!(guests[1].recv(PATIENCE), Some(frame(mac(2), mac(1)).ipv4(1500)));
        // By a list, without the one it came from; then without any.
        tester.send(&frame(BROADCAST, mac(1)).vntag(looped(down_list(9), 5)).vlan(10, 0).ipv4(46));
        assert_eq!(guests[1].recv(PATIENCE), Some(frame(BROADCAST, mac(1)).ipv4(46)));
        tester.send(&frame(BROADCAST, mac(3)).vntag(down_list(9)).vlan(10, 0).ipv4(46));
        for guest in &mut guests {
            assert_eq!(guest.recv(PATIENCE), Some(frame(BROADCAST, mac(3)).ipv4(46)));
        }
        tester.send(&frame(mac(2), mac(1)).vntag(up(5)).vlan(10, 0).ipv4(46));
        tester.send(&frame(mac(2), mac(1)).vntag(down(7)).vlan(10, 0).ipv4(46));
        tester.send(&frame(mac(2), mac(1)).vntag(down(6)).vlan(11, 0).ipv4(46));
        until("three frames are dropped", || {
            (place.drops("adapter0").values().sum::<u64>() == 3).then_some(())
        });
        place.at_rest();
        let drops = place.drops("adapter0");
        let expected = ["link_bad_dir", "link_dst_unknown", "link_vlan"].map(|reason| (reason.to_owned(), 1));
        assert_eq!(drops, expected.into_iter().collect());
    }
}
