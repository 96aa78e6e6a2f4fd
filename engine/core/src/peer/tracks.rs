//! What a viewer is sent, out of what was negotiated.

use std::time::Instant;

use str0m::Rtc;
use str0m::media::Mid;
use visavis_types::{AudioCodec, AudioPacket, AudioRendition, PeerId, RenditionId, VideoCodec};

use super::pieces::{Behind, LARGE_BYTES, Pace};
use super::sound_copies::SoundCopies;
use crate::rendition::{Choice, Renditions, Selection, Take};
use crate::rtp::packetize::{PacketizedFrame, Redundancy};
use crate::rtp::send::{ExtensionIds, RtpOutput, Track};
use crate::rtp::stamp::FrameStamp;
use crate::sdp::{Codec, Format, Taken, TakenKind};
use crate::transport::{Outbox, Route};

/// RTP clock rate of every video codec.
const VIDEO_HZ: u32 = 90_000;

/// Codecs in order of preference. Those not named come after them, in the viewer's order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CodecOrder {
    /// For the picture.
    pub video: Vec<VideoCodec>,
    /// For the sound.
    pub audio: Vec<AudioCodec>,
}

/// What one viewer is sent.
#[derive(Debug)]
pub(super) struct Tracks {
    order: CodecOrder,
    pub(super) video: Option<VideoState>,
    pub(super) audio: Option<AudioState>,
    copies: SoundCopies,
    /// That a viewer began to lose packets, or ended, is still to be told.
    sound_changed: bool,
    pub(super) output: RtpOutput,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct VideoState {
    pub(super) codec: VideoCodec,
    /// None until it is in its session.
    pub(super) selection: Option<Selection>,
    /// What it is to get next, while it does not have what others have.
    pub(super) behind: Option<Behind>,
    /// How fast that goes, where not with the pictures that come.
    pub(super) pace: Option<Pace>,
}

impl VideoState {
    pub(super) fn await_keyframe(&mut self) {
        (self.behind, self.pace) = (None, None);
        self.selection.iter_mut().for_each(Selection::await_keyframe);
    }

    /// The rendition that it is to begin with.
    pub(super) fn rendition(&self) -> Option<RenditionId> {
        Some(self.selection?.wanted())
    }
}

/// How far a viewer is that catches up with the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// It has what the others have.
    Done,
    /// It will have what comes, later.
    Behind,
    /// What it needs is not known any more, or cannot be sent: it is to have a keyframe.
    Lost,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct AudioState {
    pub(super) rendition: AudioRendition,
    /// Its payload type, and that of packets with copies, where the viewer takes such.
    number: u8,
    red: Option<u8>,
}

impl Tracks {
    /// None yet.
    pub(super) fn new(order: CodecOrder, copies: SoundCopies, output: RtpOutput) -> Self {
        Self { order, video: None, audio: None, copies, sound_changed: false, output }
    }

    /// The SSRC of one of them, where there is one.
    pub(super) fn ssrc(&self) -> Option<u32> {
        let tracks = &self.output.tracks;
        tracks.video.as_ref().or(tracks.audio.as_ref()).map(Track::ssrc)
    }

    /// Has the viewer get what was chosen for it. True where a keyframe is needed to change to that.
    pub(super) fn select(&mut self, choice: Choice) -> bool {
        let Some(video) = &mut self.video else { return false };
        match &mut video.selection {
            Some(selection) => selection.change_to(choice),
            none => {
                *none = Some(Selection::new(choice));
                false
            }
        }
    }

    /// Picks, from what was negotiated, what the viewer is sent.
    pub(super) fn choose(&mut self, peer: PeerId, taken: &[Taken], rtc: &mut Rtc) {
        let sent = |kind: TakenKind| {
            taken.iter().find(|section| section.kind == kind && section.direction.sends)
        };
        // The session's preferences first, then the browser's order; of the H264 profiles the one the
        // encoder makes.
        let video = sent(TakenKind::Video).and_then(|section| {
            let formats = section.formats.iter();
            let known = formats.filter_map(|format| Some((section, format, format.codec.video()?)));
            known.min_by_key(|(_, format, codec)| {
                (rank(&self.order.video, *codec), format.codec == Codec::H264Baseline)
            })
        });
        let audio = sent(TakenKind::Audio).and_then(|section| {
            let formats = section.formats.iter();
            let known = formats.filter_map(|format| Some((section, format, format.codec.audio()?)));
            known.min_by_key(|(_, _, codec)| rank(&self.order.audio, *codec))
        });
        let old_ssrc = self.output.tracks.video.as_ref().map(Track::ssrc);
        self.output.retire();
        self.audio = audio.and_then(|(section, format, codec)| {
            let Format { number, red, stereo, .. } = *format;
            let track = self.track(peer, section, rtc, codec.clock_hz(), (number, None), false)?;
            self.output.tracks.audio = Some(track);
            Some(AudioState { rendition: AudioRendition::of(codec, stereo), number, red })
        });
        self.set_copies();
        let before = self.video.take();
        self.video = video.and_then(|(section, format, codec)| {
            let Format { number, rtx, .. } = *format;
            let reports_arrivals = format.reports_arrivals();
            let track =
                self.track(peer, section, rtc, VIDEO_HZ, (number, rtx), reports_arrivals)?;
            self.output.estimate(track.extensions.numbers_transport());
            let same = old_ssrc == Some(track.ssrc());
            self.output.tracks.video = Some(track);
            let unchanged = before.filter(|before| same && before.codec == codec);
            Some(unchanged.unwrap_or(VideoState {
                codec,
                selection: None,
                behind: None,
                pace: None,
            }))
        });
        // Sections that were given to others took their streams with them, whose SSRCs do not come again.
        let mut api = rtc.direct_api();
        self.output.forget_retired(|ssrc| api.stream_tx(&ssrc.into()).is_some());
    }

    /// The stream for a media section: the one it had, with what was negotiated anew, or a new one.
    fn track(
        &mut self,
        peer: PeerId,
        section: &Taken,
        rtc: &mut Rtc,
        clock_hz: u32,
        (number, resend_number): (u8, Option<u8>),
        reports_arrivals: bool,
    ) -> Option<Track> {
        // RFC 3550 §5.1: unpredictable; the upper half is left free so that SRTP's roll-over counter,
        // which starts at 0 on both sides, is agreed on before the first roll-over (RFC 3711 §3.3.1).
        let first = (peer.as_raw() & 0x7fff) as u16;
        let mut api = rtc.direct_api();
        let stream = api.stream_tx_by_mid(Mid::from(&*section.name), None)?;
        let (ssrc, resend_ssrc) = (*stream.ssrc(), stream.rtx().map(|ssrc| *ssrc));
        let mid = section.mid.as_deref().unwrap_or_default();
        let revived = self.output.revive(ssrc);
        let mut track = revived.unwrap_or_else(|| Track::new(mid, ssrc, clock_hz, first));
        let mut extensions = ExtensionIds::default();
        section.extensions().for_each(|(id, uri)| extensions.add(id, uri));
        if !reports_arrivals {
            extensions.leave_out_transport();
        }
        track.payload_type = number;
        track.clock_hz = clock_hz;
        track.extensions = extensions;
        track.resend_in(resend_ssrc.zip(resend_number), first);
        Some(track)
    }

    /// Sends a frame. False where the viewer does not get it.
    pub(super) fn send_frame(
        &mut self,
        frame: &PacketizedFrame,
        stamp: &FrameStamp,
        renditions: &Renditions,
        way: (&Route, &mut impl Outbox),
        now: Instant,
    ) -> bool {
        if self.is_behind_with(frame) {
            match self.catch_up(renditions, (way.0, way.1), now) {
                Progress::Done => {}
                Progress::Behind => return true,
                Progress::Lost => return false,
            }
        }
        let is_large = frame.payloads.bytes() > LARGE_BYTES;
        let Self { video, output, .. } = self;
        let selection = video.as_mut().and_then(|video| video.selection.as_mut());
        let (Some(selection), Some(history)) = (selection, renditions.history(frame.rendition))
        else {
            return false;
        };
        match selection.judge(frame) {
            Take::Send => {}
            Take::LeaveOut => {
                output.leave_out();
                return false;
            }
            Take::Ignore => return false,
        }
        if is_large && let Some(rate) = output.pace(now) {
            return self.send_paced((frame, stamp, rate), renditions, way, now);
        }
        let next = (history.next_packet(), |id| renditions.numbers(id));
        let whole = (frame, 0..frame.payloads.len());
        let sent = output.send_video(whole, stamp, next, way, now);
        if sent {
            selection.sent(frame);
        }
        sent
    }

    /// Whether it sees nothing before the next keyframe.
    pub(super) fn awaits_keyframe(&self) -> bool {
        let selection = self.video.and_then(|video| video.selection);
        selection.is_some_and(|selection| selection.awaits_keyframe())
    }

    /// Whether it is still to get what others have.
    pub(super) fn is_behind(&self) -> bool {
        self.video.is_some_and(|video| video.behind.is_some())
    }

    /// Whether others of the frame's rendition are to come before it. A keyframe is what a viewer can go on with at once.
    fn is_behind_with(&mut self, frame: &PacketizedFrame) -> bool {
        let Some(VideoState { behind: behind @ Some(_), selection: Some(selection), .. }) =
            &mut self.video
        else {
            return false;
        };
        if frame.keyframe && selection.judge(frame) == Take::Send {
            *behind = None;
        }
        behind.is_some() && frame.rendition == selection.current()
    }

    /// Sends an audio packet. False where the viewer does not get it.
    pub(super) fn send_audio(
        &mut self,
        packet: &AudioPacket,
        redundancy: &mut Redundancy,
        (route, out): (&Route, &mut impl Outbox),
    ) -> bool {
        let Some(audio) = self.audio.filter(|audio| packet.renditions.contains(audio.rendition))
        else {
            return false;
        };
        let payload = match audio.red {
            // Packets with copies name what is in them.
            Some(_) if self.copies.are_sent() => {
                redundancy.wrap(packet, audio.number, audio.rendition)
            }
            _ => &packet.data,
        };
        self.output.send_audio(payload, packet, (route, out))
    }

    /// The viewer has lost such a part of its packets, of late.
    pub(super) fn note_loss(&mut self, lost: f64, now: Instant) {
        if self.copies.note(lost, now) {
            self.sound_changed = true;
            self.set_copies();
        }
    }

    /// Whether it loses packets of late, or is to have copies of its sound in any case.
    pub(super) fn loses_sound(&self) -> bool {
        self.copies.are_sent()
    }

    /// Whether that has changed since the last call.
    pub(super) fn take_sound_changed(&mut self) -> bool {
        std::mem::take(&mut self.sound_changed)
    }

    /// Sound is sent with copies, or without, from the next packet on.
    fn set_copies(&mut self) {
        if let Some((audio, track)) = self.audio.zip(self.output.tracks.audio.as_mut()) {
            let red = audio.red.filter(|_| self.copies.are_sent());
            track.payload_type = red.unwrap_or(audio.number);
        }
    }

    /// The next picture that is of use to the viewer is a keyframe. False where it gets none.
    pub(super) fn await_keyframe(&mut self) -> bool {
        self.video.as_mut().map(VideoState::await_keyframe).is_some()
    }
}

/// A codec's place in an order of preference; those not in it share the last.
fn rank<C: PartialEq>(order: &[C], codec: C) -> usize {
    order.iter().position(|preferred| *preferred == codec).unwrap_or(order.len())
}
