//! Fragments of SDP that carry nothing but ICE: `application/trickle-ice-sdpfrag` (RFC 8840 §9).

use std::fmt::Write;

/// Candidates taken of one fragment. A browser finds about a dozen, with every interface and every TURN
/// server.
const MAX_CANDIDATES: usize = 100;

/// A user name fragment and its password: what names one side of an ICE session (RFC 8839 §5.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    ufrag: String,
    pwd: String,
}

/// The viewer's ICE parameters and candidates.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Fragment {
    /// Whose ICE session this is. Other ones than before are an ICE restart.
    pub(crate) credentials: Option<Credentials>,
    /// As `RTCIceCandidate.candidate` has them.
    pub(crate) candidates: Vec<String>,
}

/// Why a fragment cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FragmentError {
    #[error("the fragment has a line that is not SDP")]
    Line,
    #[error("invalid ice-ufrag or ice-pwd; expected both, of 4 to 256 and 22 to 256 ice-chars")]
    Credentials,
    #[error("the fragment has different ICE credentials for one bundle of media")]
    Mixed,
    #[error("more than {MAX_CANDIDATES} candidates in one fragment")]
    Candidates,
}

impl Credentials {
    /// The first ones of a description: with all media in one bundle they are those of all.
    pub(crate) fn of(sdp: &str) -> Option<Self> {
        let value = |name: &str| sdp.lines().find_map(|line| line.trim_end().strip_prefix(name));
        let (ufrag, pwd) = (value("a=ice-ufrag:")?, value("a=ice-pwd:")?);
        Some(Self { ufrag: ufrag.to_owned(), pwd: pwd.to_owned() })
    }
}

impl Fragment {
    pub(crate) fn parse(text: &str) -> Result<Self, FragmentError> {
        let (mut ufrag, mut pwd) = (None, None);
        let mut candidates = Vec::new();
        for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
            let Some((kind, value)) = line.split_once('=') else {
                return Err(FragmentError::Line);
            };
            if kind.len() != 1 || !kind.bytes().all(|b| b.is_ascii_lowercase()) {
                return Err(FragmentError::Line);
            }
            match (kind, value.split_once(':')) {
                ("a", Some(("ice-ufrag", text))) => set(&mut ufrag, text, 4)?,
                ("a", Some(("ice-pwd", text))) => set(&mut pwd, text, 22)?,
                ("a", Some(("candidate", _))) if candidates.len() == MAX_CANDIDATES => {
                    return Err(FragmentError::Candidates);
                }
                ("a", Some(("candidate", _))) => candidates.push(value.to_owned()),
                _ => {}
            }
        }
        let credentials = match (ufrag, pwd) {
            (Some(ufrag), Some(pwd)) => {
                Some(Credentials { ufrag: ufrag.to_owned(), pwd: pwd.to_owned() })
            }
            (None, None) => None,
            _ => return Err(FragmentError::Credentials),
        };
        Ok(Self { credentials, candidates })
    }
}

/// Stores user name or password. They may be on session level, and again in each media section.
fn set<'a>(known: &mut Option<&'a str>, text: &'a str, least: usize) -> Result<(), FragmentError> {
    let is_ice_char = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    if !(least..=256).contains(&text.len()) || !text.bytes().all(is_ice_char) {
        return Err(FragmentError::Credentials);
    }
    match known.replace(text) {
        Some(before) if before != text => Err(FragmentError::Mixed),
        _ => Ok(()),
    }
}

/// The ICE lines of an answer: those of the session, and those of the first media section, which stands for the
/// BUNDLE group (RFC 8840 §4.4). Without candidates of TCP: clients in use (`whip-whep` 1.2) break where there is more than
/// one candidate, as these are one more for each address. Who comes by TCP and restarts ICE joins anew.
pub(crate) fn of_answer(answer: &str) -> String {
    let mut fragment = String::new();
    let mut sections = 0;
    for line in answer.lines() {
        sections += usize::from(line.starts_with("m="));
        if sections > 1 {
            break;
        }
        if line.starts_with("a=candidate:") && line.contains(" tcp ") {
            continue;
        }
        let of_ice = ["a=ice-", "a=candidate:", "a=end-of-candidates"];
        let of_bundle = ["m=", "a=group:BUNDLE", "a=mid:"];
        if of_ice.iter().chain(&of_bundle).any(|start| line.starts_with(start)) {
            let _ = write!(fragment, "{line}\r\n");
        }
    }
    fragment
}

/// The offer with which the same viewer would restart ICE: nothing else about it has changed.
pub(crate) fn restarted(offer: &str, credentials: &Credentials) -> String {
    let mut restarted = String::with_capacity(offer.len());
    for line in offer.split_inclusive('\n') {
        let end = &line[line.trim_end_matches(['\r', '\n']).len()..];
        if line.starts_with("a=ice-ufrag:") {
            let _ = write!(restarted, "a=ice-ufrag:{}{end}", credentials.ufrag);
        } else if line.starts_with("a=ice-pwd:") {
            let _ = write!(restarted, "a=ice-pwd:{}{end}", credentials.pwd);
        } else if !line.starts_with("a=candidate:") && !line.starts_with("a=end-of-candidates") {
            restarted.push_str(line);
        }
    }
    restarted
}

/// Makes an offer receive-only: WHEP answers with `sendonly`, whatever direction is offered
/// (draft-ietf-wish-whep-03 §4.2.5).
pub(crate) fn receive_only(offer: &str) -> String {
    let mut watching = String::with_capacity(offer.len() + 16);
    let mut is_in_session = true;
    for line in offer.split_inclusive('\n') {
        // A section without a direction is `sendrecv` (RFC 3264 §5.1).
        if line.starts_with("m=") && std::mem::take(&mut is_in_session) {
            watching.push_str("a=recvonly\r\n");
        }
        match line.strip_prefix("a=sendrecv") {
            Some(end) if end.trim().is_empty() => {
                watching.push_str("a=recvonly");
                watching.push_str(end);
            }
            _ => watching.push_str(line),
        }
    }
    watching
}

/// Reads a fragment, and makes the offer of an ICE restart with it.
#[cfg(feature = "fuzzing")]
pub(crate) fn is_fragment(text: &str) -> bool {
    let Ok(read) = Fragment::parse(text) else { return false };
    if let Some(credentials) = read.credentials {
        let offer = restarted(&receive_only(text), &credentials);
        assert_eq!(Credentials::of(&offer), Some(credentials), "{offer}");
        let _ = of_answer(&offer);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const PWD: &str = "vw5LmwG4y/e6dPP+zAP9Gp5k";

    fn credentials(ufrag: &str) -> Credentials {
        Credentials { ufrag: ufrag.to_owned(), pwd: PWD.to_owned() }
    }

    #[test]
    fn fragments_as_the_draft_and_players_write_them() {
        let host = "candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0";
        let in_section = format!(
            "a=ice-options:trickle ice2\r\na=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n\
             a=mid:0\r\na=ice-ufrag:ysXw\r\na=ice-pwd:{PWD}\r\na={host}\r\na=end-of-candidates\r\n"
        );
        let in_session =
            format!("a=ice-ufrag:ysXw\na=ice-pwd:{PWD}\nm=audio RTP/AVP 0\na=mid:0\na={host}\n");
        for text in [in_section, in_session] {
            let fragment = Fragment::parse(&text).unwrap();
            assert_eq!(fragment.credentials, Some(credentials("ysXw")), "{text}");
            assert_eq!(fragment.candidates, [host], "{text}");
        }
        assert_eq!(Fragment::parse(""), Ok(Fragment::default()));
    }

    #[test]
    fn what_is_no_fragment_is_refused() {
        let many = "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n".repeat(MAX_CANDIDATES + 1);
        let other = format!("a=ice-pwd:{PWD}\r\na=ice-ufrag:abcd\r\nm=x\r\na=ice-ufrag:efgh\r\n");
        for (text, error) in [
            ("hello", FragmentError::Line),
            ("{\"candidate\"=1}", FragmentError::Line),
            ("a=ice-ufrag:abcd\r\n", FragmentError::Credentials),
            ("a=ice-ufrag:abc\r\n", FragmentError::Credentials),
            ("a=ice-pwd:tooshort\r\n", FragmentError::Credentials),
            ("a=ice-ufrag:ab cd\r\n", FragmentError::Credentials),
            (other.as_str(), FragmentError::Mixed),
            (many.as_str(), FragmentError::Candidates),
        ] {
            assert_eq!(Fragment::parse(text), Err(error), "{text:.60}");
        }
    }

    #[test]
    fn a_restart_changes_the_credentials_of_every_section_and_nothing_else() {
        let offer = "v=0\r\nm=video 9 X 96\r\na=ice-ufrag:old1\r\na=ice-pwd:oldoldoldoldoldoldoldold\r\n\
                     a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\na=mid:0\r\nm=audio 9 X 0\r\n\
                     a=ice-ufrag:old1\r\na=ice-pwd:oldoldoldoldoldoldoldold\r\na=mid:1\r\n";
        let expected = format!(
            "v=0\r\nm=video 9 X 96\r\na=ice-ufrag:new1\r\na=ice-pwd:{PWD}\r\na=mid:0\r\n\
             m=audio 9 X 0\r\na=ice-ufrag:new1\r\na=ice-pwd:{PWD}\r\na=mid:1\r\n"
        );
        let new = restarted(offer, &credentials("new1"));
        assert_eq!(new, expected);
        assert_eq!(Credentials::of(&new), Some(credentials("new1")));
        // The last line of a body may have half an end.
        let torn = format!("a=ice-ufrag:new1 \r\na=ice-pwd:{PWD}\r");
        assert_eq!(Credentials::of(&torn), Some(credentials("new1")));
    }

    #[test]
    fn an_answer_gives_the_fragment_of_its_first_section() {
        let answer = "v=0\r\na=group:BUNDLE 0 1\r\na=fingerprint:sha-256 00\r\nm=video 9 X 96\r\n\
                      a=mid:0\r\na=ice-ufrag:abcd\r\na=ice-pwd:efgh\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n\
                      a=candidate:2 1 tcp 1 192.0.2.1 9 typ host tcptype passive\r\n\
                      a=end-of-candidates\r\na=sendonly\r\nm=audio 9 X 0\r\na=mid:1\r\na=ice-ufrag:abcd\r\n";
        let expected = "a=group:BUNDLE 0 1\r\nm=video 9 X 96\r\na=mid:0\r\na=ice-ufrag:abcd\r\n\
                        a=ice-pwd:efgh\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n\
                        a=end-of-candidates\r\n";
        assert_eq!(of_answer(answer), expected);
    }

    #[test]
    fn who_offers_to_send_as_well_only_receives() {
        let offer = "m=video\r\na=sendrecv\r\na=sendrecvx\r\na=recvonly\r\nm=audio\r\na=sendonly\r\na=sendrecv";
        let expected = "a=recvonly\r\nm=video\r\na=recvonly\r\na=sendrecvx\r\na=recvonly\r\nm=audio\r\na=sendonly\r\na=recvonly";
        assert_eq!(receive_only(offer), expected);
        // However much stands in front, and however many sections there are, it is gone through once.
        let many = format!("s={}\n{}", "m".repeat(4 << 20), "m=\n".repeat(1 << 20));
        let expected =
            format!("s={}\na=recvonly\r\n{}", "m".repeat(4 << 20), "m=\n".repeat(1 << 20));
        assert!(receive_only(&many) == expected);
    }
}
