use super::*;

#[test]
fn what_cannot_be_is_refused_where_it_stands() {
    let config = configure(&initial(), LINES).unwrap();
    let cases = [
        ("interface vethernet 3\n bind interface ethernet 1/2 channel 7", 2, 26, "not in vntag mode"),
        ("interface vethernet 3\n bind interface ethernet 1/9 channel 7", 2, 26, "no port ethernet 1/9"),
        (
            "interface vethernet 3\n bind interface ethernet 1/1 channel 5",
            2,
            38,
            "bound to vethernet 1 already",
        ),
        ("interface vethernet 3\n bind interface ethernet 1/1 channel 4095", 2, 38, "the channel is the VIF"),
        ("interface vethernet 1\n no bind interface ethernet 1/1 channel 6", 2, 41, "not bound there"),
        ("interface ethernet 1/1\n vif-list 3 members 5,6", 2, 21, "vif-list 1 of ethernet 1/1"),
        ("interface ethernet 1/2\n vif-list 3 members 5", 2, 21, "not in vntag mode"),
        ("interface ethernet 1/1\n no vif-list 9", 2, 14, "no vif-list 9"),
        ("interface ethernet 1/1\n switchport mode trunk", 2, 2, "vif-list 1"),
        (
            "interface ethernet 1/1\n no vif-list 1\n no vif-list 2\n switchport mode trunk",
            4,
            2,
            "vethernet 1 is bound",
        ),
        ("interface ethernet 2/1", 1, 20, "there are 1/1, 1/2, 1/3"),
        ("interface ethernet 1/4\n vif-list 1 members 5", 2, 21, "negotiates"),
        ("interface ethernet 1/4\n switchport mode trunk", 2, 2, "vethernet 8 is bound"),
        ("interface vethernet 3\n bind interface ethernet 1/4 channel 0", 2, 38, "range"),
        ("interface vethernet 3\n bind interface ethernet 1/4 channel 65535", 2, 38, "vethernet 8 already"),
        ("interface vethernet 3\n bind mac 5254.0000.0001", 2, 11, "vethernet 7 already"),
        ("interface vethernet 3-4\n bind mac 5254.0000.0002", 2, 11, "vethernet 3 already"),
        ("interface vethernet 3\n bind mac 0100.5e00.0001", 2, 11, "no address of a vNIC"),
        ("interface vethernet 3\n bind mac 52:54", 2, 11, "MAC"),
        ("interface vethernet 7\n no bind mac 5254.0000.0002", 2, 14, "not bound there"),
        ("interface vethernet 7\n no inherit port-profile other", 2, 26, "does not inherit"),
        ("interface vethernet 1-1048575", 1, 21, "cannot be more"),
        ("no interface vethernet 1-3", 1, 24, "no interface vethernet 3"),
        ("interface vethernet 1\n inherit port-profile a|b", 2, 23, "1 to 80"),
        ("interface vethernet 1\n uplink-fail-action none", 2, 21, "Invalid"),
        ("port-profile default\nno port-profile default", 2, 17, "built in"),
        ("no port-profile nowhere", 1, 17, "no port-profile nowhere"),
        ("no port-profile webservers", 1, 17, "in use by 1 interface: Veth7."),
        ("port-profile web\n max-ports 0", 2, 12, "range"),
        ("port-profile type ethernet webservers", 1, 28, "webservers is of type vethernet"),
        ("port-profile type physical up", 1, 19, "Invalid"),
        ("carrier-delay 61", 1, 15, "range"),
        ("vethernet hold 0", 1, 16, "range"),
        ("no interface vethernet 9", 1, 24, "no interface vethernet 9"),
        ("interface vethernet 1\n switchport access vlan 4095", 2, 25, "range"),
        ("interface vethernet 1\n switchport mode vntag", 2, 18, "Invalid"),
    ];
    for (text, line, column, part) in cases {
        let Err(error) = configure(&config, text) else { panic!("accepted: {text}") };
        assert_eq!((error.line, error.column), (Some(line), column), "{text}: {error}");
        assert!(error.message.contains(part), "{text}: {error}");
    }
    let long = format!("interface vethernet 1\n description {}", "x".repeat(255));
    let error = configure(&config, &long).unwrap_err();
    assert_eq!((error.line, error.column), (Some(2), 14), "{error}");
    // Any port without lists and vEths may become an NIV link.
    for port in ["1/2", "1/3"] {
        assert!(configure(&config, &format!("interface ethernet {port}\n switchport mode vntag")).is_ok());
    }
}
