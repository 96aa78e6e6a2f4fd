//! The proxies that are believed.

use std::net::IpAddr;

/// Networks with a name of their own.
const LOOPBACK: &[&str] = &["127.0.0.0/8", "::1/128"];
/// RFC 1918, RFC 4193, and addresses of one link.
const PRIVATE: &[&str] =
    &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "169.254.0.0/16", "fe80::/10"];

/// A set of networks.
#[derive(Debug)]
pub(super) struct Networks(Vec<Network>);

#[derive(Debug)]
struct Network {
    address: IpAddr,
    bits: u32,
}

impl Networks {
    /// Reads the settings: addresses, networks such as `10.0.0.0/8`, and `loopback`, `private` and `none`. The error is the
    /// first invalid one.
    pub(super) fn new(named: &[String]) -> Result<Self, String> {
        let mut networks = Vec::new();
        for name in named {
            let texts = match name.as_str() {
                "none" => continue,
                "loopback" => LOOPBACK,
                "private" => PRIVATE,
                other => &[other],
            };
            for text in texts {
                networks.push(Network::parse(text).ok_or_else(|| name.clone())?);
            }
        }
        Ok(Self(networks))
    }

    pub(super) fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(address))
    }

    /// The client in front of the last trusted proxy, if the proxies name it: each appends the address from which it got
    /// the request to the list.
    pub(super) fn client<'a>(
        &self,
        forwarded_for: impl DoubleEndedIterator<Item = &'a str>,
    ) -> Option<IpAddr> {
        let mut client = None;
        for text in forwarded_for.rev() {
            // What cannot be read was not written by a proxy that is believed.
            let Some(address) = address(text) else { break };
            client = Some(address);
            if !self.contain(address) {
                break;
            }
        }
        client
    }
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        (bits <= most).then_some(Self { address, bits })
    }

    fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differ = u32::from(own) ^ u32::from(other);
                differ.checked_shr(32 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differ = u128::from(own) ^ u128::from(other);
                differ.checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// An address as proxies write it: alone, with a port, or in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches('"');
    let with_port = || text.parse().ok().map(|address: std::net::SocketAddr| address.ip());
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(named: &[&str]) -> Networks {
        let named: Vec<_> = named.iter().map(|text| (*text).to_owned()).collect();
        Networks::new(&named).unwrap()
    }

    #[test]
    fn networks_are_addresses_ranges_and_words() {
        let some = networks(&["loopback", "192.0.2.0/24", "203.0.113.9", "2001:db8::/32"]);
        let contains = |text: &str| some.contain(text.parse().unwrap());
        for inside in ["127.1.2.3", "::1", "::ffff:127.0.0.1", "192.0.2.255", "203.0.113.9"] {
            assert!(contains(inside), "{inside}");
        }
        assert!(contains("2001:db8:ffff::1"));
        for outside in ["128.0.0.1", "192.0.3.0", "203.0.113.8", "2001:db9::1", "::2"] {
            assert!(!contains(outside), "{outside}");
        }
        assert!(networks(&["0.0.0.0/0"]).contain("8.8.8.8".parse().unwrap()));
        assert!(!networks(&["none"]).contain("127.0.0.1".parse().unwrap()));
        assert!(networks(&["private"]).contain("172.31.0.1".parse().unwrap()));
        for bad in ["", "proxy.example", "10.0.0.0/33", "10.0.0.0/x", "::/129"] {
            assert_eq!(Networks::new(&[bad.to_owned()]).unwrap_err(), bad);
        }
    }

    #[test]
    fn the_client_is_in_front_of_the_last_proxy_that_is_believed() {
        let some = networks(&["loopback", "10.0.0.0/8"]);
        let client = |list: &str| {
            some.client(list.split(',').map(str::trim).filter(|text| !text.is_empty()))
                .map(|address| address.to_string())
        };
        assert_eq!(client(""), None);
        assert_eq!(client("192.0.2.1").as_deref(), Some("192.0.2.1"));
        // Whatever a client itself writes stands in front.
        assert_eq!(client("8.8.8.8, 192.0.2.1, 10.0.0.3").as_deref(), Some("192.0.2.1"));
        assert_eq!(client("10.0.0.9, 10.0.0.3").as_deref(), Some("10.0.0.9"));
        assert_eq!(client("192.0.2.1:4711").as_deref(), Some("192.0.2.1"));
        assert_eq!(client("[2001:db8::1]:4711").as_deref(), Some("2001:db8::1"));
        assert_eq!(client("nonsense, 10.0.0.3").as_deref(), Some("10.0.0.3"));
        assert_eq!(client("nonsense"), None);
    }
}
