//! The settings of the engine and of a session.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use visavis_codec::{Encoders, OpusDecoder};
use visavis_core::CodecOrder;
use visavis_types::{
    AudioCodec, Bitrate, CodecSet, FrameSize, OpusSettings, PacketTime, PlayoutDelay, SessionId,
    VideoCodec, setters,
};

use crate::encoder::EncoderChoice;
use crate::error::{SessionError, StartError};
use crate::idle::idle_loop::IdleLoop;
use crate::media::addresses::AnnouncedAddress;
use crate::scheduling::Scheduling;
use crate::video::ladder::Ladder;
use crate::video::rung_config::RungConfig;

/// Settings of the whole engine; see [the module](crate::engine) for an example.
///
/// For each field there is a method of the same name that sets it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EngineConfig {
    /// Where the UDP socket for all media listens. Port 0 lets the system choose. With more than one
    /// media loop, this is the first one's; the others take the ports after it. Default: `0.0.0.0:0`.
    pub udp: SocketAddr,
    /// Media loops, each a thread with a socket of its own, that share out the viewers. One carries
    /// many hundred viewers; more are for hosts that have cores for them. 1 at least, and at most as many as there are
    /// ports from the one of `udp` on. Default: 1.
    pub media_loops: usize,
    /// Addresses announced to viewers as ICE host candidates, with the socket's own port unless they have one. Empty:
    /// every address of this machine; those that come and go while the engine runs are followed. Set it on a
    /// host behind 1:1 NAT, or with mapped ports. Default: empty.
    pub announce: Vec<AnnouncedAddress>,
    /// Whether viewers may come by TCP too (ICE-TCP, RFC 6544), at the same addresses and ports: for networks that let no UDP
    /// through. What comes late is left out there, as a connection would hold it back for ever. Where a port is not free
    /// for TCP, that is logged, and its media loop goes without. Default: true.
    pub ice_tcp: bool,
    /// Another TCP port at which viewers reach this machine, and at which somebody else listens, who hands their connections
    /// over with [`EngineHandle::take_connection`](crate::EngineHandle::take_connection): the signaling server of this
    /// project does. With port 443 networks let viewers through that know nothing but web pages. For the first 64 media
    /// loops. Default: `None`.
    pub ice_tcp_port: Option<u16>,
    /// Viewers at once, over all sessions. Default: 100.
    pub max_peers: usize,
    /// How long a peer may take from its offer to a finished DTLS handshake. Default: 15 s.
    pub connect_timeout: Duration,
    /// Where, and how urgently, the threads that keep time run. Default: as the system sees fit.
    pub scheduling: Scheduling,
    /// Events kept for a subscriber that does not read, beside one for each of [`max_peers`](field@Self::max_peers), who
    /// may all leave at once; past that new ones are dropped. Both together are brought into 1 to 65,536. Default: 1,024.
    pub event_capacity: usize,
    /// What encodes H264. Default: [`EncoderChoice::Auto`].
    pub encoder: EncoderChoice,
    /// The GPU that NVENC is used of, counted from 0 as CUDA counts. Default: 0.
    pub gpu: u32,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            udp: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
            media_loops: 1,
            announce: Vec::new(),
            ice_tcp: true,
            ice_tcp_port: None,
            max_peers: 100,
            connect_timeout: Duration::from_secs(15),
            scheduling: Scheduling::default(),
            event_capacity: 1_024,
            encoder: EncoderChoice::default(),
            gpu: 0,
        }
    }
}

impl EngineConfig {
    setters! {
        into udp: SocketAddr,
        media_loops: usize,
        into announce: Vec<AnnouncedAddress>,
        ice_tcp: bool,
        into ice_tcp_port: Option<u16>,
        max_peers: usize,
        connect_timeout: Duration,
        scheduling: Scheduling,
        event_capacity: usize,
        encoder: EncoderChoice,
        gpu: u32,
    }

    /// Goes without [`ice_tcp`](field@Self::ice_tcp) where that would take the TCP port of a server that is to listen at
    /// this address.
    pub fn leave_tcp_to(mut self, server: SocketAddr) -> Self {
        let first = usize::from(self.udp.port());
        let taken = first..first.saturating_add(self.media_loops);
        if first != 0 && taken.contains(&usize::from(server.port())) {
            self.ice_tcp = false;
        }
        self
    }

    /// Looks at the ranges.
    pub(crate) fn check(&self) -> Result<(), StartError> {
        let first = usize::from(self.udp.port());
        let room = if first == 0 { usize::MAX } else { usize::from(u16::MAX) + 1 - first };
        match self.media_loops {
            loops if loops == 0 || loops > room => Err(StartError::MediaLoops(loops)),
            _ => Ok(()),
        }
    }
}

/// Settings of one session; see [the module](crate::session) for an example.
///
/// For each field there is a method of the same name that sets it. Ranges are looked at when the session is made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SessionConfig {
    /// Its name. Default: `default`.
    pub id: SessionId,
    /// Video codecs in order of preference. A viewer that can decode none of them gets the next one it
    /// can, in its own order. Without effect where [`encoded`](field@Self::encoded) is set. Such as this build
    /// can encode. Default: H264.
    pub video_codecs: Vec<VideoCodec>,
    /// The codec of pictures that are pushed encoded, to [`Session::encoded_video`]; viewers that
    /// cannot decode it get no picture. `None`: pictures are pushed raw, and encoded here. Default: `None`.
    ///
    /// [`Session::encoded_video`]: crate::Session::encoded_video
    pub encoded: Option<VideoCodec>,
    /// Whether the encoder of pictures that are pushed encoded makes as much as it is told to from one picture to the next:
    /// what the network of its viewer takes, between [`min_video_bitrate`](field@Self::min_video_bitrate) and
    /// [`video_bitrate`](field@Self::video_bitrate). It is told by [`Event::BitrateWanted`],
    /// [`EncodedVideoSink::wanted_bitrate`], or RTCP ([`RtpInputConfig`]). For sessions with
    /// [`encoded`](field@Self::encoded) and [`max_peers`](field@Self::max_peers) of 1. Default: false.
    ///
    /// [`Event::BitrateWanted`]: crate::Event::BitrateWanted
    /// [`EncodedVideoSink::wanted_bitrate`]: crate::video::EncodedVideoSink::wanted_bitrate
    /// [`RtpInputConfig`]: crate::rtp_input::RtpInputConfig
    pub adaptive_encoder: bool,
    /// Audio codecs in order of preference, as with those for video. Default: Opus.
    pub audio_codecs: Vec<AudioCodec>,
    /// How much sound is in one packet. Default: 20 ms.
    pub packet_time: PacketTime,
    /// What Opus does against loss and in silence. Packets that the caller has encoded stay as they are. Default: error
    /// correction in band.
    pub opus: OpusSettings,
    /// The size of the picture that viewers get: whatever is pushed, and the idle loop, is scaled to it; of what has
    /// another shape the middle is shown. `None`: each picture in its own size. Pictures that are pushed encoded
    /// stay as they are. With H264 at most 3840x2160 or 2160x3840. Default: `None`.
    pub size: Option<FrameSize>,
    /// Frames per second the caller means to push: sets the encoder's rate control and what counts
    /// as a late frame. [1 to 120](Self::FPS). Default: 30.
    pub fps: u32,
    /// Target rate of the video, from [50 kbit/s](Self::MIN_VIDEO_BITRATE) on: what viewers get whose networks take it.
    /// Default: 1,500 kbit/s.
    pub video_bitrate: Bitrate,
    /// Viewers whose networks take less get a smaller picture, in up to four steps: all of the size and of
    /// [`video_bitrate`](field@Self::video_bitrate), 3/4 of each side and 45 %, 1/2 and 20 %, 1/4 and 8 %; none with a lower
    /// bitrate than this. A step is encoded while a viewer needs it, once for all who do. With `video_bitrate`, or more, all
    /// get the same. Pictures that are pushed encoded stay as they are. Default: 100 kbit/s.
    pub min_video_bitrate: Bitrate,
    /// The smaller pictures that these viewers get, instead of those steps: three at most, each with less than
    /// `video_bitrate`, and the larger the more. Default: none, which is as `min_video_bitrate` has it.
    pub rungs: Vec<RungConfig>,
    /// Target rate of Opus with one channel. With two, for viewers that take two, it is twice as much, 510 kbit/s at
    /// most. [6 to 510 kbit/s](Self::AUDIO_BITRATE). Default: 48 kbit/s.
    pub audio_bitrate: Bitrate,
    /// Viewers at once of this session, 1 at least; `None` for as many as the engine takes
    /// ([`EngineConfig::max_peers`]). 1 makes it private: its encoder makes what that viewer's network takes, from one
    /// picture to the next, before the picture gets smaller. Default: `None`.
    pub max_peers: Option<usize>,
    /// How long viewers may hold a picture back, up to 40.95 s. Default: [`PlayoutDelay::NONE`].
    pub playout_delay: PlayoutDelay,
    /// The sample rate of [`Session::microphone`](crate::Session::microphone) in Hz:
    /// [8000, 12000, 16000, 24000 or 48000](Self::MICROPHONE_RATES_HZ). Default: 16000.
    pub microphone_rate: u32,
    /// Sound kept while it waits for its turn: of sound pushed live the oldest is dropped past that, and
    /// an utterance takes no more before some was played. Default: 60 s.
    pub audio_queue: Duration,
    /// Memory for the pictures of utterances that wait for their turn, in bytes, at 1.5 bytes a pixel. Default: 256 MiB.
    pub utterance_bytes: usize,
    /// What viewers see while no pictures are pushed. With `None` the last picture stays. Default: a face at rest
    /// ([`IdleLoop::built_in`]).
    pub idle: Option<IdleLoop>,
    /// How long a picture stays when no other follows it, before the idle loop is shown. Default: 500 ms.
    pub idle_grace: Duration,
    /// What encodes H264. `None`: as [`EngineConfig::encoder`] says. With [`EncoderChoice::Nvenc`] no session is made where
    /// the engine has found no NVENC. Default: `None`.
    pub encoder: Option<EncoderChoice>,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            id: SessionId::default(),
            video_codecs: vec![VideoCodec::H264],
            encoded: None,
            adaptive_encoder: false,
            audio_codecs: vec![AudioCodec::Opus],
            packet_time: PacketTime::default(),
            opus: OpusSettings::default(),
            size: None,
            fps: 30,
            video_bitrate: Bitrate::from_kbps(1_500),
            min_video_bitrate: Bitrate::from_kbps(100),
            rungs: Vec::new(),
            audio_bitrate: Bitrate::from_kbps(48),
            max_peers: None,
            playout_delay: PlayoutDelay::NONE,
            microphone_rate: 16_000,
            audio_queue: Duration::from_secs(60),
            utterance_bytes: 256 * 1024 * 1024,
            idle: Some(IdleLoop::built_in()),
            idle_grace: Duration::from_millis(500),
            encoder: None,
        }
    }
}

impl SessionConfig {
    /// Possible values of [`fps`](field@Self::fps).
    pub const FPS: RangeInclusive<u32> = 1..=120;
    /// The least [`video_bitrate`](field@Self::video_bitrate).
    pub const MIN_VIDEO_BITRATE: Bitrate = Bitrate::from_kbps(50);
    /// Possible values of [`audio_bitrate`](field@Self::audio_bitrate).
    pub const AUDIO_BITRATE: RangeInclusive<Bitrate> =
        Bitrate::from_kbps(6)..=Bitrate::from_kbps(510);
    /// Possible values of [`microphone_rate`](field@Self::microphone_rate).
    pub const MICROPHONE_RATES_HZ: [u32; 5] = OpusDecoder::SAMPLE_RATES_HZ;

    setters! {
        id: SessionId,
        into video_codecs: Vec<VideoCodec>,
        into encoded: Option<VideoCodec>,
        adaptive_encoder: bool,
        into audio_codecs: Vec<AudioCodec>,
        packet_time: PacketTime,
        opus: OpusSettings,
        into size: Option<FrameSize>,
        fps: u32,
        video_bitrate: Bitrate,
        min_video_bitrate: Bitrate,
        into rungs: Vec<RungConfig>,
        audio_bitrate: Bitrate,
        into max_peers: Option<usize>,
        playout_delay: PlayoutDelay,
        microphone_rate: u32,
        audio_queue: Duration,
        utterance_bytes: usize,
        into idle: Option<IdleLoop>,
        idle_grace: Duration,
        into encoder: Option<EncoderChoice>,
    }

    /// Looks at the ranges.
    pub(crate) fn check(&self, encoders: &Encoders) -> Result<(), SessionError> {
        let encodes = self.encoded.is_none();
        if !Self::FPS.contains(&self.fps) {
            return Err(SessionError::Fps(self.fps));
        }
        if self.video_bitrate < Self::MIN_VIDEO_BITRATE {
            return Err(SessionError::VideoBitrate(self.video_bitrate));
        }
        self.check_rungs()?;
        if !Self::AUDIO_BITRATE.contains(&self.audio_bitrate) {
            return Err(SessionError::AudioBitrate(self.audio_bitrate));
        }
        let lacks = |&&codec: &&VideoCodec| encoders.offer(codec).is_err();
        if let Some(&codec) = self.video_codecs.iter().find(lacks).filter(|_| encodes) {
            return Err(SessionError::NoEncoder(codec));
        }
        if let Some(size) = self.size.filter(|_| encodes)
            && let Some(&codec) = self
                .video_codecs
                .iter()
                .find(|&&codec| encoders.encodable_size(codec, size) != size)
        {
            return Err(SessionError::Size { size, codec });
        }
        if !Self::MICROPHONE_RATES_HZ.contains(&self.microphone_rate) {
            return Err(SessionError::MicrophoneRate(self.microphone_rate));
        }
        if self.adaptive_encoder && (encodes || self.max_peers != Some(1)) {
            return Err(SessionError::AdaptiveEncoder);
        }
        match self.max_peers {
            Some(0) => Err(SessionError::NoPlace),
            _ => Ok(()),
        }
    }

    fn check_rungs(&self) -> Result<(), SessionError> {
        if self.rungs.len() > RungConfig::MOST {
            return Err(SessionError::Rungs(self.rungs.len()));
        }
        let bitrates = Self::MIN_VIDEO_BITRATE..self.video_bitrate;
        for (index, &rung) in self.rungs.iter().enumerate() {
            let is_amiss = |other: &RungConfig| {
                let (sides, bitrates) =
                    (rung.percent.cmp(&other.percent), rung.bitrate.cmp(&other.bitrate));
                bitrates.is_eq() || sides.is_ne() && sides != bitrates
            };
            let expected = if !RungConfig::PERCENT.contains(&rung.percent) {
                "10 to 100 % of each side"
            } else if !bitrates.contains(&rung.bitrate) {
                "50 kbit/s at least, and less than of the whole picture"
            } else if rung.fps.is_some_and(|fps| !Self::FPS.contains(&fps)) {
                "1 to 120 frames per second"
            } else if self.rungs.iter().take(index).any(is_amiss) {
                "another bitrate than of the others, and the larger picture to have more"
            } else {
                continue;
            };
            return Err(SessionError::Rung { rung, expected });
        }
        Ok(())
    }

    /// What viewers get if they can.
    pub(crate) fn order(&self) -> CodecOrder {
        let video = match self.encoded {
            Some(codec) => vec![codec],
            None => self.video_codecs.clone(),
        };
        CodecOrder { video, audio: self.audio_codecs.clone() }
    }

    /// The sizes and bitrates that its pictures come in: one where the application encodes them.
    pub(crate) fn ladder(&self) -> Ladder {
        match self.encoded {
            Some(_) => Ladder::single(self.video_bitrate),
            None if self.rungs.is_empty() => {
                Ladder::new(self.video_bitrate, self.min_video_bitrate)
            }
            None => Ladder::of(self.video_bitrate, &self.rungs),
        }
    }

    /// Where encoders follow the network of their only viewer: the least that they make.
    pub(crate) fn followed_down_to(&self) -> Option<Bitrate> {
        let follows = self.encoded.is_none() || self.adaptive_encoder;
        (follows && self.max_peers == Some(1)).then_some(self.min_video_bitrate)
    }

    /// Every codec the session can send, where these can be encoded.
    pub(crate) fn codecs(&self, encodable: CodecSet) -> CodecSet {
        self.encoded.map_or(encodable, |codec| CodecSet::EMPTY.with(codec))
    }
}
