//! The Janus API as far as a viewer of a mountpoint needs it: create a session, attach to the
//! streaming plugin, watch, answer the offer.

use serde_json::{Value, json};

use super::parsed::Parsed;

/// The id of the mountpoint: the bench configures Janus with it.
pub(crate) const MOUNTPOINT: u64 = 1;

/// One viewer's way through the Janus API. Every request carries the name of its step as the
/// transaction, and Janus repeats it in the reply.
#[derive(Debug, Default)]
pub(super) struct Translator {
    session: Option<u64>,
    handle: Option<u64>,
}

impl Translator {
    /// Asks for a session.
    pub(super) fn opening(&self) -> Value {
        json!({"janus": "create", "transaction": "create"})
    }

    pub(super) fn parse(&mut self, message: &Value) -> Result<Parsed, String> {
        match text(message, "/janus") {
            "success" => self.granted(message),
            "event" => event(message),
            "error" => Err(format!("error from Janus: {message}")),
            "hangup" => {
                Err(format!("Janus closed the peer connection: {}", text(message, "/reason")))
            }
            // Acknowledgements and what the media is doing.
            _ => Ok(Parsed::default()),
        }
    }

    pub(super) fn translate(&mut self, message: &Value) -> Option<Value> {
        // Candidates are in the answer already: a viewer has its one socket before it answers.
        let answer = message.get("data").filter(|_| text(message, "/type") == "answer")?;
        let mut request = self.plugin("answer", &json!({"request": "start"}));
        request["jsep"] = answer.clone();
        Some(request)
    }

    fn granted(&mut self, message: &Value) -> Result<Parsed, String> {
        let id = message.pointer("/data/id").and_then(Value::as_u64);
        let id = id.ok_or_else(|| format!("no id in the message from Janus: {message}"))?;
        let reply = match text(message, "/transaction") {
            "create" => {
                self.session = Some(id);
                json!({
                    "janus": "attach", "plugin": "janus.plugin.streaming", "session_id": id,
                    "transaction": "attach",
                })
            }
            "attach" => {
                self.handle = Some(id);
                self.plugin("watch", &json!({"request": "watch", "id": MOUNTPOINT}))
            }
            other => return Err(format!("unexpected answer from Janus: {other:?}")),
        };
        Ok(Parsed { message: None, reply: Some(reply) })
    }

    fn plugin(&self, transaction: &str, body: &Value) -> Value {
        json!({
            "janus": "message", "session_id": self.session, "handle_id": self.handle,
            "transaction": transaction, "body": body,
        })
    }
}

/// An event of the plugin: an offer, a change of its state, or a refusal.
fn event(message: &Value) -> Result<Parsed, String> {
    let refusal = text(message, "/plugindata/data/error");
    if !refusal.is_empty() {
        return Err(format!("error from Janus' streaming plugin: {refusal}"));
    }
    let offer = message.get("jsep").filter(|jsep| text(jsep, "/type") == "offer");
    let message = offer.map(|data| json!({"type": "offer", "data": data}));
    Ok(Parsed { message, reply: None })
}

fn text<'a>(message: &'a Value, pointer: &str) -> &'a str {
    message.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(translator: &mut Translator, message: Value) -> Value {
        let heard = translator.parse(&message).unwrap();
        assert_eq!(heard.message, None, "{message}");
        heard.reply.unwrap()
    }

    /// As Janus 1.1.2 answers, shortened.
    fn watching() -> Translator {
        let mut translator = Translator::default();
        assert_eq!(translator.opening()["janus"], "create");
        let attach = reply(
            &mut translator,
            json!({"janus": "success", "transaction": "create", "data": {"id": 41}}),
        );
        assert_eq!(attach["janus"], "attach");
        assert_eq!(attach["plugin"], "janus.plugin.streaming");
        assert_eq!(attach["session_id"], 41);
        let watch = reply(
            &mut translator,
            json!({
                "janus": "success", "session_id": 41, "transaction": "attach",
                "data": {"id": 7_790_850_333_342_402_u64},
            }),
        );
        assert_eq!(watch["session_id"], 41);
        assert_eq!(watch["handle_id"], 7_790_850_333_342_402_u64);
        assert_eq!(watch["body"], json!({"request": "watch", "id": MOUNTPOINT}));
        translator
    }

    #[test]
    fn comes_to_the_offer_and_answers_it() {
        let mut translator = watching();
        let ack = json!({"janus": "ack", "session_id": 41, "transaction": "watch"});
        assert_eq!(translator.parse(&ack).unwrap(), Parsed::default());
        let offer = json!({
            "janus": "event", "session_id": 41, "transaction": "watch", "sender": 7,
            "plugindata": {
                "plugin": "janus.plugin.streaming",
                "data": {"streaming": "event", "result": {"status": "preparing"}},
            },
            "jsep": {"type": "offer", "sdp": "v=0\r\n"},
        });
        let heard = translator.parse(&offer).unwrap();
        assert_eq!(
            heard.message.unwrap(),
            json!({"type": "offer", "data": {"type": "offer", "sdp": "v=0\r\n"}})
        );
        assert_eq!(heard.reply, None);
        let data = json!({"type": "answer", "sdp": "v=0\r\n"});
        let start = translator.translate(&json!({"type": "answer", "data": data})).unwrap();
        assert_eq!(start["body"]["request"], "start");
        assert_eq!(start["jsep"], data);
        assert_eq!(start["session_id"], 41);
    }

    #[test]
    fn candidates_are_not_repeated() {
        let candidate = json!({"type": "ice-candidate", "data": {"candidate": "candidate:1"}});
        assert_eq!(watching().translate(&candidate), None);
    }

    #[test]
    fn refusals_are_told() {
        let mut translator = watching();
        let missing = json!({
            "janus": "event", "sender": 7, "transaction": "watch",
            "plugindata": {"data": {"error_code": 455, "error": "No such mountpoint/stream 1"}},
        });
        assert!(translator.parse(&missing).unwrap_err().contains("No such mountpoint"));
        let error = json!({"janus": "error", "error": {"code": 458, "reason": "No such session"}});
        assert!(translator.parse(&error).unwrap_err().contains("No such session"));
        let hangup = json!({"janus": "hangup", "reason": "ICE failed"});
        assert!(translator.parse(&hangup).unwrap_err().contains("ICE failed"));
    }

    #[test]
    fn what_makes_no_sense_is_an_error() {
        let mut translator = Translator::default();
        assert!(translator.parse(&json!({"janus": "success"})).is_err());
        let stray = json!({"janus": "success", "transaction": "?", "data": {"id": 1}});
        assert!(translator.parse(&stray).is_err());
        assert_eq!(translator.parse(&json!([])).unwrap(), Parsed::default());
    }
}
