//! Reads the server's `/metrics` and `/status`.

use std::net::{Ipv4Addr, SocketAddr};

use super::wire::{Answer, Client};

/// How often a request to a server under attack is repeated.
const TRIES: usize = 3;

/// One figure of `/metrics`, by its name with its labels.
pub(super) fn metric(tcp: SocketAddr, name: &str) -> Option<f64> {
    let text = metrics(tcp)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}

/// The text of `/metrics`; nothing where a server under siege does not answer.
pub(super) fn metrics(tcp: SocketAddr) -> Option<String> {
    let mut client = Client::new(Ipv4Addr::LOCALHOST, tcp);
    (0..TRIES)
        .find_map(|_| client.get("/metrics").ok().filter(Answer::is_success).map(|a| a.text()))
}

/// A counter that has one label, as `name{label="` begins it: the label's value, and the count.
pub(super) fn labelled(line: &str, begins: &str) -> Option<(String, u64)> {
    let (label, count) = line.strip_prefix(begins)?.split_once("\"}")?;
    Some((label.to_owned(), count.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_by_their_label() {
        let name = "visavis_refused_total{kind=\"";
        let line = "visavis_refused_total{kind=\"stun-integrity\"} 12";
        assert_eq!(labelled(line, name), Some(("stun-integrity".to_owned(), 12)));
        assert_eq!(labelled("# HELP visavis_refused_total What was refused.", name), None);
        assert_eq!(labelled("visavis_peers{session=\"a\"} 2", name), None);
    }
}
