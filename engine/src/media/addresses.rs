//! Which addresses are announced to viewers, and how they relate to those the kernel knows.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU16;
use std::str::FromStr;

use visavis_core::TransportAddress;

/// An address announced to viewers in the place of this machine's own, as behind 1:1 NAT, and the port where that is
/// another too, as on a host with mapped ports: `203.0.113.7`, `203.0.113.7:20638`, `2001:db8::7`,
/// `[2001:db8::7]:20638`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AnnouncedAddress {
    /// The address.
    pub ip: IpAddr,
    /// The port of the first media loop, from which further ones count up; `None`: each socket's own.
    pub port: Option<NonZeroU16>,
}

impl AnnouncedAddress {
    /// What it is for one of the media loops, whose socket has this port of its own.
    fn of_loop(self, index: usize, own: u16) -> SocketAddr {
        let count = u16::try_from(index).unwrap_or(u16::MAX);
        let port = self.port.map_or(own, |first| first.get().saturating_add(count));
        SocketAddr::new(self.ip, port)
    }
}

impl From<IpAddr> for AnnouncedAddress {
    fn from(ip: IpAddr) -> Self {
        Self { ip, port: None }
    }
}

impl From<Ipv4Addr> for AnnouncedAddress {
    fn from(ip: Ipv4Addr) -> Self {
        IpAddr::from(ip).into()
    }
}

impl From<SocketAddr> for AnnouncedAddress {
    /// With port 0 it is each socket's own.
    fn from(addr: SocketAddr) -> Self {
        Self { ip: addr.ip(), port: NonZeroU16::new(addr.port()) }
    }
}

/// A text that is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an address, or ADDRESS:PORT, with an IPv6 address in brackets before a port")]
pub struct InvalidAnnouncedAddress;

impl FromStr for AnnouncedAddress {
    type Err = InvalidAnnouncedAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(ip.into());
        }
        match text.parse::<SocketAddr>() {
            Ok(addr) if addr.port() != 0 => Ok(addr.into()),
            _ => Err(InvalidAnnouncedAddress),
        }
    }
}

impl fmt::Display for AnnouncedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => SocketAddr::new(self.ip, port.get()).fmt(f),
            None => self.ip.fmt(f),
        }
    }
}

/// The addresses of the media socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Addresses {
    /// Announced to viewers as ICE host candidates.
    candidates: Vec<SocketAddr>,
    /// Addresses of this machine's interfaces: those a datagram can leave from.
    local: Vec<IpAddr>,
    /// The socket is an IPv6 one: IPv4 addresses are written as mapped on it.
    v6_socket: bool,
    /// TCP connections are taken at the same addresses.
    by_tcp: bool,
    /// They are also taken at this port, where another listens and hands them over.
    shared_port: Option<u16>,
}

impl Addresses {
    /// The addresses for the socket of a media loop, bound to `bound`, on a machine that has `own`. `announce`
    /// replaces what is announced.
    pub(crate) fn new(
        (index, bound): (usize, SocketAddr),
        announce: &[AnnouncedAddress],
        own: &[IpAddr],
    ) -> Self {
        let v6_socket = bound.is_ipv6();
        let reachable = |ip: &IpAddr| v6_socket || ip.is_ipv4();
        let local: Vec<IpAddr> = match bound.ip().is_unspecified() {
            true => own.iter().copied().filter(reachable).collect(),
            false => vec![bound.ip()],
        };
        let candidates = match announce {
            [] => {
                let own = worth_announcing(&local).into_iter();
                own.map(|ip| SocketAddr::new(ip, bound.port())).collect()
            }
            announce => announce.iter().map(|one| one.of_loop(index, bound.port())).collect(),
        };
        Self { candidates, local, v6_socket, by_tcp: false, shared_port: None }
    }

    /// Has TCP connections taken at them too, or not, and at a port where another listens.
    pub(crate) fn by_tcp(mut self, is_so: bool, shared_port: Option<u16>) -> Self {
        (self.by_tcp, self.shared_port) = (is_so, shared_port);
        self
    }

    /// The same for other addresses.
    pub(crate) fn by_tcp_as(self, other: &Self) -> Self {
        self.by_tcp(other.by_tcp, other.shared_port)
    }

    /// What keeps visitors from finding this machine, if anything does.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        self.candidates.is_empty().then_some(
            "this machine has no address that visitors could be told: bring its network up, or name an address \
             with --announce (EngineConfig::announce). Addresses that come are taken up without a restart",
        )
    }

    /// Whether only this machine itself finds it.
    pub(crate) fn is_loopback(&self) -> bool {
        !self.candidates.is_empty() && self.candidates.iter().all(|addr| addr.ip().is_loopback())
    }

    /// The addresses that are announced.
    pub(crate) fn candidates(&self) -> &[SocketAddr] {
        &self.candidates
    }

    /// The ICE host candidates: these addresses by UDP, and by TCP.
    pub(crate) fn host_candidates(&self) -> Vec<TransportAddress> {
        let all = || self.candidates.iter().copied();
        let own = all().filter(|_| self.by_tcp);
        let shared = self.shared_port.into_iter().flat_map(|port| {
            let mut all: Vec<_> = all().map(|own| SocketAddr::new(own.ip(), port)).collect();
            all.dedup();
            all
        });
        let mut candidates: Vec<_> = all().map(TransportAddress::udp).collect();
        candidates.extend(own.chain(shared).map(TransportAddress::tcp));
        candidates
    }

    /// The candidate that a TCP connection has come to. `is_shared`: where another listens.
    pub(crate) fn tcp_candidate_for(
        &self,
        (local, is_shared): (IpAddr, bool),
        source: IpAddr,
    ) -> Option<SocketAddr> {
        let own = self.candidate_for(Some(local), source)?;
        match is_shared {
            true => Some(SocketAddr::new(own.ip(), self.shared_port?)),
            false => Some(own),
        }
    }

    /// The candidate at which a datagram sent to `destination` arrived: that address itself, or, behind
    /// a NAT, the announced one that stands for it.
    pub(crate) fn candidate_for(
        &self,
        destination: Option<IpAddr>,
        source: IpAddr,
    ) -> Option<SocketAddr> {
        let destination = destination.map(|ip| ip.to_canonical());
        let own = |candidate: &&SocketAddr| Some(candidate.ip()) == destination;
        let same_family = |candidate: &&SocketAddr| candidate.is_ipv4() == source.is_ipv4();
        self.candidates
            .iter()
            .find(own)
            .or_else(|| self.candidates.iter().find(same_family))
            .copied()
    }

    /// The address a datagram should leave from, if the candidate is an address of this machine.
    pub(crate) fn source_for(&self, candidate: IpAddr) -> Option<IpAddr> {
        self.local.contains(&candidate).then(|| self.to_socket_ip(candidate))
    }

    /// An address as the socket's family writes it.
    pub(crate) fn to_socket(&self, addr: SocketAddr) -> SocketAddr {
        SocketAddr::new(self.to_socket_ip(addr.ip()), addr.port())
    }

    fn to_socket_ip(&self, ip: IpAddr) -> IpAddr {
        match ip {
            IpAddr::V4(v4) if self.v6_socket => v4.to_ipv6_mapped().into(),
            other => other,
        }
    }
}

/// Loopback and link-local addresses reach nobody else (RFC 8445 §5.1.1.1); a machine that has only
/// those is a test machine, and gets them.
fn worth_announcing(local: &[IpAddr]) -> Vec<IpAddr> {
    let link_local = |ip: &IpAddr| match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => is_link_local_v6(v6),
    };
    let global: Vec<IpAddr> =
        local.iter().copied().filter(|ip| !ip.is_loopback() && !link_local(ip)).collect();
    if global.is_empty() { local.to_vec() } else { global }
}

fn is_link_local_v6(ip: &Ipv6Addr) -> bool {
    ip.is_unicast_link_local()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn loopback_is_announced_only_where_there_is_nothing_else() {
        assert_eq!(
            worth_announcing(&[ip("127.0.0.1"), ip("192.0.2.4"), ip("fe80::1")]),
            [ip("192.0.2.4")]
        );
        assert_eq!(worth_announcing(&[ip("127.0.0.1")]), [ip("127.0.0.1")]);
    }

    #[test]
    fn behind_a_nat_the_announced_address_stands_for_the_real_one() {
        let bound = "10.0.0.5:4000".parse().unwrap();
        let addresses = Addresses::new((0, bound), &[ip("203.0.113.9").into()], &[]);
        let announced = "203.0.113.9:4000".parse().unwrap();
        assert_eq!(addresses.candidates(), [announced]);
        assert_eq!(
            addresses.candidate_for(Some(ip("10.0.0.5")), ip("198.51.100.1")),
            Some(announced)
        );
        assert_eq!(addresses.source_for(announced.ip()), None);
    }

    #[test]
    fn a_mapped_port_is_announced_in_the_place_of_the_sockets_and_counts_up_with_the_loops() {
        let announced: Vec<AnnouncedAddress> =
            ["203.0.113.9:20638", "2001:db8::7", "[2001:db8::8]:9"]
                .map(|t| t.parse().unwrap())
                .into();
        let texts: Vec<String> = announced.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["203.0.113.9:20638", "2001:db8::7", "[2001:db8::8]:9"]);
        let bound = "0.0.0.0:4001".parse().unwrap();
        let addresses = Addresses::new((1, bound), &announced, &[ip("10.0.0.5")]);
        let expected = ["203.0.113.9:20639", "[2001:db8::7]:4001", "[2001:db8::8]:10"];
        assert_eq!(addresses.candidates(), expected.map(|text| text.parse().unwrap()));
        let found = addresses.candidate_for(Some(ip("10.0.0.5")), ip("198.51.100.1"));
        assert_eq!(found, expected[0].parse().ok());
        for wrong in ["", "host", "203.0.113.9:", "203.0.113.9:0", "203.0.113.9:99999", "[::1]"] {
            assert!(wrong.parse::<AnnouncedAddress>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_machine_without_an_address_says_what_to_do() {
        let bound = "0.0.0.0:4001".parse().unwrap();
        let none = Addresses::new((0, bound), &[], &[]);
        assert!(none.problem().unwrap().contains("--announce") && !none.is_loopback());
        let alone = Addresses::new((0, bound), &[], &[ip("127.0.0.1"), ip("::1")]);
        assert!(alone.problem().is_none() && alone.is_loopback());
        assert_eq!(alone.candidates().len(), 1, "an IPv4 socket has no IPv6 address");
        let announced = Addresses::new((0, bound), &[ip("203.0.113.9").into()], &[]);
        assert!(announced.problem().is_none());
    }

    #[test]
    fn tcp_is_at_the_same_port_and_at_one_that_another_listens_on() {
        let bound = "0.0.0.0:4000".parse().unwrap();
        let announced = ["203.0.113.9:20638".parse().unwrap(), ip("2001:db8::7").into()];
        let addresses = Addresses::new((0, bound), &announced, &[ip("10.0.0.5")]);
        assert_eq!(addresses.host_candidates().len(), 2);
        let addresses = addresses.by_tcp(true, Some(443));
        let tcp = |text: &str| TransportAddress::tcp(text.parse().unwrap());
        let expected = [
            tcp("203.0.113.9:20638"),
            tcp("[2001:db8::7]:4000"),
            tcp("203.0.113.9:443"),
            tcp("[2001:db8::7]:443"),
        ];
        assert_eq!(addresses.host_candidates()[2..], expected);
        let from = |is_shared| {
            addresses.tcp_candidate_for((ip("10.0.0.5"), is_shared), ip("198.51.100.1"))
        };
        assert_eq!(from(false), Some("203.0.113.9:20638".parse().unwrap()));
        assert_eq!(from(true), Some("203.0.113.9:443".parse().unwrap()));
    }

    #[test]
    fn an_ipv6_socket_writes_ipv4_as_mapped() {
        let addresses = Addresses {
            candidates: vec![],
            local: vec![ip("192.0.2.4")],
            v6_socket: true,
            by_tcp: false,
            shared_port: None,
        };
        let mapped = addresses.to_socket("192.0.2.7:9".parse().unwrap());
        assert_eq!(mapped, "[::ffff:192.0.2.7]:9".parse().unwrap());
    }
}
