//! STUN and TURN servers as browsers are told of them: `RTCIceServer` in JSON.

use serde::{Serialize, Serializer};

use crate::config::IceServer;

#[derive(Serialize)]
struct Body<'a> {
    urls: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<&'a str>,
}

/// For `serialize_with`.
pub(crate) fn serialize<S: Serializer>(
    servers: &&[IceServer],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(servers.iter().map(|server| Body {
        urls: &server.urls,
        username: server.username.as_deref(),
        credential: server.credential.as_deref(),
    }))
}
