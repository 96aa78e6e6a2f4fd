//! STUN and TURN servers as `Link` fields (draft-ietf-wish-whep-03 §4.5).

use crate::config::IceServer;

/// One field value for each address of each server.
pub(crate) fn links(servers: &[IceServer]) -> Vec<String> {
    let of_server = |server: &IceServer| {
        let credentials = credentials(server)?;
        Some(
            server
                .urls
                .iter()
                .filter(|url| is_printable(url))
                .map(move |url| format!("<{url}>; rel=\"ice-server\"{credentials}"))
                .collect::<Vec<_>>(),
        )
    };
    servers.iter().filter_map(of_server).flatten().collect()
}

/// `None` where they cannot be written in a header field.
fn credentials(server: &IceServer) -> Option<String> {
    let (Some(username), Some(credential)) = (&server.username, &server.credential) else {
        return Some(String::new());
    };
    let (username, credential) = (quoted(username)?, quoted(credential)?);
    Some(format!("; username={username}; credential={credential}; credential-type=\"password\""))
}

/// A quoted string (RFC 9110 §5.6.4).
fn quoted(text: &str) -> Option<String> {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    is_printable(text).then(|| format!("\"{escaped}\""))
}

fn is_printable(text: &str) -> bool {
    text.bytes().all(|b| (b' '..=b'~').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(urls: &[&str], user: Option<(&str, &str)>) -> IceServer {
        IceServer {
            urls: urls.iter().map(|url| (*url).to_owned()).collect(),
            username: user.map(|(name, _)| name.to_owned()),
            credential: user.map(|(_, password)| password.to_owned()),
        }
    }

    #[test]
    fn each_address_is_a_link() {
        let servers = [
            server(&["stun:stun.example.net"], None),
            server(
                &["turn:turn.example.net?transport=udp", "turns:turn.example.net:443"],
                Some(("user", "my\"pass\\word")),
            ),
            server(&["turn:a.example.net"], Some(("line\r\nbreak", "x"))),
            server(&["stun:b.example.net\r\nX: y"], None),
        ];
        let credentials =
            r#"; username="user"; credential="my\"pass\\word"; credential-type="password""#;
        assert_eq!(
            links(&servers),
            [
                "<stun:stun.example.net>; rel=\"ice-server\"".to_owned(),
                format!("<turn:turn.example.net?transport=udp>; rel=\"ice-server\"{credentials}"),
                format!("<turns:turn.example.net:443>; rel=\"ice-server\"{credentials}"),
            ]
        );
    }
}
