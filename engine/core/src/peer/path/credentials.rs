//! ICE credentials in descriptions (RFC 8839 §5.4).

use str0m::ice::IceCreds;

const UFRAG: &str = "a=ice-ufrag:";
const PASSWORD: &str = "a=ice-pwd:";

/// The credentials of the side that made a description: those of the session, or of the first section that has
/// both. All sections share one transport (BUNDLE), and this is how str0m chooses.
pub(crate) fn of(sdp: &str) -> Option<IceCreds> {
    let mut sections = sdp.split("\nm=");
    sections.find_map(|section| {
        let value = |name| section.lines().find_map(|line| line.strip_prefix(name));
        let (ufrag, pass) = (value(UFRAG)?.to_owned(), value(PASSWORD)?.to_owned());
        Some(IceCreds { ufrag, pass })
    })
}

/// Writes other credentials into an answer. Candidates name the user too.
pub(crate) fn put(answer: &str, credentials: &IceCreds) -> String {
    let mut out = String::with_capacity(answer.len() + 64);
    for line in answer.split_inclusive("\r\n") {
        if line.starts_with(UFRAG) {
            out.extend([UFRAG, &credentials.ufrag, "\r\n"]);
        } else if line.starts_with(PASSWORD) {
            out.extend([PASSWORD, &credentials.pass, "\r\n"]);
        } else if let Some((before, after)) =
            line.split_once(" ufrag ").filter(|_| line.starts_with("a=candidate:"))
        {
            let rest = after.find([' ', '\r']).map_or("\r\n", |end| &after[end..]);
            out.extend([before, " ufrag ", &credentials.ufrag, rest]);
        } else {
            out.push_str(line);
        }
    }
    out
}

/// Runs what would write credentials into the log. The ICE agent logs both sides' as they are set, at the level
/// `DEBUG`, and the event of new ones with all that is in it, at `TRACE`. Its feature `pii`
/// hides the former alone, and with them every address.
pub(crate) fn unlogged<T>(run: impl FnOnce() -> T) -> T {
    tracing::dispatcher::with_default(&tracing::Dispatch::none(), run)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SDP: &str = "v=0\r\na=ice-lite\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=ice-ufrag:one\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=ice-ufrag:two\r\na=ice-pwd:secret\r\n\
        a=candidate:1 1 udp 2130706175 1.2.3.4 9876 typ host ufrag two\r\n\
        a=candidate:2 1 udp 1 1.2.3.5 9876 typ host ufrag two generation 0\r\n";

    #[test]
    fn a_half_of_credentials_is_none() {
        let two = IceCreds { ufrag: "two".to_owned(), pass: "secret".to_owned() };
        assert_eq!(of(SDP), Some(two));
        assert_eq!(of("v=0\r\n"), None);
        let session = "v=0\r\na=ice-ufrag:s\r\na=ice-pwd:p\r\nm=audio 9 X 1\r\na=ice-ufrag:m\r\n";
        assert_eq!(of(session).map(|found| found.ufrag), Some("s".to_owned()));
    }

    #[test]
    fn others_are_written_wherever_there_were_some() {
        let other = IceCreds { ufrag: "O".to_owned(), pass: "P".to_owned() };
        let put = put(SDP, &other);
        assert!(!put.contains("two") && !put.contains("one") && !put.contains("secret"), "{put}");
        assert!(put.ends_with("typ host ufrag O generation 0\r\n"), "{put}");
        assert_eq!(put.lines().count(), SDP.lines().count());
        assert_eq!(of(&put).map(|found| found.pass), Some("P".to_owned()));
    }
}
