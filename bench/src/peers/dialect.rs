//! What a viewer says to servers that do not speak the signaling of visavis.
//!
//! A viewer thinks in the messages of visavis (`offer`, `answer`, `ice-candidate`, each with `data`); a
//! [`Conversation`] translates them for one connection. It holds no socket.

use serde_json::Value;

use super::janus;

/// How a server speaks on its WebSocket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dialect {
    /// As visavis does: the viewer offers, after the server's `config`. The naive loop and the aiortc
    /// server of this bench speak it too.
    #[default]
    Visavis,
    /// The Janus API with its streaming plugin: the server offers, the viewer answers.
    Janus,
}

/// The translation of one connection.
#[derive(Debug)]
pub enum Conversation {
    /// Nothing to translate.
    Visavis,
    /// One Janus session.
    Janus(janus::Conversation),
}

/// What came of a message from the server.
#[derive(Debug, Default, PartialEq)]
pub struct Parsed {
    /// What it means, in the messages of visavis.
    pub message: Option<Value>,
    /// What to answer the server at once, in its own words.
    pub reply: Option<Value>,
}

impl Dialect {
    /// The WebSocket subprotocol that the server insists on.
    pub fn subprotocol(self) -> Option<&'static str> {
        match self {
            Self::Visavis => None,
            Self::Janus => Some("janus-protocol"),
        }
    }

    /// Begins a conversation.
    pub fn begin(self) -> Conversation {
        match self {
            Self::Visavis => Conversation::Visavis,
            Self::Janus => Conversation::Janus(janus::Conversation::default()),
        }
    }
}

impl Conversation {
    /// What to say first, once connected.
    pub fn opening(&mut self) -> Option<Value> {
        match self {
            Self::Visavis => None,
            Self::Janus(janus) => Some(janus.opening()),
        }
    }

    /// Takes a message from the server.
    ///
    /// # Errors
    ///
    /// When the server refused something, in words.
    pub fn parse(&mut self, message: Value) -> Result<Parsed, String> {
        match self {
            Self::Visavis => Ok(Parsed { message: Some(message), reply: None }),
            Self::Janus(janus) => janus.parse(&message),
        }
    }

    /// Puts a message of visavis into the server's words; nothing where it has no use for it.
    pub fn say(&mut self, message: &Value) -> Option<Value> {
        match self {
            Self::Visavis => Some(message.clone()),
            Self::Janus(janus) => janus.say(message),
        }
    }
}
