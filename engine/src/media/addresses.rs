//! Which addresses viewers are told, and how they relate to those the kernel knows.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The addresses of the media socket.
#[derive(Debug, Clone)]
pub(crate) struct Addresses {
    /// Told to viewers as ICE host candidates.
    candidates: Vec<SocketAddr>,
    /// Addresses of this machine's interfaces: those a datagram can leave from.
    local: Vec<IpAddr>,
    /// The socket is an IPv6 one: IPv4 addresses are written as mapped on it.
    v6_socket: bool,
}

impl Addresses {
    /// Finds the addresses for a socket bound to `bound`. `announce` replaces what is found.
    pub(crate) fn discover(bound: SocketAddr, announce: &[IpAddr]) -> io::Result<Self> {
        let v6_socket = bound.is_ipv6();
        let reachable = |ip: &IpAddr| v6_socket || ip.is_ipv4();
        let local: Vec<IpAddr> = if bound.ip().is_unspecified() {
            let interfaces = if_addrs::get_if_addrs()?;
            interfaces.iter().map(if_addrs::Interface::ip).filter(reachable).collect()
        } else {
            vec![bound.ip()]
        };
        let told = if announce.is_empty() { worth_telling(&local) } else { announce.to_vec() };
        let candidates = told.into_iter().map(|ip| SocketAddr::new(ip, bound.port())).collect();
        Ok(Self { candidates, local, v6_socket })
    }

    /// The ICE host candidates.
    pub(crate) fn candidates(&self) -> &[SocketAddr] {
        &self.candidates
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
fn worth_telling(local: &[IpAddr]) -> Vec<IpAddr> {
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
    fn loopback_is_told_only_where_there_is_nothing_else() {
        assert_eq!(
            worth_telling(&[ip("127.0.0.1"), ip("192.0.2.4"), ip("fe80::1")]),
            [ip("192.0.2.4")]
        );
        assert_eq!(worth_telling(&[ip("127.0.0.1")]), [ip("127.0.0.1")]);
    }

    #[test]
    fn behind_a_nat_the_announced_address_stands_for_the_real_one() {
        let bound = "10.0.0.5:4000".parse().unwrap();
        let addresses = Addresses::discover(bound, &[ip("203.0.113.9")]).unwrap();
        let announced = "203.0.113.9:4000".parse().unwrap();
        assert_eq!(addresses.candidates(), [announced]);
        assert_eq!(
            addresses.candidate_for(Some(ip("10.0.0.5")), ip("198.51.100.1")),
            Some(announced)
        );
        assert_eq!(addresses.source_for(announced.ip()), None);
    }

    #[test]
    fn an_ipv6_socket_writes_ipv4_as_mapped() {
        let addresses =
            Addresses { candidates: vec![], local: vec![ip("192.0.2.4")], v6_socket: true };
        let mapped = addresses.to_socket("192.0.2.7:9".parse().unwrap());
        assert_eq!(mapped, "[::ffff:192.0.2.7]:9".parse().unwrap());
    }
}
