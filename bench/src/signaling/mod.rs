//! The signaling protocols of the servers that are measured.
//!
//! A viewer uses the messages of visavis (`offer`, `answer`, `ice-candidate`, each with `data`); a
//! [`Translator`] translates them for one connection to another server. It holds no socket.

mod janus;
mod parsed;

use serde_json::Value;

pub(crate) use janus::MOUNTPOINT as JANUS_MOUNTPOINT;
pub use parsed::Parsed;

/// The protocol on a server's WebSocket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protocol {
    /// As visavis does: the viewer offers, after the server's `config`. The naive loop and the aiortc
    /// server of this bench speak it too.
    #[default]
    Visavis,
    /// The Janus API with its streaming plugin: the server offers, the viewer answers.
    Janus,
}

/// The translation of one connection.
#[derive(Debug)]
pub struct Translator(Kind);

#[derive(Debug)]
enum Kind {
    /// Nothing to translate.
    Visavis,
    /// One Janus session.
    Janus(janus::Translator),
}

impl Protocol {
    /// The WebSocket subprotocol that the server insists on.
    pub fn subprotocol(self) -> Option<&'static str> {
        match self {
            Self::Visavis => None,
            Self::Janus => Some("janus-protocol"),
        }
    }

    /// Begins a translator.
    pub fn translator(self) -> Translator {
        Translator(match self {
            Self::Visavis => Kind::Visavis,
            Self::Janus => Kind::Janus(janus::Translator::default()),
        })
    }
}

impl Translator {
    /// The first message to send, once connected.
    pub fn opening(&mut self) -> Option<Value> {
        match &mut self.0 {
            Kind::Visavis => None,
            Kind::Janus(janus) => Some(janus.opening()),
        }
    }

    /// Takes a message from the server.
    ///
    /// # Errors
    ///
    /// The server's error, when it refused something.
    pub fn parse(&mut self, message: Value) -> Result<Parsed, String> {
        match &mut self.0 {
            Kind::Visavis => Ok(Parsed { message: Some(message), reply: None }),
            Kind::Janus(janus) => janus.parse(&message),
        }
    }

    /// Translates a message of visavis for the server; `None` where the server has no use for it.
    pub fn translate(&mut self, message: &Value) -> Option<Value> {
        match &mut self.0 {
            Kind::Visavis => Some(message.clone()),
            Kind::Janus(janus) => janus.translate(message),
        }
    }
}
