use visavis_types::{Bitrate, OpusSettings, PacketTime};

/// A packet of silence, for either number of channels: a TOC byte (fullband CELT, mono, one frame of
/// this length) and the two bytes that code "no sound" (RFC 6716 §3.1).
pub const fn opus_silence(time: PacketTime) -> [u8; 3] {
    match time {
        PacketTime::Ms10 => [0xf0, 0xff, 0xfe],
        PacketTime::Ms20 => [0xf8, 0xff, 0xfe],
    }
}

/// Packets of at most so many bytes say "silence, as before": with discontinuous transmission they need
/// not be sent (RFC 6716 §2.1.9, and `opus_encode` of libopus).
pub const OPUS_NOTHING_BYTES: usize = 2;

/// The rates that a decoder decodes to.
pub(super) const DECODER_RATES_HZ: [u32; 5] = [8_000, 12_000, 16_000, 24_000, 48_000];

/// What the sound mostly is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OpusApplication {
    /// Speech: tuned for being understood, with in-band error correction in effect.
    #[default]
    Voip,
    /// Anything: tuned for sounding like the original.
    Audio,
}

/// Settings of an [`OpusEncoder`](crate::OpusEncoder).
#[derive(Debug, Clone, Copy)]
pub struct OpusEncoderConfig {
    /// 1 or 2.
    pub channels: u16,
    /// What the sound mostly is.
    pub application: OpusApplication,
    /// Target rate; brought into 6 to 510 kbit/s.
    pub bitrate: Bitrate,
    /// How long a packet is.
    pub packet_time: PacketTime,
    /// Error correction and discontinuous transmission. Redundancy is not the encoder's to make.
    pub settings: OpusSettings,
}

impl Default for OpusEncoderConfig {
    /// Mono speech at 48 kbit/s.
    fn default() -> Self {
        Self {
            channels: 1,
            application: OpusApplication::Voip,
            bitrate: Bitrate::from_kbps(48),
            packet_time: PacketTime::default(),
            settings: OpusSettings::default(),
        }
    }
}

/// Why there is no encoder, or no packet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpusError {
    /// Neither mono nor stereo.
    #[error("invalid number of channels {0} for Opus; expected 1 or 2")]
    Channels(u16),
    /// Not exactly one frame of samples.
    #[error(
        "invalid length of an Opus frame {actual} samples; expected {expected} on all channels"
    )]
    FrameLength {
        /// Samples a frame has.
        expected: usize,
        /// Samples given.
        actual: usize,
    },
    /// A build without the cargo feature `opus`.
    #[error("no Opus: this build lacks the cargo feature `opus`")]
    NotBuilt,
    /// libopus refused.
    #[error("libopus: {0}")]
    Library(String),
}
