//! The names that the server goes by.

use std::fs;
use std::net::{IpAddr, Ipv6Addr};

/// Which names these are. Addresses, `localhost` and what this machine calls itself are always among them.
#[derive(Debug)]
pub(super) struct Hosts {
    any: bool,
    names: Vec<String>,
    /// What names end with, dot included.
    suffixes: Vec<String>,
}

impl Hosts {
    /// Checks the settings: names, `*.example.org` for all names below it, `*` for all there are. The error is the
    /// one that is none of these.
    pub(super) fn new(allowed: &[String]) -> Result<Self, String> {
        let mut hosts =
            Self { any: false, names: own_names(), suffixes: vec![".localhost".to_owned()] };
        for name in allowed {
            let bare = name_of(name);
            let below = bare.strip_prefix("*.").or_else(|| bare.strip_prefix('.'));
            match below.unwrap_or(bare) {
                "*" if below.is_none() => hosts.any = true,
                text if !is_name(text) && !is_address(text) => return Err(name.clone()),
                text if below.is_some() => hosts.suffixes.push(normal(&format!(".{text}"))),
                text => hosts.names.push(normal(text)),
            }
        }
        Ok(hosts)
    }

    pub(super) fn add(&mut self, authority: &str) {
        self.names.push(normal(name_of(authority)));
    }

    /// Whether this is one of them, with or without a port.
    pub(super) fn contains(&self, host: &str) -> bool {
        let name = normal(name_of(host));
        self.any
            || is_address(&name)
            || self.names.contains(&name)
            || self.suffixes.iter().any(|suffix| name.ends_with(suffix.as_str()))
    }
}

/// An authority without its port; an IPv6 address keeps its brackets.
pub(super) fn name_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((name, port)) if !name.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => authority,
    }
}

/// In lower case, and without the dot that may end a name.
fn normal(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn is_address(name: &str) -> bool {
    let v6 = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match v6 {
        Some(v6) => v6.parse::<Ipv6Addr>().is_ok(),
        None => name.parse::<IpAddr>().is_ok_and(|address| address.is_ipv4()),
    }
}

fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    !text.is_empty() && text.len() <= 255 && text.bytes().all(plain)
}

/// `localhost`, and the name of this machine in a local network: an attacker elsewhere cannot make either of them
/// resolve to an address.
fn own_names() -> Vec<String> {
    let mut names = vec!["localhost".to_owned()];
    let own = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let own = normal(own.trim());
    if is_name(&own) {
        names.push(format!("{own}.local"));
        names.push(own);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(allowed: &[&str]) -> Hosts {
        let allowed: Vec<_> = allowed.iter().map(|text| (*text).to_owned()).collect();
        Hosts::new(&allowed).unwrap()
    }

    #[test]
    fn addresses_and_localhost_are_known_and_names_of_others_are_not() {
        let none = hosts(&[]);
        for own in [
            "localhost",
            "LOCALHOST:8081",
            "localhost.",
            "a.localhost:1",
            "127.0.0.1:8081",
            "192.0.2.7",
            "[::1]:8081",
            "[2001:db8::1]",
        ] {
            assert!(none.contains(own), "{own}");
        }
        for other in
            ["evil.example", "evil.example:8081", "127.0.0.1.evil.example", "[x]", "::1", "", ":80"]
        {
            assert!(!none.contains(other), "{other}");
        }
    }

    #[test]
    fn names_are_told_and_may_have_a_star() {
        let some = hosts(&["Face.Example.org", "*.lab.example", ".dev.example:8081"]);
        for own in ["face.example.org", "FACE.example.org.:443", "a.lab.example", "b.dev.example"] {
            assert!(some.contains(own), "{own}");
        }
        for other in ["example.org", "lab.example", "alab.example", "x.face.example.org"] {
            assert!(!some.contains(other), "{other}");
        }
        assert!(hosts(&["*"]).contains("anything.example"));
        for bad in ["https://a.example", "a b", "", "*a", "a/b"] {
            assert_eq!(Hosts::new(&[bad.to_owned()]).unwrap_err(), bad);
        }
    }
}
