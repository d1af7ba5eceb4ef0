//! Which addresses may be connected to: the public ones, whatever form they are written in.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Ranges of IPv4 that are not public: network, length of the prefix, what it is.
const V4_REFUSED: &[([u8; 4], u32, &str)] = &[
    ([0, 0, 0, 0], 8, "an unspecified address (0.0.0.0/8)"),
    ([10, 0, 0, 0], 8, "a private address (10.0.0.0/8)"),
    ([100, 64, 0, 0], 10, "an address of a carrier's own network (100.64.0.0/10)"),
    ([127, 0, 0, 0], 8, "a loopback address (127.0.0.0/8)"),
    ([168, 63, 129, 16], 32, "a cloud's metadata address (168.63.129.16)"),
    ([169, 254, 0, 0], 16, "a link-local or metadata address (169.254.0.0/16)"),
    ([172, 16, 0, 0], 12, "a private address (172.16.0.0/12)"),
    ([192, 0, 0, 0], 24, "a reserved or metadata address (192.0.0.0/24)"),
    ([192, 0, 2, 0], 24, "an address for documentation (192.0.2.0/24)"),
    ([192, 88, 99, 0], 24, "a 6to4 relay (192.88.99.0/24)"),
    ([192, 168, 0, 0], 16, "a private address (192.168.0.0/16)"),
    ([198, 18, 0, 0], 15, "an address for benchmarks (198.18.0.0/15)"),
    ([198, 51, 100, 0], 24, "an address for documentation (198.51.100.0/24)"),
    ([203, 0, 113, 0], 24, "an address for documentation (203.0.113.0/24)"),
    ([224, 0, 0, 0], 4, "a multicast address (224.0.0.0/4)"),
    ([240, 0, 0, 0], 4, "a reserved or broadcast address (240.0.0.0/4)"),
];

/// Ranges of IPv6 that are not public though they lie in 2000::/3, and the known ones outside of it, by
/// name: the first that fits is told. What is in none of them and not in 2000::/3 is refused as well.
const V6_REFUSED: &[([u16; 8], u32, &str)] = &[
    ([0, 0, 0, 0, 0, 0, 0, 0], 128, "the unspecified address (::)"),
    ([0, 0, 0, 0, 0, 0, 0, 1], 128, "the loopback address (::1)"),
    ([0, 0, 0, 0, 0, 0, 0, 0], 96, "an IPv4-compatible address (::/96)"),
    ([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, "an address of a local NAT64 (64:ff9b:1::/48)"),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, "a unique-local or metadata address (fc00::/7)"),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, "a link-local address (fe80::/10)"),
    ([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, "a site-local address (fec0::/10)"),
    ([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, "a multicast address (ff00::/8)"),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, "a Teredo or reserved address (2001::/23)"),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, "an address for documentation (2001:db8::/32)"),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, "an address for documentation (3fff::/20)"),
];
/// Public addresses of IPv6 lie here.
const V6_GLOBAL: ([u16; 8], u32) = ([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// Whether `address` is public.
///
/// # Errors
/// What it is instead, with its range: "a private address (10.0.0.0/8)".
pub(crate) fn judge(address: IpAddr) -> Result<(), &'static str> {
    match address {
        IpAddr::V4(v4) => judge_v4(v4),
        IpAddr::V6(v6) => match written_for(v6) {
            Some(v4) => judge_v4(v4),
            None => {
                judge_v6(v6)?;
                carried(v6).into_iter().flatten().try_for_each(judge_v4)
            }
        },
    }
}

fn judge_v4(address: Ipv4Addr) -> Result<(), &'static str> {
    let bits = u32::from(address);
    let within = |network: [u8; 4], prefix: u32| (bits ^ u32::from_be_bytes(network)) >> (32 - prefix) == 0;
    match V4_REFUSED.iter().find(|(network, prefix, _)| within(*network, *prefix)) {
        Some((_, _, kind)) => Err(kind),
        None => Ok(()),
    }
}

fn judge_v6(address: Ipv6Addr) -> Result<(), &'static str> {
    let bits = u128::from(address);
    let within = |network: [u16; 8], prefix: u32| (bits ^ u128::from(Ipv6Addr::from(network))) >> (128 - prefix) == 0;
    match V6_REFUSED.iter().find(|(network, prefix, _)| within(*network, *prefix)) {
        Some((_, _, kind)) => Err(kind),
        None if within(V6_GLOBAL.0, V6_GLOBAL.1) => Ok(()),
        None => Err("a reserved address (outside of 2000::/3)"),
    }
}

/// The IPv4 address that `address` is nothing but another form of: mapped, NAT64.
fn written_for(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(join(high, low)),
        _ => None,
    }
}

/// The IPv4 addresses that packets to `address` may be sent on to, besides being packets of IPv6: of 6to4 in
/// its prefix, of ISATAP at its end. (Compatible, Teredo and local NAT64 forms are refused whatever they
/// carry.)
fn carried(address: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    let segments = address.segments();
    let of_6to4 = match segments {
        [0x2002, high, low, ..] => Some(join(high, low)),
        _ => None,
    };
    let of_isatap = match segments {
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => Some(join(high, low)),
        _ => None,
    };
    [of_6to4, of_isatap]
}

fn join(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn verdict(text: &str) -> Result<(), &'static str> {
        judge(text.parse().expect("an address"))
    }

    #[test]
    fn what_is_not_public_is_refused_in_every_form() {
        for (v4, word) in [
            ("0.0.0.0", "unspecified"),
            ("0.1.2.3", "unspecified"),
            ("10.255.0.1", "private"),
            ("100.100.100.200", "carrier"),
            ("127.0.0.1", "loopback"),
            ("127.255.255.254", "loopback"),
            ("168.63.129.16", "metadata"),
            ("169.254.169.254", "metadata"),
            ("169.254.170.2", "metadata"),
            ("172.16.0.1", "private"),
            ("172.31.255.255", "private"),
            ("192.0.0.192", "metadata"),
            ("192.168.1.1", "private"),
            ("198.19.0.1", "benchmarks"),
            ("203.0.113.9", "documentation"),
            ("224.0.0.1", "multicast"),
            ("255.255.255.255", "broadcast"),
        ] {
            let refused = verdict(v4).expect_err(v4);
            assert!(refused.contains(word), "{v4}: {refused}");
            let [a, b, c, d] = v4.parse::<Ipv4Addr>().expect("v4").octets();
            let hex = format!("{a:02x}{b:02x}:{c:02x}{d:02x}");
            for form in [
                format!("::ffff:{v4}"),
                format!("64:ff9b::{v4}"),
                format!("2002:{hex}::1"),
                format!("2a00:1450::5efe:{v4}"),
                format!("2a00:1450::200:5efe:{v4}"),
            ] {
                assert_eq!(verdict(&form), Err(refused), "{form} is {v4}");
            }
            for form in [format!("::{v4}"), format!("64:ff9b:1::{v4}"), format!("::ffff:0:{v4}")] {
                assert!(verdict(&form).is_err(), "{form} is {v4}");
            }
        }
        for v6 in ["::", "::1", "fe80::1", "febf::1", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "100::1"] {
            verdict(v6).expect_err(v6);
        }
        for v6 in ["2001::1", "2001:db8::1", "3fff:123::1", "4000::1", "5f00::1", "::2:3:4"] {
            verdict(v6).expect_err(v6);
        }
    }

    #[test]
    fn a_public_address_of_ipv4_opens_no_prefix_that_is_refused() {
        for (prefix, word) in [
            ("2001:db8:", "documentation"),
            ("3fff:", "documentation"),
            ("3fff:fff:1:2", "documentation"),
            ("2001:", "Teredo"),
            ("2001:0:4136:e378", "Teredo"),
            ("fe80:", "link-local"),
            ("fd00:1:2:3", "unique-local"),
            ("64:ff9b:1:", "NAT64"),
            ("2002:a00:1:", "private"),
        ] {
            for id in ["0:5efe", "200:5efe"] {
                let form = format!("{prefix}:{id}:8.8.8.8").replace("::0:5efe", "::5efe");
                let refused = verdict(&form).expect_err(&form);
                assert!(refused.contains(word), "{form}: {refused}");
            }
        }
        // Both that it carries count.
        assert_eq!(verdict("2002:808:808::5efe:10.0.0.1"), verdict("10.0.0.1"));
    }

    #[test]
    fn public_addresses_pass_up_to_the_edges_of_the_ranges() {
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "168.63.129.15",
            "168.63.129.17",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "192.169.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2002:808:808::1",
            "2a00:1450::5efe:8.8.8.8",
        ] {
            assert_eq!(verdict(public), Ok(()), "{public}");
        }
    }

    proptest! {
        /// The standard library's own predicates, as a second opinion.
        #[test]
        fn no_address_that_std_calls_special_passes(bits in any::<u32>(), wide in any::<u128>(), short in 0_u32..64) {
            let v4 = Ipv4Addr::from(bits);
            let special = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast()
                || v4.is_broadcast() || v4.is_documentation() || v4.is_unspecified();
            prop_assert!(!special || judge(v4.into()).is_err());
            prop_assert_eq!(judge(v4.into()), judge(v4.to_ipv6_mapped().into()));
            prop_assert!(judge(v4.to_ipv6_compatible().into()).is_err());
            for v6 in [Ipv6Addr::from(wide), Ipv6Addr::from(wide >> short)] {
                let special = v6.is_loopback() || v6.is_unspecified() || v6.is_multicast() || v6.is_unique_local()
                    || v6.is_unicast_link_local();
                prop_assert!(!special || judge(v6.into()).is_err());
            }
        }
    }
}
