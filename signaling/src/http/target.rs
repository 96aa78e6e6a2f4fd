//! Normalises a request's target (RFC 3986): the same path can be written in many ways.

use std::borrow::Cow;

/// The target of an `OPTIONS` that asks about the whole server (RFC 9110 §9.3.7).
pub(super) const ALL: &str = "*";

/// A path as it would stand without need: characters that no URL has to hide are not hidden (§6.2.2.2). All
/// others stay as they are, so that a slash inside of a name does not become one between two.
pub(super) fn path(text: &str) -> String {
    let mut path = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('%') {
        path.push_str(before);
        let hidden = behind.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let plain = |&b: &u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        rest = match hidden.filter(plain) {
            Some(byte) => {
                path.push(char::from(byte));
                behind.get(2..).unwrap_or_default()
            }
            None => {
                path.push('%');
                behind
            }
        };
    }
    path.push_str(rest);
    path
}

/// The first value of a name in a query.
pub(super) fn query_value<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_means_the_same_however_it_is_written() {
        assert_eq!(path("/%68ealthz"), "/healthz");
        assert_eq!(path("/webrtc/player/%61%2Db%2E%5f%7E"), "/webrtc/player/a-b._~");
        // What would mean something else, or is no hex number, stays.
        for same in ["/a%2Fb", "/a%2fb", "/%", "/%4", "/%zz", "/%+1", "/%00", "/a%20b", "/%c3%a9"] {
            assert_eq!(path(same), same);
        }
        assert_eq!(path("/%é%41"), "/%éA");
    }

    #[test]
    fn a_query_is_decoded() {
        let value = |query, name| query_value(query, name).map(Cow::into_owned);
        assert_eq!(value("session=%64efault", "session").as_deref(), Some("default"));
        assert_eq!(value("%73ession=a+b&x=1", "session").as_deref(), Some("a b"));
        assert_eq!(value("session", "session").as_deref(), Some(""));
        assert_eq!(value("session=%zz%", "session").as_deref(), Some("%zz%"));
        assert_eq!(value("x=1", "session"), None);
    }
}
