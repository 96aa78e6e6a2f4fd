//! The H264 profile and level of an answer (RFC 6184 §8.2.2).
//!
//! str0m pairs formats by profile and packetization mode, and answers with our own `profile-level-id`
//! whatever the offer's is. An answer has to keep the profile, and the level may be another one only where
//! both sides allow that; where the offer does not, it may be lower, never higher.

use std::collections::HashMap;
use std::fmt::Write as _;

const PROFILE_LEVEL_ID: &str = "profile-level-id";
const ASYMMETRY: &str = "level-asymmetry-allowed";

/// A `profile-level-id`: `profile_idc`, constraint flags and `level_idc`, a byte each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ProfileLevel(u32);

impl ProfileLevel {
    fn parse(text: &str) -> Option<Self> {
        let id = u32::from_str_radix(text, 16).ok()?;
        (text.len() == 6).then_some(Self(id))
    }

    /// Levels by what they allow. Level 1b, which is 1.1 with a flag in these profiles, lies between 1 and
    /// 1.1 (table A-1).
    fn rank(self) -> u32 {
        const CONSTRAINT_SET3: u32 = 0x10_00;
        let (profile, level) = (self.0 >> 16, self.0 & 0xff);
        let is_1b = matches!(profile, 66 | 77 | 88) && level == 11 && self.0 & CONSTRAINT_SET3 != 0;
        level * 2 - u32::from(is_1b)
    }

    fn with_level_of(self, other: Self) -> Self {
        Self(self.0 & 0xff_ff00 | other.0 & 0xff)
    }
}

/// What an offer says of a payload type.
#[derive(Debug, Clone, Copy)]
struct Offered {
    id: ProfileLevel,
    asymmetry_allowed: bool,
}

/// Rewrites the H264 formats of an answer for the offer it is the answer to. Formats without a
/// `profile-level-id` on either side stay as they are.
pub(crate) fn as_offered(answer: &str, offer: &str) -> String {
    let offered: HashMap<&str, Offered> = offer.lines().filter_map(offered).collect();
    let mut out = String::with_capacity(answer.len());
    for line in answer.split_inclusive("\r\n") {
        let rewritten = format_of(line.trim_end())
            .and_then(|(pt, parameters)| rewrite(pt, parameters, offered.get(pt)?));
        match rewritten {
            Some(rewritten) => {
                out.push_str(&rewritten);
                out.push_str("\r\n");
            }
            None => out.push_str(line),
        }
    }
    out
}

/// Payload type and parameters of an `a=fmtp` line.
fn format_of(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("a=fmtp:")?.split_once(' ')
}

fn parameters(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split(';').map(str::trim).map(|one| one.split_once('=').unwrap_or((one, "")))
}

fn parameter<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    parameters(text).find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn offered(line: &str) -> Option<(&str, Offered)> {
    let (pt, text) = format_of(line)?;
    let id = ProfileLevel::parse(parameter(text, PROFILE_LEVEL_ID)?)?;
    Some((pt, Offered { id, asymmetry_allowed: parameter(text, ASYMMETRY) == Some("1") }))
}

fn rewrite(pt: &str, text: &str, offered: &Offered) -> Option<String> {
    let ours = ProfileLevel::parse(parameter(text, PROFILE_LEVEL_ID)?)?;
    let id = if offered.asymmetry_allowed || ours.rank() < offered.id.rank() {
        offered.id.with_level_of(ours)
    } else {
        offered.id
    };
    let mut line = format!("a=fmtp:{pt} ");
    let kept = parameters(text).filter(|(key, _)| *key != ASYMMETRY || offered.asymmetry_allowed);
    for (n, (key, value)) in kept.enumerate() {
        line.push_str(if n == 0 { "" } else { ";" });
        // Writing to a string cannot fail.
        let _ = match key {
            PROFILE_LEVEL_ID => write!(line, "{key}={:06x}", id.0),
            _ => write!(line, "{key}={value}"),
        };
    }
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The format of an answer of ours, for an offer with these parameters.
    fn answered(offered: &str) -> String {
        let ours =
            "a=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
        let (answer, offer) =
            (format!("m=video\r\n{ours}\r\n"), format!("a=fmtp:96 {offered}\r\n"));
        let answer = as_offered(&answer, &offer);
        let line = answer.lines().nth(1).unwrap();
        line.strip_prefix("a=fmtp:96 ").unwrap().to_owned()
    }

    #[test]
    fn the_level_is_ours_where_the_offer_allows_it() {
        for (offered, id) in [("42e01f", "42e01f"), ("42e00a", "42e01f"), ("42C033", "42c01f")] {
            assert_eq!(
                answered(&format!(
                    "profile-level-id={offered};level-asymmetry-allowed=1;packetization-mode=1"
                )),
                format!("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id={id}")
            );
        }
    }

    #[test]
    fn the_level_is_never_higher_than_offered_where_it_is_not_allowed() {
        for (offered, id) in
            [("42e01f", "42e01f"), ("42e00a", "42e00a"), ("42f00b", "42f00b"), ("42e034", "42e01f")]
        {
            for asymmetry in ["", ";level-asymmetry-allowed=0"] {
                let offer = format!("packetization-mode=1; profile-level-id={offered}{asymmetry}");
                let expected = format!("packetization-mode=1;profile-level-id={id}");
                assert_eq!(answered(&offer), expected);
            }
        }
    }

    #[test]
    fn level_1b_lies_between_its_neighbours() {
        let rank = |text: &str| ProfileLevel::parse(text).unwrap().rank();
        assert!(rank("42e00a") < rank("42f00b") && rank("42f00b") < rank("42e00b"));
        // In High the flag means something else.
        assert_eq!(rank("64100b"), rank("64000b"));
    }

    #[test]
    fn what_is_no_h264_format_stays_as_it_is() {
        let answer = "a=fmtp:111 minptime=10;useinbandfec=1\r\na=fmtp:97 apt=96\r\na=fmtp:98 \
                      packetization-mode=1;profile-level-id=42e01f\r\na=mid:0\r\n";
        for offer in
            ["", "a=fmtp:98 packetization-mode=1\r\n", "a=fmtp:98 profile-level-id=zz\r\na=fmtp:97"]
        {
            assert_eq!(as_offered(answer, offer), answer);
        }
    }
}
