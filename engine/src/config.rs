use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use visavis_core::CodecOrder;
use visavis_types::{
    AudioCodec, Bitrate, CodecSet, FrameSize, OpusSettings, PacketTime, PlayoutDelay, SessionId,
    VideoCodec,
};

use crate::idle::idle_loop::IdleLoop;
use crate::media::addresses::AnnouncedAddress;
use crate::scheduling::Scheduling;

/// Settings of the whole engine.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Where the UDP socket for all media listens. Port 0 lets the system choose. With more than one
    /// media loop, this is the first one's; the others take the ports after it.
    pub udp: SocketAddr,
    /// Media loops, each a thread with a socket of its own, that share out the viewers. One carries
    /// many hundred viewers; more are for hosts that have cores for them.
    pub media_loops: usize,
    /// Addresses told to viewers as ICE host candidates, with the socket's own port unless they have one. Empty:
    /// every address of this machine; those that come and go while the engine runs are followed. Set it on a
    /// host behind 1:1 NAT, or with mapped ports.
    pub announce: Vec<AnnouncedAddress>,
    /// Viewers at once, over all sessions.
    pub max_peers: usize,
    /// How long a peer may take from its offer to a finished DTLS handshake.
    pub connect_timeout: Duration,
    /// Where, and how urgently, the threads that keep time run.
    pub scheduling: Scheduling,
    /// Events kept for a subscriber that does not read, beside one for each of [`max_peers`](Self::max_peers), who
    /// may all leave at once; past that new ones are dropped.
    pub event_capacity: usize,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            udp: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
            media_loops: 1,
            announce: Vec::new(),
            max_peers: 100,
            connect_timeout: Duration::from_secs(15),
            scheduling: Scheduling::default(),
            event_capacity: 1_024,
        }
    }
}

/// Settings of one session.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// Its name.
    pub id: SessionId,
    /// Video codecs in order of preference. A viewer that can decode none of them gets the next one it
    /// can, in its own order. Without effect where [`encoded`](Self::encoded) says something.
    pub video_codecs: Vec<VideoCodec>,
    /// The codec of pictures that are pushed encoded, to [`Session::encoded_video`]; viewers that
    /// cannot decode it get no picture. `None`: pictures are pushed raw, and encoded here.
    ///
    /// [`Session::encoded_video`]: crate::Session::encoded_video
    pub encoded: Option<VideoCodec>,
    /// Audio codecs in order of preference, as with those for video.
    pub audio_codecs: Vec<AudioCodec>,
    /// How much sound is in one packet.
    pub packet_time: PacketTime,
    /// What Opus does against loss and in silence. Packets that the caller has encoded stay as they are.
    pub opus: OpusSettings,
    /// The size of the picture that viewers get: whatever is pushed, and the idle loop, is scaled to it; of what has
    /// another shape the middle is shown. `None`: each picture in its own size. Pictures that are pushed encoded
    /// stay as they are.
    pub size: Option<FrameSize>,
    /// Frames per second the caller means to push: sets the encoder's rate control and what counts
    /// as a late frame. 1 to 120.
    pub fps: u32,
    /// Target rate of the video.
    pub video_bitrate: Bitrate,
    /// Target rate of Opus with one channel. With two, for viewers that take two, it is twice as much. At most 510
    /// kbit/s each.
    pub audio_bitrate: Bitrate,
    /// Viewers at once of this session; `None` for as many as the engine takes
    /// ([`EngineConfig::max_peers`]). 1 makes it private.
    pub max_peers: Option<usize>,
    /// How long viewers may hold a picture back.
    pub playout_delay: PlayoutDelay,
    /// The sample rate of [`Session::microphone`](crate::Session::microphone) in Hz: 8000, 12000, 16000,
    /// 24000 or 48000.
    pub microphone_rate: u32,
    /// Sound kept while it waits for its turn: of sound pushed live the oldest is dropped past that, and
    /// an utterance takes no more before some was played.
    pub audio_queue: Duration,
    /// Memory for the pictures of utterances that wait for their turn, in bytes, at 1.5 bytes a pixel.
    pub utterance_bytes: usize,
    /// What viewers see while no pictures are pushed: by default a face at rest. With `None` the last
    /// picture stays.
    pub idle: Option<IdleLoop>,
    /// How long a picture stays when no other follows it, before the idle loop is shown.
    pub idle_grace: Duration,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            id: SessionId::default(),
            video_codecs: vec![VideoCodec::H264],
            encoded: None,
            audio_codecs: vec![AudioCodec::Opus],
            packet_time: PacketTime::default(),
            opus: OpusSettings::default(),
            size: None,
            fps: 30,
            video_bitrate: Bitrate::from_kbps(1_500),
            audio_bitrate: Bitrate::from_kbps(48),
            max_peers: None,
            playout_delay: PlayoutDelay::NONE,
            microphone_rate: 16_000,
            audio_queue: Duration::from_secs(60),
            utterance_bytes: 256 * 1024 * 1024,
            idle: Some(IdleLoop::built_in()),
            idle_grace: Duration::from_millis(500),
        }
    }
}

impl SessionConfig {
    /// What viewers get if they can.
    pub(crate) fn order(&self) -> CodecOrder {
        let video = match self.encoded {
            Some(codec) => vec![codec],
            None => self.video_codecs.clone(),
        };
        CodecOrder { video, audio: self.audio_codecs.clone() }
    }

    /// Every codec the session can send, where these can be encoded.
    pub(crate) fn codecs(&self, encodable: CodecSet) -> CodecSet {
        self.encoded.map_or(encodable, |codec| CodecSet::EMPTY.with(codec))
    }
}
