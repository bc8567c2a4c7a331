//! The options of `--net`, one by one and together.

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use ipnet::{Ipv4Net, Ipv6Net};

use super::{MTU_BYTES, NetKind, NetSpec, NetSpecError};

const V4_NET: &str = "a unicast IPv4 address with its prefix length, such as 10.0.0.2/24";
const V4: &str = "a unicast IPv4 address, such as 10.0.0.1";
const V6_NET: &str = "a unicast IPv6 address with its prefix length, such as fd00::2/64";
const V6: &str = "a unicast IPv6 address, such as fd00::1";
const MTU: &str = "1280 to 65521";

/// Puts one `OPTION=VALUE` into the spec.
pub(super) fn apply(spec: &mut NetSpec, part: &str) -> Result<(), NetSpecError> {
    let unknown = || NetSpecError::UnknownOption(part.to_owned());
    let (option, value) = part.split_once('=').ok_or_else(unknown)?;
    match option {
        "ip" => set(&mut spec.ip, "ip", value, V4_NET, parsed(value, |net: &Ipv4Net| is_host(net.addr()))),
        "gw" => set(&mut spec.gateway, "gw", value, V4, host(value)),
        "dns" => set(&mut spec.dns, "dns", value, V4, host(value)),
        "ip6" => set(&mut spec.ip6, "ip6", value, V6_NET, parsed(value, |net: &Ipv6Net| is_host(net.addr()))),
        "gw6" => set(&mut spec.gateway6, "gw6", value, V6, host(value)),
        "dns6" => set(&mut spec.dns6, "dns6", value, V6, host(value)),
        "mtu" => {
            // `u16::from_str` would also take a sign.
            let is_decimal = value.bytes().all(|digit| digit.is_ascii_digit());
            let mtu = parsed(value, |mtu| is_decimal && MTU_BYTES.contains(mtu));
            set(&mut spec.mtu, "mtu", value, MTU, mtu)
        }
        "offload" => {
            let offload = match value {
                "on" => Some(true),
                "off" => Some(false),
                _ => None,
            };
            set(&mut spec.offload, "offload", value, "on or off", offload)
        }
        "mac" => {
            let mac = value.parse()?;
            set(&mut spec.mac, "mac", value, "", Some(mac))
        }
        "pinned" => {
            let mut slot = spec.pinned.then_some(());
            set(&mut slot, "pinned", value, "yes", (value == "yes").then_some(()))?;
            spec.pinned = true;
            Ok(())
        }
        _ => Err(unknown()),
    }
}

fn set<T>(
    slot: &mut Option<T>,
    option: &'static str,
    value: &str,
    wanted: &'static str,
    parsed: Option<T>,
) -> Result<(), NetSpecError> {
    let parsed = parsed.ok_or_else(|| NetSpecError::Value { option, value: value.to_owned(), wanted })?;
    if slot.replace(parsed).is_some() { Err(NetSpecError::Repeated(option)) } else { Ok(()) }
}

/// Checks what only makes sense together.
pub(super) fn check_together(spec: &NetSpec) -> Result<(), NetSpecError> {
    let given = [
        ("ip", spec.ip.is_some()),
        ("gw", spec.gateway.is_some()),
        ("dns", spec.dns.is_some()),
        ("ip6", spec.ip6.is_some()),
        ("gw6", spec.gateway6.is_some()),
        ("dns6", spec.dns6.is_some()),
        ("mtu", spec.mtu.is_some()),
        ("mac", spec.mac.is_some()),
        ("offload", spec.offload.is_some()),
        ("pinned", spec.pinned),
    ];
    if spec.kind == NetKind::User
        && let Some((option, _)) = given.iter().find(|(_, given)| *given)
    {
        return Err(NetSpecError::NotWithUser(option));
    }
    if matches!(spec.kind, NetKind::Fd { .. }) && spec.offload.is_some() {
        return Err(NetSpecError::OnlyWithTap("offload"));
    }
    for (needs, dependent) in [(0, [1, 2]), (3, [4, 5])] {
        for option in dependent {
            if given[option].1 && !given[needs].1 {
                return Err(NetSpecError::Alone { option: given[option].0, needs: given[needs].0 });
            }
        }
    }
    Ok(())
}

fn parsed<T: FromStr>(value: &str, accept: impl FnOnce(&T) -> bool) -> Option<T> {
    value.parse().ok().filter(accept)
}

fn host<A: FromStr + Copy + Into<IpAddr>>(value: &str) -> Option<A> {
    parsed(value, |&address| is_host(address))
}

/// Whether a host on a link can have the address.
fn is_host(address: impl Into<IpAddr>) -> bool {
    let address = address.into();
    let is_broadcast = address == IpAddr::V4(Ipv4Addr::BROADCAST);
    !address.is_unspecified() && !address.is_multicast() && !address.is_loopback() && !is_broadcast
}
