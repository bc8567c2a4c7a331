use super::*;

fn parse(text: &str) -> Result<NetSpec, NetSpecError> {
    text.parse()
}

#[test]
fn every_kind_is_read() {
    let tap = parse("net=tap:tap0").unwrap();
    assert_eq!(tap.name.as_deref(), Some("net"));
    assert_eq!(tap.kind, NetKind::Tap { interface: "tap0".to_owned() });
    assert_eq!(parse("lan-2=user").unwrap().kind, NetKind::User);
    assert_eq!(parse("net=fd:17").unwrap().kind, NetKind::Fd { fd: 17 });
    let unnamed = parse("tap:br.100,ip=10.0.0.2/24").unwrap();
    assert_eq!((unnamed.name, unnamed.kind), (None, NetKind::Tap { interface: "br.100".to_owned() }));
    assert_eq!(parse("user").unwrap().name, None);
}

#[test]
fn every_option_reaches_the_guest() {
    let spec = parse(
        "net=tap:tap0,ip=10.1.2.3/24,gw=10.1.2.1,dns=9.9.9.9,ip6=fd00::2/64,gw6=fe80::1,dns6=2620:fe::fe,\
         mac=02:00:00:12:34:56,mtu=1400",
    )
    .unwrap();
    let info = spec.nic_info("web", "net", 1500, Offloads::CHECKSUM);
    assert_eq!(info.mac, [2, 0, 0, 0x12, 0x34, 0x56]);
    assert_eq!((info.mtu, info.offloads()), (1400, Offloads::CHECKSUM));
    assert_eq!((info.ipv4.address, info.ipv4.prefix, info.ipv4.flags), ([10, 1, 2, 3], 24, IP_STATIC));
    assert_eq!((info.ipv4.gateway, info.ipv4.dns), ([10, 1, 2, 1], [9, 9, 9, 9]));
    assert_eq!((info.ipv6.address[..2].to_vec(), info.ipv6.address[15]), (vec![0xfd, 0], 2));
    assert_eq!((info.ipv6.prefix, info.ipv6.flags), (64, IP_STATIC));
    assert_eq!((info.ipv6.gateway[0], info.ipv6.dns[15]), (0xfe, 0xfe));
}

#[test]
fn without_addresses_the_guest_configures_itself() {
    let info = parse("net=tap:tap0").unwrap().nic_info("web", "net", 9000, Offloads::empty());
    assert_eq!((info.ipv4, info.ipv6), (Ipv4Config::default(), Ipv6Config::default()));
    assert_eq!(info.mac, default_mac("web", "net").0);
    assert_eq!(info.mtu, 9000);
}

#[test]
fn the_mtu_never_exceeds_what_the_host_device_takes() {
    let spec = parse("tap:tap0,mtu=9000").unwrap();
    assert_eq!(spec.nic_info("web", "net", 1500, Offloads::empty()).mtu, 1500);
    assert_eq!(spec.nic_info("web", "net", 65_535, Offloads::empty()).mtu, 9000);
    assert_eq!(parse("tap:t").unwrap().nic_info("web", "net", 65_535, Offloads::empty()).mtu, 65_521);
    assert_eq!(parse("fd:3,mtu=9000").unwrap().nic_info("web", "net", 1500, Offloads::empty()).mtu, 9000);
}

#[test]
fn nonsense_is_refused_by_name() {
    let error = |text: &str| parse(text).unwrap_err();
    assert_eq!(error(""), NetSpecError::Kind(String::new()));
    assert_eq!(error("net"), NetSpecError::Kind("net".to_owned()));
    assert_eq!(error("net=tap"), NetSpecError::Kind("tap".to_owned()));
    assert_eq!(error("net=vde:x"), NetSpecError::Kind("vde:x".to_owned()));
    assert_eq!(error("Net=user"), NetSpecError::Name("Net".to_owned()));
    assert_eq!(error("=user"), NetSpecError::Name(String::new()));
    for interface in ["", "tap%d", "a/b", "a b", ".", "..", "sixteen-charact0"] {
        assert_eq!(error(&format!("net=tap:{interface}")), NetSpecError::Interface(interface.to_owned()));
    }
    for fd in ["", "0", "2", "-1", "+7", "x", "99999999999"] {
        assert_eq!(error(&format!("net=fd:{fd}")), NetSpecError::Fd(fd.to_owned()));
    }
    assert_eq!(error("user,"), NetSpecError::UnknownOption(String::new()));
    assert_eq!(error("tap:t,ipv4=1"), NetSpecError::UnknownOption("ipv4=1".to_owned()));
    assert_eq!(error("tap:t,ip=10.0.0.2/24,ip=10.0.0.3/24"), NetSpecError::Repeated("ip"));
}

#[test]
fn values_out_of_range_are_refused() {
    for option in [
        "ip=10.0.0.2",
        "ip=10.0.0.2/33",
        "ip=10.0.0.2/",
        "ip=10.0.0.2/+8",
        "ip=224.0.0.1/24",
        "ip=127.0.0.1/8",
        "ip=0.0.0.0/0",
        "ip=fd00::1/64",
        "gw=255.255.255.255",
        "gw=x",
        "dns=",
        "ip6=fd00::2",
        "ip6=fd00::2/129",
        "ip6=::/64",
        "gw6=ff02::1",
        "dns6=10.0.0.1",
        "mtu=1279",
        "mtu=65522",
        "mtu=-1",
        "mtu=99999999999",
        "mtu=",
    ] {
        let name = option.split('=').next().unwrap();
        match parse(&format!("tap:t,{option}")) {
            Err(NetSpecError::Value { option: found, .. }) if found == name => {}
            other => panic!("{option}: {other:?}"),
        }
    }
    assert!(matches!(parse("tap:t,mac=01:00:00:00:00:00"), Err(NetSpecError::Mac(_))));
}

#[test]
fn options_that_would_be_ignored_are_refused() {
    let error = |text: &str| parse(text).unwrap_err();
    assert_eq!(error("tap:t,gw=10.0.0.1"), NetSpecError::Alone { option: "gw", needs: "ip" });
    assert_eq!(
        error("tap:t,ip=10.0.0.2/8,dns6=fd00::1"),
        NetSpecError::Alone { option: "dns6", needs: "ip6" }
    );
    assert_eq!(error("user,ip=10.0.0.2/24"), NetSpecError::NotWithUser("ip"));
    assert_eq!(error("user,mtu=1400"), NetSpecError::NotWithUser("mtu"));
    assert_eq!(error("user,offload=on"), NetSpecError::NotWithUser("offload"));
    assert_eq!(error("fd:3,offload=on"), NetSpecError::OnlyWithTap("offload"));
    assert!(matches!(error("tap:tap0,offload=yes"), NetSpecError::Value { option: "offload", .. }));
    assert_eq!(error("user,mac=02:00:00:00:00:01"), NetSpecError::NotWithUser("mac"));
}
