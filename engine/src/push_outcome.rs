use std::time::Duration;

/// What became of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PushOutcome {
    /// It is on its way.
    Accepted,
    /// The session is not started yet: counted, otherwise ignored.
    NotStarted,
    /// The session was stopped: counted, otherwise ignored. Nothing will be taken any more.
    Stopped,
    /// The engine does not keep up, or what it belongs to was interrupted. Encoded pictures are dropped
    /// from here to the next keyframe, which is asked for.
    Dropped,
    /// It is on its way, and so much of the oldest sound that waits has to go for it: more waits than
    /// [`SessionConfig::audio_queue`](crate::SessionConfig::audio_queue). Sound that is made faster than it plays belongs
    /// in an utterance ([`Session::begin_utterance`](crate::Session::begin_utterance)), which says
    /// [`Full`](Self::Full) instead and loses nothing.
    DroppedOldest(Duration),
    /// So much of an utterance waits already that this was not taken: push it again when some of it has
    /// been played, or let [`Utterance::push_audio_within`](crate::utterance::Utterance::push_audio_within) and its like wait
    /// for that.
    Full,
}
