use serde_json::Value;

/// A message from the server, translated.
#[derive(Debug, Default, PartialEq)]
pub struct Parsed {
    /// What it means, in the messages of visavis.
    pub message: Option<Value>,
    /// What to answer the server at once, in its own protocol.
    pub reply: Option<Value>,
}
