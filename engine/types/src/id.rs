use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// One viewer's connection. Unique for the life of the process and hard to guess, because it
/// travels to browsers; printed as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(u64);

impl PeerId {
    /// Wraps a number the caller drew from a source of random bits.
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// The number inside.
    pub const fn as_raw(self) -> u64 {
        self.0
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not a [`PeerId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid peer id; expected up to 16 hexadecimal digits")]
pub struct InvalidPeerId;

impl FromStr for PeerId {
    type Err = InvalidPeerId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The standard library takes a sign too.
        let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let raw = u64::from_str_radix(text, 16).ok().filter(|_| digits);
        raw.map(Self).ok_or(InvalidPeerId)
    }
}

/// The name of a session (one face). 1 to 64 characters out of `A–Z a–z 0–9 . _ -`, so that it can
/// stand in a URL and in a log line as it is.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(Arc<str>);

/// A text that is not a [`SessionId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid session id; expected 1 to 64 characters from A-Z a-z 0-9 . _ -")]
pub struct InvalidSessionId;

impl SessionId {
    /// Checks and wraps a name.
    ///
    /// # Errors
    ///
    /// A name that is not 1 to 64 characters from `A-Z a-z 0-9 . _ -`.
    pub fn new(name: &str) -> Result<Self, InvalidSessionId> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if name.is_empty() || name.len() > 64 || !name.bytes().all(allowed) {
            return Err(InvalidSessionId);
        }
        Ok(Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for SessionId {
    /// The session a visitor gets who names none.
    fn default() -> Self {
        Self("default".into())
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SessionId {
    type Err = InvalidSessionId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_ids_stay_url_safe() {
        assert_eq!(SessionId::new("anna-2.x_Y").unwrap().as_str(), "anna-2.x_Y");
        for bad in ["", "a b", "a/b", "ä", &"x".repeat(65)] {
            assert_eq!(SessionId::new(bad), Err(InvalidSessionId), "{bad:?}");
        }
    }

    #[test]
    fn peer_ids_print_and_parse() {
        let id = PeerId::from_raw(0x1f);
        assert_eq!(id.to_string(), "000000000000001f");
        assert_eq!("000000000000001f".parse(), Ok(id));
        for bad in ["", "xyz", "+1f", "-1", " 1f", "0x1f", "0000000000000001f"] {
            let parsed = bad.parse::<PeerId>();
            assert_eq!(
                parsed.err(),
                (bad != "0000000000000001f").then_some(InvalidPeerId),
                "{bad:?}"
            );
        }
        assert_eq!("10000000000000000".parse::<PeerId>(), Err(InvalidPeerId));
    }
}
