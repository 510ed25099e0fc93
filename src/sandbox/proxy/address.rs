//! Which addresses the proxy may dial.
//!
//! After the registries of special addresses:
//! <https://www.iana.org/assignments/iana-ipv4-special-registry>, <https://www.iana.org/assignments/iana-ipv6-special-registry>.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether it is an address of the public internet: not the machine, its networks, its cloud's metadata or nobody at all.
pub(super) fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => match inner_v4(ip) {
            Some(inner) => is_public_v4(inner),
            None => is_public_v6(ip),
        },
    }
}

/// Whether a config may name it: loopback and private networks, but never link-local addresses, where clouds hand out credentials.
pub(super) fn may_be_named(ip: IpAddr) -> bool {
    let inner = match ip {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(ip) => inner_v4(ip),
    };
    match (inner, ip) {
        (Some(v4), _) => {
            !v4.is_link_local() && !v4.is_unspecified() && !v4.is_multicast() && !v4.is_broadcast()
        }
        (None, IpAddr::V6(v6)) => {
            // fd00:ec2::254 is where one cloud's metadata answers.
            let is_metadata = v6.segments()[..2] == [0xfd00, 0x0ec2];
            !v6.is_unicast_link_local() && !v6.is_unspecified() && !v6.is_multicast() && !is_metadata
        }
        (None, IpAddr::V4(_)) => false,
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let is_special = match (a, b, c) {
        // This network, shared address space, IETF assignments, 6to4 relays, benchmarks, multicast and reserved.
        (0, ..) | (100, 64..=127, _) | (192, 0, 0) | (192, 88, 99) | (198, 18..=19, _) | (224.., ..) => true,
        _ => ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_documentation(),
    };
    !is_special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    // Only 2000::/3 is given out, and of it not the documentation's, nor tunnels and benchmarks within 2001::/23.
    let [first, second, ..] = ip.segments();
    (0x2000..0x4000).contains(&first)
        && !(first == 0x2001 && second < 0x0200)
        && !(first == 0x2001 && second == 0x0db8)
        && first != 0x3fff
}

/// The IPv4 address inside one that only stands for it: mapped, compatible, NAT64, 6to4.
fn inner_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = ip.segments();
    let of = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match segments {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] if !ip.is_loopback() && !ip.is_unspecified() => {
            Some(of(high, low))
        }
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => Some(of(high, low)),
        [0x2002, high, low, ..] => Some(of(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_dialled() {
        let check = |text: &str, public, named| {
            let ip: IpAddr = text.parse().unwrap();
            assert_eq!((is_public(ip), is_public(ip) || may_be_named(ip)), (public, named), "{text}");
        };
        for public in ["151.101.0.223", "1.1.1.1", "192.0.1.1", "2606:4700::1111", "2a04:4e42::223"] {
            check(public, true, true);
        }
        for named in ["127.0.0.1", "10.1.2.3", "172.17.0.1", "192.168.1.1", "100.64.0.1", "::1", "fd12::1"] {
            check(named, false, true);
        }
        for never in [
            "169.254.169.254",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "fe80::1",
            "::",
            "ff02::1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "fd00:ec2::254",
        ] {
            check(never, false, false);
        }
        check("::ffff:10.0.0.1", false, true);
        check("2001:db8::1", false, true);
    }
}
