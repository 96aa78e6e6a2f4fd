//! Which requests are accepted, by their head: the name that they are addressed to, the page they come from, and the
//! proxies they came through.
//!
//! Two attacks by pages in a browser are prevented. A page of any origin can send requests and open WebSockets to every
//! address that its visitor can reach; the browser sends the page's origin in `Origin`, and [`Access::refuse`] compares
//! it with the server's. And a page can have its own name resolve to such an address (DNS rebinding), so that
//! the server looks to the browser like a part of the page's own site; then `Host` has a name that is not the
//! server's. Addresses cannot be rebound, so every request that is addressed to an IP address is taken.

mod hosts;
mod proxies;

use std::net::IpAddr;

use http::header::{HOST, HeaderName, ORIGIN, UPGRADE};
use http::{HeaderMap, Method, Uri};

use self::hosts::{Hosts, name_of};
use self::proxies::Networks;
use crate::config::{SignalingConfig, SignalingError};
use crate::error::{ErrorCode, RequestError};
use crate::http::cors::Cors;
use crate::http::request::Request;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The longest path prefix of a proxy.
const MAX_PREFIX_BYTES: usize = 256;

/// Whom a request counts for: one address, or one network of IPv6 such as a household has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Source(IpAddr);

impl Source {
    /// Everything below a /64 belongs to one customer (RFC 6177): a single host has 2^64 addresses.
    pub(crate) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
            v4 => v4,
        })
    }
}

/// How a request came here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Via {
    /// The path that a proxy took off before it passed the request on: empty, or `/avatar`.
    pub(crate) prefix: String,
    /// The client for which limits count it; `None` if a trusted proxy does not name the client.
    pub(crate) source: Option<Source>,
    /// The host that the visitor asked a trusted proxy for.
    hosts: Vec<String>,
    /// And the port.
    port: Option<String>,
    trusted: bool,
}

/// The rules.
#[derive(Debug)]
pub(crate) struct Access {
    hosts: Hosts,
    proxies: Networks,
    /// `https://face.example.org/avatar`, in its two halves.
    public_origin: Option<String>,
    public_prefix: String,
    /// On this port a browser leaves the port out.
    on_default_port: bool,
    /// With TLS the certificate holds the name: a page cannot have it rebound.
    tls: bool,
}

impl Access {
    /// Checks the settings; `port` is where the server listens.
    pub(crate) fn new(config: &SignalingConfig, port: u16) -> Result<Self, SignalingError> {
        let mut hosts = Hosts::new(&config.allowed_hosts).map_err(SignalingError::Host)?;
        let (mut public_origin, mut public_prefix) = (None, String::new());
        if let Some(url) = &config.public_url {
            let (origin, path) =
                split_url(url).ok_or_else(|| SignalingError::PublicUrl(url.clone()))?;
            hosts.add(origin.split_once("://").map_or("", |(_, authority)| authority));
            public_prefix = prefix(&path).ok_or_else(|| SignalingError::PublicUrl(url.clone()))?;
            public_origin = Some(origin);
        }
        let tls = config.tls.is_some();
        Ok(Self {
            hosts,
            proxies: Networks::new(&config.trusted_proxies).map_err(SignalingError::Proxy)?,
            public_origin,
            public_prefix,
            on_default_port: port == if tls { 443 } else { 80 },
            tls,
        })
    }

    /// Whether this address is a trusted proxy.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.proxies.contain(address)
    }

    /// Reads the header fields of the proxies in between. `remote` is the other end of the TCP connection.
    pub(crate) fn via(&self, headers: &HeaderMap, remote: IpAddr) -> Via {
        if !self.trusts(remote) {
            let source = Some(Source::of(remote));
            return Via { prefix: self.public_prefix.clone(), source, ..Via::default() };
        }
        let text = |name| headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        let list = |name| text(name).flat_map(|value| value.split(',')).map(str::trim);
        let told = list(X_FORWARDED_PREFIX).next_back().and_then(prefix);
        Via {
            prefix: told.unwrap_or_else(|| self.public_prefix.clone()),
            source: self.proxies.client(list(X_FORWARDED_FOR)).map(Source::of),
            hosts: list(X_FORWARDED_HOST).map(str::to_owned).collect(),
            port: list(X_FORWARDED_PORT).next_back().map(str::to_owned),
            trusted: true,
        }
    }

    /// Whether the rules are against a request.
    pub(crate) fn refuse(&self, request: &Request, via: &Via, cors: &Cors) -> Option<RequestError> {
        // Where pages of all origins may do everything there is nothing to be kept from them.
        if cors.allows_all() {
            return None;
        }
        if !self.is_addressed_rightly(request, via) {
            return Some(WRONG_HOST);
        }
        let upgrades = request.has_token(UPGRADE, "websocket");
        let harmless = [Method::GET, Method::HEAD, Method::OPTIONS].contains(&request.method);
        if harmless && !upgrades {
            return None;
        }
        (!self.is_from_own_page(request, via, cors)).then_some(CROSS_ORIGIN)
    }

    /// Whether all names that the request was addressed to are names of this server.
    fn is_addressed_rightly(&self, request: &Request, via: &Via) -> bool {
        let host = host(request);
        let mut names = host.into_iter().chain(via.hosts.iter().map(String::as_str));
        self.tls || names.all(|name| self.hosts.contains(name))
    }

    /// Whether a request that changes something, or opens a WebSocket, comes from a page of this server's or from a
    /// program that is no browser. Not every such request needs a preflight, and no WebSocket does, so that the
    /// browser's own check is not enough. Sec-Fetch-Site decides, which proxies leave unchanged; browsers omit it on plain
    /// HTTP, and some with WebSockets: there Origin and Host have to agree.
    fn is_from_own_page(&self, request: &Request, via: &Via, cors: &Cors) -> bool {
        let origin = request.headers.get(ORIGIN).map(|origin| origin.to_str().unwrap_or("null"));
        let site = request.headers.get(SEC_FETCH_SITE).map(|site| site.as_bytes());
        match (site, origin) {
            (Some(b"same-origin" | b"none"), _) | (None, None) => true,
            (_, Some(origin)) if cors.lists(origin) => true,
            (None, Some(origin)) => self.is_own(origin, request, via),
            (Some(_), Some(origin)) => self.public_origin.as_deref() == Some(origin),
            (Some(_), None) => false,
        }
    }

    fn is_own(&self, origin: &str, request: &Request, via: &Via) -> bool {
        if self.public_origin.as_deref() == Some(origin) {
            return true;
        }
        let Some((_, place)) = origin.split_once("://") else { return false };
        let host = host(request);
        let told = || host.into_iter().chain(via.hosts.iter().map(String::as_str));
        if told().any(|host| host.eq_ignore_ascii_case(place)) {
            return true;
        }
        if !via.trusted {
            return false;
        }
        // nginx's `$host` has no port. Where a browser would not have left it out, a proxy did, and no other
        // server can be behind this name on this machine that the proxy does not know of.
        let same_name = |host: &&str| name_of(host).eq_ignore_ascii_case(name_of(place));
        let mut bare = told().filter(|host| name_of(host).len() == host.len()).filter(same_name);
        match &via.port {
            Some(port) => bare.any(|host| place.eq_ignore_ascii_case(&format!("{host}:{port}"))),
            None => !self.on_default_port && bare.next().is_some(),
        }
    }
}

const WRONG_HOST: RequestError = RequestError::fixed(
    ErrorCode::WrongHost,
    "the host name of the request is not one of this server's; \
     set `allowed_hosts` or `public_url`",
);
const CROSS_ORIGIN: RequestError = RequestError::fixed(
    ErrorCode::CrossOrigin,
    "pages of this origin are not allowed to do that; set `cors`, or behind a proxy `public_url`",
);

/// Whom a request is addressed to: a target in absolute form stands above the field (RFC 9112 §3.2.2).
fn host(request: &Request) -> Option<&str> {
    let field = || request.headers.get(HOST).map(|host| host.to_str().unwrap_or("?"));
    request.authority.as_deref().or_else(field).filter(|host| !host.is_empty())
}

/// An origin as browsers write it, and the path behind it.
fn split_url(url: &str) -> Option<(String, String)> {
    let uri: Uri = url.parse().ok()?;
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?.as_str());
    let default = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
    let usual = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    if !usual || authority.contains('@') || uri.query().is_some() {
        return None;
    }
    let authority = authority.strip_suffix(default).unwrap_or(authority);
    Some((format!("{scheme}://{authority}").to_ascii_lowercase(), uri.path().to_owned()))
}

/// A path prefix, without a slash behind it. What could be taken for another host (`//evil.example`), or for
/// anything else than a path, is none.
fn prefix(path: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/%".contains(&b);
    let path = path.trim_end_matches('/');
    let sound = path.is_empty() || (path.starts_with('/') && !path.contains("//"));
    (sound && path.len() <= MAX_PREFIX_BYTES && path.bytes().all(plain)).then(|| path.to_owned())
}

#[cfg(test)]
mod tests;
