use std::fmt;
use std::str::FromStr;

/// A video codec the engine can send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum VideoCodec {
    /// H.264, constrained baseline, packetization-mode 1 (RFC 6184).
    H264,
    /// VP8 (RFC 7741).
    Vp8,
    /// VP9 (RFC 9628).
    Vp9,
    /// AV1 (RTP Payload Format For AV1, version 1.0).
    Av1,
}

impl VideoCodec {
    /// Every codec, in the order they are offered when nothing else is preferred.
    pub const ALL: [Self; 4] = [Self::H264, Self::Vp8, Self::Vp9, Self::Av1];

    /// The name used in configuration and in the signaling protocol.
    pub const fn name(self) -> &'static str {
        match self {
            Self::H264 => "H264",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::Av1 => "AV1",
        }
    }

    /// A dense index, for arrays that hold one thing per codec.
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for VideoCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name of a codec that is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown codec {name:?}; expected {known}")]
pub struct UnknownCodec {
    name: String,
    known: &'static str,
}

impl FromStr for VideoCodec {
    type Err = UnknownCodec;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|c| c.name().eq_ignore_ascii_case(text));
        found.ok_or_else(|| UnknownCodec { name: text.to_owned(), known: "H264, VP8, VP9 or AV1" })
    }
}

/// An audio codec the engine can send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AudioCodec {
    /// Opus (RFC 6716, RFC 7587).
    Opus,
    /// G.711 with µ-law, 64 kbit/s at 8 kHz (RFC 3551 §4.5.14).
    Pcmu,
    /// G.711 with A-law, 64 kbit/s at 8 kHz (RFC 3551 §4.5.14).
    Pcma,
}

impl AudioCodec {
    /// Every codec, in the order they are offered when nothing else is preferred.
    pub const ALL: [Self; 3] = [Self::Opus, Self::Pcmu, Self::Pcma];

    /// The name used in configuration and in the signaling protocol.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opus => "opus",
            Self::Pcmu => "pcmu",
            Self::Pcma => "pcma",
        }
    }

    /// A dense index, for arrays that hold one thing per codec.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The rate at which its RTP time counts, in Hz.
    pub const fn clock_hz(self) -> u32 {
        match self {
            Self::Opus => 48_000,
            Self::Pcmu | Self::Pcma => 8_000,
        }
    }
}

impl FromStr for AudioCodec {
    type Err = UnknownCodec;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|c| c.name().eq_ignore_ascii_case(text));
        found.ok_or_else(|| UnknownCodec { name: text.to_owned(), known: "opus, pcmu or pcma" })
    }
}

impl fmt::Display for AudioCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a viewer is sent of sound at most: a codec, and of Opus one channel or two. While a session's sound has one
/// channel, all who take Opus are sent the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AudioRendition {
    /// Opus with one channel.
    Opus,
    /// Opus with two channels where the sound has two: for viewers that asked for it (`stereo=1`, RFC 7587 §6.1).
    OpusStereo,
    /// PCMU, which has one channel here.
    Pcmu,
    /// PCMA, which has one channel here.
    Pcma,
}

impl AudioRendition {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Opus, Self::OpusStereo, Self::Pcmu, Self::Pcma];

    /// What a viewer gets that hears by a codec, and takes two channels or not.
    pub const fn of(codec: AudioCodec, stereo: bool) -> Self {
        match codec {
            AudioCodec::Opus if stereo => Self::OpusStereo,
            AudioCodec::Opus => Self::Opus,
            AudioCodec::Pcmu => Self::Pcmu,
            AudioCodec::Pcma => Self::Pcma,
        }
    }

    /// A dense index, for arrays that hold one thing per rendition.
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Defines a set of codecs or renditions of one kind.
macro_rules! codec_set {
    ($(#[$doc:meta])* $set:ident of $codec:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct $set(u8);

        impl $set {
            /// Nothing.
            pub const EMPTY: Self = Self(0);

            /// A set out of its bits, as [`bits`](Self::bits) gave them.
            pub const fn from_bits(bits: u8) -> Self {
                Self(bits)
            }

            /// One bit for each.
            pub const fn bits(self) -> u8 {
                self.0
            }

            /// The set with one more.
            #[must_use]
            pub const fn with(self, one: $codec) -> Self {
                Self(self.0 | 1 << one.index())
            }

            /// The set without one.
            #[must_use]
            pub const fn without(self, one: $codec) -> Self {
                Self(self.0 & !(1 << one.index()))
            }

            /// Whether it is in the set.
            pub const fn contains(self, one: $codec) -> bool {
                self.0 & (1 << one.index()) != 0
            }

            /// Whether the set is empty.
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// What is in the set.
            pub fn iter(self) -> impl Iterator<Item = $codec> {
                $codec::ALL.into_iter().filter(move |&one| self.contains(one))
            }
        }
    };
}

codec_set! {
    /// A set of video codecs, small enough to live in one atomic byte.
    CodecSet of VideoCodec
}

codec_set! {
    /// A set of renditions of sound, small enough to live in one atomic byte.
    AudioRenditionSet of AudioRendition
}

impl AudioRenditionSet {
    /// Both of Opus.
    pub const OPUS: Self = Self::EMPTY.with(AudioRendition::Opus).with(AudioRendition::OpusStereo);

    /// What is in both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl CodecSet {
    /// Every codec.
    pub const ALL: Self = Self((1 << VideoCodec::ALL.len()) - 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_in_any_case() {
        assert_eq!("h264".parse(), Ok(VideoCodec::H264));
        assert_eq!("VP8".parse(), Ok(VideoCodec::Vp8));
        assert!("mpeg2".parse::<VideoCodec>().is_err());
        assert_eq!("PCMU".parse(), Ok(AudioCodec::Pcmu));
        assert!("g729".parse::<AudioCodec>().is_err());
    }

    #[test]
    fn sets_hold_what_was_put_in() {
        let set = CodecSet::EMPTY.with(VideoCodec::Vp8);
        assert!(!set.contains(VideoCodec::H264));
        assert_eq!(set.iter().collect::<Vec<_>>(), [VideoCodec::Vp8]);
        assert!(CodecSet::ALL.iter().eq(VideoCodec::ALL));
    }
}
