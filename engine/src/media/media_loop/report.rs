//! What follows from what happened to peers: which events are emitted, and what is counted.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use visavis_core::{CloseReason, HubEvent, NegotiateError, PictureStatus};
use visavis_types::Bitrate;

use super::MediaLoop;
use crate::audio::microphone::microphones::MicEvent;
use crate::config::SessionConfig;
use crate::error::OfferError;
use crate::event::{Event, LeaveReason};
use crate::faults::FaultDomain;
use crate::inbox::PeerMessage;
use crate::media::session::Session;
use crate::state::demand::Listeners;

impl MediaLoop {
    /// Handles what happened to peers, until it is time for something else; what is left comes next time.
    pub(super) fn report(&mut self, until: Option<Instant>) {
        while until.is_none_or(|until| Instant::now() < until)
            && let Some(event) = self.hub.poll_event()
        {
            match event {
                HubEvent::Joined { session, peer, codec } => {
                    let Some(watched) = self.session(session) else {
                        continue;
                    };
                    watched.viewers += 1;
                    let media = &watched.media;
                    media.report.viewer_joined();
                    // The caller's encoder knows what it was told last.
                    let again = media.demand.reset_bitrates().then_some(media.config.video_bitrate);
                    let wanted = again.and_then(|bitrate| bitrate_wanted(&media.config, bitrate));
                    let session = media.config.id.clone();
                    tracing::info!(%session, %peer, codec = codec.map(|c| c.name()), "viewer joined");
                    self.emit(&Event::PeerJoined { session, peer, codec });
                    wanted.iter().for_each(|event| self.emit(event));
                }
                HubEvent::Left { session, peer, reason, was_connected } => {
                    self.departed.push(peer);
                    let Some(Session { media, viewers, .. }) = self.session(session) else {
                        continue;
                    };
                    if was_connected {
                        *viewers = viewers.saturating_sub(1);
                        media.report.viewer_left();
                    }
                    // Where there is no room it is forgotten when it has been silent for a while.
                    if media.interest.wants_microphones() {
                        let _ = media.microphones.push(MicEvent::Left(peer));
                    }
                    media.inbox.forget(peer);
                    let (session, reason) = (media.config.id.clone(), reason.into());
                    tracing::info!(%session, %peer, reason = LeaveReason::as_str(reason), "viewer left");
                    self.emit(&Event::PeerLeft { session, peer, reason });
                }
                HubEvent::KeyframeWanted { session, rendition } => {
                    let Self { sessions, ready_queue, faults, .. } = self;
                    if let Some(Some(watched)) = sessions.get_mut(session.index()) {
                        watched.keyframe_wanted(rendition, faults);
                        ready_queue.set(session, watched.next_look());
                    }
                }
                HubEvent::BitrateWanted { session, rendition, bitrate } => {
                    if let Some(watched) = self.session(session) {
                        tracing::debug!(session = %watched.media.config.id, ?rendition, %bitrate, "bitrate");
                        watched.media.demand.set_bitrate(rendition, bitrate);
                        let wanted = bitrate_wanted(&watched.media.config, bitrate);
                        wanted.iter().for_each(|event| self.emit(event));
                    }
                }
                HubEvent::PictureChanged { session, peer, picture, is_limited: limited } => {
                    if let Some(media) = self.media(session) {
                        let session = media.config.id.clone();
                        let PictureStatus { rung, layer, bitrate, .. } = picture;
                        self.emit(&Event::PictureChanged {
                            session,
                            peer,
                            rung,
                            layer,
                            bitrate,
                            limited,
                        });
                    }
                }
                HubEvent::ActiveRenditions { session, video, audio, lossy_audio } => {
                    if let Some(watched) = self.session(session) {
                        watched.active = video;
                        let audio = Listeners { renditions: audio, lossy: lossy_audio };
                        watched.media.demand.set_active(video, audio);
                        self.ready_queue.set(session, Some(Instant::now()));
                    }
                }
                HubEvent::MicPacket { session, peer, packet } => {
                    let Some(media) = self.media(session) else {
                        continue;
                    };
                    media.counters.mic_packets.fetch_add(1, Relaxed);
                    if media.interest.wants_microphones() {
                        // A full ring means the audio loop stands still; sound this old is better lost.
                        if media.microphones.push(MicEvent::Packet(peer, packet)).is_err() {
                            media.counters.dropped_mic.fetch_add(1, Relaxed);
                        }
                        media.threads.audio.wake();
                    }
                }
                HubEvent::ChannelOpened { session, peer, label } => {
                    if let Some(media) = self.media(session) {
                        let session = media.config.id.clone();
                        tracing::debug!(%session, %peer, label = &*label, "data channel opened");
                        self.emit(&Event::DataChannelOpened { session, peer, label });
                    }
                }
                HubEvent::ChannelClosed { session, peer, label } => {
                    if let Some(media) = self.media(session) {
                        let session = media.config.id.clone();
                        tracing::debug!(%session, %peer, label = &*label, "data channel closed");
                        self.emit(&Event::DataChannelClosed { session, peer, label });
                    }
                }
                HubEvent::Message { session, peer, label, message } => {
                    let Some(media) = self.media(session) else {
                        continue;
                    };
                    let counters = &media.counters;
                    counters.data_received.fetch_add(1, Relaxed);
                    let kept = media.interest.wants_messages()
                        && media.inbox.put(PeerMessage { peer, label, message });
                    if !kept {
                        counters.data_dropped.fetch_add(1, Relaxed);
                    }
                }
                HubEvent::MessageRefused { session, peer } => {
                    if let Some(media) = self.media(session) {
                        tracing::debug!(%peer, "a message that cannot be used");
                        media.counters.data_dropped.fetch_add(1, Relaxed);
                    }
                }
                HubEvent::PeerFault { session, peer, why } => {
                    let of = self.media(session).map_or("?", |media| media.config.id.as_str());
                    let whose = format_args!("peer {peer} of session {of}").to_string();
                    self.faults.report(FaultDomain::Peer, &whose, &why);
                }
                HubEvent::Undelivered { session, peer, messages } => {
                    if let Some(media) = self.media(session) {
                        tracing::debug!(%peer, messages, "messages without a channel");
                        media.counters.data_undelivered.fetch_add(messages as u64, Relaxed);
                    }
                }
            }
        }
    }
}

/// What the caller's encoder is told, where it is to know.
fn bitrate_wanted(config: &SessionConfig, bitrate: Bitrate) -> Option<Event> {
    let codec = config.encoded.filter(|_| config.adaptive_encoder)?;
    Some(Event::BitrateWanted { session: config.id.clone(), codec, bitrate })
}

impl From<CloseReason> for LeaveReason {
    fn from(reason: CloseReason) -> Self {
        match reason {
            CloseReason::Closed => Self::Closed,
            CloseReason::ConnectTimeout => Self::ConnectTimeout,
            CloseReason::Vanished => Self::Vanished,
            CloseReason::Failed => Self::Failed,
            CloseReason::RsaCertificate => Self::RsaCertificate,
            CloseReason::SessionEnded => Self::Stopped,
        }
    }
}

impl From<NegotiateError> for OfferError {
    fn from(error: NegotiateError) -> Self {
        match error {
            NegotiateError::Sdp(problem) => Self::Sdp(problem),
            NegotiateError::NoCommonCodec => Self::NoCommonCodec,
            NegotiateError::TooManyOffers => Self::TooMany,
            NegotiateError::NoRandomness => Self::Busy,
            NegotiateError::OtherConnection => Self::OtherConnection,
        }
    }
}
