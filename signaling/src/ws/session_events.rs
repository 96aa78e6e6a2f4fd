//! What a client that asks for it (`?events=1`) is sent of the session it watches.

use visavis::Event;
use visavis::session::SessionId;
use visavis::utterance::UtteranceId;

use super::protocol::{Outgoing, UtteranceState};

/// Whether an event of the engine is sent to clients.
pub(crate) fn is_wanted(event: &Event) -> bool {
    message(event).is_some()
}

/// The session, and the message that its clients are sent.
pub(crate) fn message(event: &Event) -> Option<(&SessionId, Outgoing<'static>)> {
    use UtteranceState::{Ended, Interrupted, Started};
    let utterance = |id: UtteranceId, state, sent: Option<std::time::Duration>| {
        let sent_ms = sent.map(|sent| u64::try_from(sent.as_millis()).unwrap_or(u64::MAX));
        Outgoing::Utterance { utterance: id.as_raw(), state, sent_ms }
    };
    Some(match event {
        Event::LiveStarted { session, .. } => (session, Outgoing::Session { live: true }),
        Event::LiveEnded { session, .. } => (session, Outgoing::Session { live: false }),
        Event::UtteranceStarted { session, utterance: id, .. } => {
            (session, utterance(*id, Started, None))
        }
        Event::UtteranceEnded { session, utterance: id, sent, .. } => {
            (session, utterance(*id, Ended, Some(*sent)))
        }
        Event::Interrupted { session, utterance: Some(id), sent, .. } => {
            (session, utterance(*id, Interrupted, Some(*sent)))
        }
        _ => return None,
    })
}
