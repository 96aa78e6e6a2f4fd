//! From a packetized frame to one viewer's SRTP datagrams.
//!
//! Of all the work for a frame, only this is done once per viewer: a header, the encryption straight
//! into the memory it is sent from, and the send. str0m keeps what is rare and intricate: ICE, DTLS,
//! SDP, what comes in, and when RTCP is due. The two share the SRTP keys, so everything that str0m sends
//! in RTCP passes through [`RtpOutput::forward`], where its sender reports get our figures.

mod copies;
mod header;
mod pace;
mod reports;
mod spans;
mod srtp;
mod srtp_sender;
mod track;

use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use visavis_types::{AudioPacket, Bitrate, ClockAnchor, RenditionId};

use crate::bwe::BandwidthEstimator;
use crate::rtp::history::History;
use crate::rtp::numbers::Numbers;
use crate::rtp::packetize::PacketizedFrame;
use crate::rtp::stamp::FrameStamp;
use crate::transport::{Outbox, Route};
use copies::PictureCopies;
pub(crate) use header::ExtensionIds;
use pace::ResendLimits;
use srtp::Srtp;
pub(crate) use srtp::{SrtcpReader, SrtpKeys};
use srtp_sender::SrtpSender;
pub(crate) use track::Track;

/// RTP packets have 2 in their first two bits (RFC 3550 §5.1), and RTCP's second byte tells it apart
/// (RFC 5761 §4).
const RTP_OR_RTCP: std::ops::RangeInclusive<u8> = 128..=191;
const RTCP_TYPES: std::ops::RangeInclusive<u8> = 192..=223;

/// What one viewer is sent.
#[derive(Debug)]
pub(crate) struct RtpOutput {
    /// Set when DTLS has agreed on them.
    keys: Arc<OnceLock<SrtpKeys>>,
    srtp: Option<Srtp>,
    pub(crate) tracks: Tracks,
    /// Tracks that are not sent any more. If one of them is wanted again it must go on where it was: from
    /// the start, it would use every nonce a second time.
    retired: Vec<Track>,
    scratch: Vec<u8>,
    /// Where the viewer reports when packets arrive. Elsewhere, as it is not touched where it does not.
    pub(crate) estimator: Option<Box<BandwidthEstimator>>,
    copies: PictureCopies,
}

/// The media of one viewer.
#[derive(Debug, Default)]
pub(crate) struct Tracks {
    pub(crate) video: Option<Track>,
    pub(crate) audio: Option<Track>,
}

impl Tracks {
    fn by_ssrc(&mut self, ssrc: u32) -> Option<&mut Track> {
        [&mut self.video, &mut self.audio].into_iter().flatten().find(|track| track.ssrc() == ssrc)
    }
}

impl RtpOutput {
    pub(crate) fn new(keys: Arc<OnceLock<SrtpKeys>>) -> Self {
        Self {
            keys,
            srtp: None,
            tracks: Tracks::default(),
            retired: Vec::new(),
            scratch: Vec::new(),
            estimator: None,
            copies: PictureCopies::default(),
        }
    }

    /// Before tracks are chosen anew.
    pub(crate) fn retire(&mut self) {
        let Tracks { video, audio } = std::mem::take(&mut self.tracks);
        self.retired.extend(video.into_iter().chain(audio));
    }

    /// A track that was sent before, under its SSRC.
    pub(crate) fn revive(&mut self, ssrc: u32) -> Option<Track> {
        let place = self.retired.iter().position(|track| track.ssrc() == ssrc)?;
        Some(self.retired.swap_remove(place))
    }

    /// Forgets tracks that cannot be wanted again: their SSRC `lives` no more.
    pub(crate) fn forget_retired(&mut self, mut lives: impl FnMut(u32) -> bool) {
        self.retired.retain(|track| lives(track.ssrc()));
    }

    /// The keys, once DTLS has agreed on them, and the estimator, where the viewer reports when packets arrive.
    pub(crate) fn keys_and_estimator(
        &mut self,
    ) -> (Option<&SrtpKeys>, Option<&mut BandwidthEstimator>) {
        (self.keys.get(), self.estimator.as_deref_mut())
    }

    /// Begins to estimate where the viewer `reports` when packets arrive. What is known of its network outlives
    /// negotiations.
    pub(crate) fn estimate(&mut self, reports: bool) {
        if reports {
            self.estimator.get_or_insert_with(Box::default);
        } else {
            self.estimator = None;
        }
    }

    #[cfg(test)]
    pub(crate) fn retired(&self) -> usize {
        self.retired.len()
    }

    /// Everything needed to send, once DTLS is through. Packets may be numbered across streams where it is said when they
    /// are sent.
    fn ready<'a, O: Outbox>(
        &'a mut self,
        (route, out): (&'a Route, &'a mut O),
        now: Option<Instant>,
    ) -> Option<(SrtpSender<'a, O>, &'a mut Tracks)> {
        if self.srtp.is_none() {
            self.srtp = self.keys.get().and_then(Srtp::new);
        }
        let Self { srtp, scratch, tracks, estimator, .. } = self;
        let arrivals = estimator.as_deref_mut().zip(now);
        Some((SrtpSender { srtp: srtp.as_mut()?, route, scratch, out, arrivals }, tracks))
    }

    /// Sends some packets of a frame, which come after those that were sent before; `packet` is the number of the frame's first
    /// packet in the history, and `numbers` are those of the last picture of each rendition. False where it cannot be sent yet.
    pub(crate) fn send_video(
        &mut self,
        (frame, packets): (&PacketizedFrame, Range<usize>),
        stamp: &FrameStamp,
        (packet, numbers): (u64, impl Fn(RenditionId) -> Numbers),
        to: (&Route, &mut impl Outbox),
        now: Instant,
    ) -> bool {
        let Some((mut sender, Tracks { video: Some(track), .. })) = self.ready(to, Some(now))
        else {
            return false;
        };
        if packets.start == 0 {
            track.follow(frame.rendition, stamp, packet, numbers);
            if frame.keyframe {
                track.begin_keyframe();
            }
        }
        let is_last = packets.end == frame.payloads.len();
        track.send(frame.payloads.range(packets), is_last, stamp, &mut sender);
        true
    }

    /// How fast a picture is to leave that is larger than what the queues of networks take, where that matters: its packets
    /// are numbered, which shows how fast they come through.
    pub(crate) fn pace(&mut self, now: Instant) -> Option<Bitrate> {
        let estimator = self.estimator.as_deref_mut()?;
        let pace = estimator.pace(now)?;
        estimator.look_closer();
        Some(pace)
    }

    /// A picture of the rendition that is sent is left out, which is not of the base layer.
    pub(crate) fn leave_out(&mut self) {
        if let Some(track) = &mut self.tracks.video {
            track.leave_out();
        }
    }

    /// Sends an audio packet, with this in it. False where it cannot be sent yet.
    pub(crate) fn send_audio(
        &mut self,
        payload: &[u8],
        packet: &AudioPacket,
        to: (&Route, &mut impl Outbox),
    ) -> bool {
        let Some((mut sender, Tracks { audio: Some(track), .. })) = self.ready(to, None) else {
            return false;
        };
        let stamp = FrameStamp::new(packet.rtp_time, packet.captured);
        track.send(std::iter::once(payload), packet.talkspurt, &stamp, &mut sender);
        true
    }

    /// Sends again what a viewer has missed. Returns whether that helps, and how many packets; where it does not, only a
    /// keyframe can.
    pub(crate) fn resend<'a>(
        &mut self,
        lost: &[u16],
        history: impl Fn(RenditionId) -> Option<&'a History>,
        to: (&Route, &mut impl Outbox),
        now: Instant,
    ) -> (bool, usize) {
        let network = self.estimator.as_deref();
        let limits = network.map(|it| ResendLimits::of(it, now)).unwrap_or_default();
        let Some((mut sender, Tracks { video: Some(track), .. })) = self.ready(to, Some(now))
        else {
            return (true, 0);
        };
        let (mut helped, mut sent) = (true, 0);
        for &sequence in lost {
            helped &= !track.is_beyond_help(sequence, &history);
            sent += usize::from(track.resend(sequence, &history, (limits, now), &mut sender));
        }
        (helped, sent)
    }

    /// Sends at least so many bytes of what was sent last once more, for nothing but to see whether they get through. Returns
    /// how many.
    pub(crate) fn probe<'a>(
        &mut self,
        bytes: usize,
        history: impl Fn(RenditionId) -> Option<&'a History>,
        to: (&Route, &mut impl Outbox),
        now: Instant,
    ) -> usize {
        if let Some(estimator) = &mut self.estimator {
            estimator.look_closer();
        }
        match self.ready(to, Some(now)) {
            Some((mut sender, Tracks { video: Some(track), .. })) => {
                track.send_last_again(bytes, history, &mut sender)
            }
            _ => 0,
        }
    }

    /// Sends the picture before the last once more, to a viewer for whom that is sooner than to ask for what it lacks. Returns
    /// how many packets.
    pub(crate) fn send_copy<'a>(
        &mut self,
        history: impl Fn(RenditionId) -> Option<&'a History>,
        to: (&Route, &mut impl Outbox),
        now: Instant,
    ) -> usize {
        let Self { estimator: Some(estimator), copies, .. } = self else { return 0 };
        if !copies.are_sent(estimator, now) {
            return 0;
        }
        match self.ready(to, Some(now)) {
            Some((mut sender, Tracks { video: Some(track), .. })) => {
                track.send_before_again(history, &mut sender)
            }
            _ => 0,
        }
    }

    /// A receiver has reported on a stream: it knows by now whose it is.
    pub(crate) fn acknowledge(&mut self, ssrc: u32) {
        if let Some(track) = self.tracks.by_ssrc(ssrc) {
            track.acknowledge();
        }
    }

    /// Passes on what str0m wants sent by `route`, while media goes by `media`.
    pub(crate) fn forward(
        &mut self,
        contents: &[u8],
        (route, media): (&Route, Option<&Route>),
        (now, clock): (Instant, &ClockAnchor),
        out: &mut impl Outbox,
    ) {
        let Some(&[first, second]) = contents.get(..2) else { return };
        if !RTP_OR_RTCP.contains(&first) {
            out.datagram(route, contents.len()).copy_from_slice(contents);
        } else if RTCP_TYPES.contains(&second)
            && let Some(media) = media
        {
            self.forward_rtcp(contents, (now, clock), (media, out));
        }
        // str0m writes no media here, and a packet of its own would use our sequence numbers: keys and
        // nonces are the same.
    }

    /// str0m's RTCP is opened, completed and sealed again under the same index. Only the completed
    /// packet leaves, so no nonce is used twice (RFC 7714 §9.1).
    fn forward_rtcp(
        &mut self,
        protected: &[u8],
        (now, clock): (Instant, &ClockAnchor),
        to: (&Route, &mut impl Outbox),
    ) {
        let mut scratch = std::mem::take(&mut self.scratch);
        if let Some((mut sender, tracks)) = self.ready(to, None)
            && let Some(index) = sender.srtp.open_rtcp(protected, &mut scratch)
        {
            reports::complete(&mut scratch, |ssrc| tracks.by_ssrc(ssrc)?.report(now, clock));
            if !scratch.is_empty() {
                sender.send_rtcp(&scratch, index);
            }
        }
        self.scratch = scratch;
    }
}
