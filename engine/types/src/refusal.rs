use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The kinds in one place. A new one is a line below; `/metrics` and `/status` show it from then on.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)+) => {
        /// What was refused or dropped because it was unusable, or more than its sender may have.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Refusal {
            $($(#[$doc])* $kind,)+
        }

        impl Refusal {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$kind,)+];

            /// The stable word for it in `/metrics` and `/status`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }
        }
    };
}

kinds! {
    /// Datagrams that are none of STUN, DTLS, RTP and RTCP, or that no peer owns.
    Datagram = "datagram",
    /// Connectivity checks, or answers to ours, that were not made with the peer's password.
    IceIntegrity = "ice_integrity",
    /// Connectivity checks of a peer beyond its rate.
    IceCheck = "ice_check",
    /// Checks from more addresses than one peer may have.
    IceSource = "ice_source",
    /// Answers to no check of ours, or from elsewhere than it was sent to.
    IceAnswer = "ice_answer",
    /// ICE candidates beyond those one peer may tell of.
    Candidate = "candidate",
    /// Offers that are no session descriptions, too long, or have nothing that can be sent; and those of a
    /// living peer beyond its rate.
    Offer = "offer",
    /// RTP packets of a peer beyond its rate.
    Rtp = "rtp",
    /// RTCP packets of a peer beyond its rate.
    Rtcp = "rtcp",
    /// DTLS datagrams of a peer beyond its rate; its messages come in them.
    Dtls = "dtls",
    /// Peers without an ECDSA certificate: theirs is RSA, which DTLS takes none of here.
    RsaCertificate = "rsa_certificate",
    /// Messages of a peer beyond its rate.
    Message = "message",
    /// Messages of a peer that may send none.
    MessageNotAllowed = "message_not_allowed",
    /// Keyframe requests of a peer that had to wait.
    Keyframe = "keyframe",
    /// Packets of a viewer's microphone, or made up in place of lost ones, that are more than a voice needs; those of
    /// a second stream beside it.
    Microphone = "microphone",
    /// TCP connections that found no place, or were closed idle for others.
    Connection = "connection",
    /// Requests addressed to a name that is not the server's.
    WrongHost = "wrong_host",
    /// Requests and WebSockets of pages of other origins.
    CrossOrigin = "cross_origin",
    /// Viewers for whom there was no place.
    Place = "place",
    /// More new viewers from one address than may come in a short time.
    JoinRate = "join_rate",
    /// More sessions asked for from one address than may be in a short time.
    SessionRate = "session_rate",
    /// More offers of one viewer than may come in a short time.
    OfferRate = "offer_rate",
    /// More candidates of one viewer than may come in a short time.
    CandidateRate = "candidate_rate",
    /// WebSockets without an offer that could be answered.
    OfferTimeout = "offer_timeout",
    /// WebSockets closed for what came on them: too much, or too much that was of no use.
    WebSocketAbuse = "websocket_abuse",
    /// Uploads of speech while too many others are played, or wait for their session.
    Upload = "upload",
}

/// Counts refusals by kind, for everybody: writers on any thread, without waiting.
#[derive(Debug)]
pub struct Refusals {
    counts: [AtomicU64; Refusal::ALL.len()],
}

impl Default for Refusals {
    fn default() -> Self {
        Self { counts: [const { AtomicU64::new(0) }; Refusal::ALL.len()] }
    }
}

impl Refusals {
    /// Counts one.
    pub fn count(&self, kind: Refusal) {
        self.count_many(kind, 1);
    }

    /// Counts `many` at once.
    pub fn count_many(&self, kind: Refusal, many: u64) {
        self.counts[kind as usize].fetch_add(many, Relaxed);
    }

    /// How many of a kind there were.
    pub fn get(&self, kind: Refusal) -> u64 {
        self.counts[kind as usize].load(Relaxed)
    }

    /// Every kind with how many there were.
    pub fn iter(&self) -> impl Iterator<Item = (Refusal, u64)> + '_ {
        Refusal::ALL.iter().map(|&kind| (kind, self.get(kind)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_counted_on_its_own_under_a_word_of_its_own() {
        let refusals = Refusals::default();
        for (index, &kind) in Refusal::ALL.iter().enumerate() {
            refusals.count_many(kind, index as u64 + 1);
        }
        let mut names = Vec::new();
        for (index, (kind, count)) in refusals.iter().enumerate() {
            assert_eq!(count, index as u64 + 1);
            assert!(!names.contains(&kind.name()), "{kind:?}");
            names.push(kind.name());
        }
    }
}
