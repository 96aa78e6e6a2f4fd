use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::Error;

/// Longer than any healthy answer takes, also on a busy machine.
const DEADLINE: Duration = Duration::from_secs(10);

/// Splits `http://host:port/path?query` into authority and the rest, which begins with a slash.
pub(crate) fn split_url(url: &str) -> Result<(&str, &str), Error> {
    let rest = url
        .strip_prefix("http://")
        .ok_or_else(|| Error::Server(format!("{url} is not an http:// address")))?;
    Ok(match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    })
}

/// Fetches JSON from `http://host:port/path`.
///
/// # Errors
///
/// When the address is not plain HTTP, the server does not answer 200 within ten seconds, or the
/// body is not JSON.
pub fn get_json(url: &str) -> Result<Value, Error> {
    let (authority, path) = split_url(url)?;
    let mut stream = TcpStream::connect(authority)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_write_timeout(Some(DEADLINE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let (head, body) = split_answer(&answer)
        .ok_or_else(|| Error::Server(format!("{url} did not answer in HTTP")))?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    if status != "200" {
        return Err(Error::Server(format!("{url} answered {status}")));
    }
    Ok(serde_json::from_slice(body)?)
}

fn split_answer(answer: &[u8]) -> Option<(&str, &[u8])> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, rest) = answer.split_at_checked(end)?;
    Some((std::str::from_utf8(head).ok()?, rest.get(4..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_addresses() {
        assert_eq!(split_url("http://a:1/b?c=d").unwrap(), ("a:1", "/b?c=d"));
        assert_eq!(split_url("http://a:1").unwrap(), ("a:1", "/"));
        assert!(split_url("https://a:1/").is_err());
    }

    #[test]
    fn splits_head_from_body() {
        assert_eq!(
            split_answer(b"HTTP/1.1 200 OK\r\n\r\n{}"),
            Some(("HTTP/1.1 200 OK", &b"{}"[..]))
        );
        assert_eq!(split_answer(b"HTTP/1.1 200 OK\r\n"), None);
    }
}
