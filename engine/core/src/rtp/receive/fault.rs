//! What is wrong with a received stream, and which option of its sender helps.

use std::fmt;

use visavis_types::VideoCodec;

use super::unexpected_media::UnexpectedMedia;

/// Why nothing of what comes in can be shown or played.
///
/// Its [`Display`](fmt::Display) names what is wrong and which option of ffmpeg or GStreamer helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RtpFault {
    /// Datagrams come that are no RTP; what they look like instead.
    NoRtp(Option<UnexpectedMedia>),
    /// Packets come, but of another payload type than was configured.
    PayloadType {
        /// The one that was configured.
        expected: u8,
        /// The one that comes.
        found: u8,
    },
    /// It is something else than the codec that is taken here.
    OtherCodec(UnexpectedMedia),
    /// It is not the codec that is taken here, and was not recognized as another.
    Unreadable(ExpectedMedia),
    /// Another stream comes to the same port while the first goes on; it is ignored.
    TwoSenders,
    /// H264 keyframes without the parameter sets that a decoder needs.
    NoParameterSets,
    /// H264 with pictures in another order than they are shown in: B frames.
    Reordered,
    /// H264 that is refreshed piece by piece, without IDR pictures: browsers start at those only.
    IntraRefresh,
    /// The sender's RTP times go back again and again.
    TimeGoesBack,
    /// No keyframe has come for a while; what comes is of no use before the next one.
    NoKeyframe,
}

/// What a stream is expected to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedMedia {
    /// Pictures of this codec.
    Video(VideoCodec),
    /// Sound.
    Opus,
}

impl RtpFault {
    /// A stable word for status and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoRtp(_) => "no-rtp",
            Self::PayloadType { .. } => "payload-type",
            Self::OtherCodec(_) => "other-codec",
            Self::Unreadable(_) => "unreadable",
            Self::TwoSenders => "two-senders",
            Self::NoParameterSets => "no-parameter-sets",
            Self::Reordered => "b-frames",
            Self::IntraRefresh => "intra-refresh",
            Self::TimeGoesBack => "time-goes-back",
            Self::NoKeyframe => "no-keyframe",
        }
    }
}

impl fmt::Display for RtpFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NoRtp(Some(found)) => {
                write!(f, "what comes is {found} without RTP; {}", found.remedy())
            }
            Self::NoRtp(None) => f.write_str(
                "what comes is no RTP; send it with `-f rtp rtp://…` (ffmpeg) or through a payloader \
                 such as rtph264pay (GStreamer)",
            ),
            Self::PayloadType { expected, found } => write!(
                f,
                "packets of payload type {found} come, and {expected} was expected; send with \
                 `-payload_type {expected}` (ffmpeg) or `pt={expected}` (GStreamer)"
            ),
            Self::OtherCodec(found) => write!(f, "what comes is {found}; {}", found.remedy()),
            Self::Unreadable(ExpectedMedia::Opus) => f.write_str(
                "what comes is no Opus; encode with `-c:a libopus` (ffmpeg) or opusenc and rtpopuspay \
                 (GStreamer)",
            ),
            Self::Unreadable(ExpectedMedia::Video(codec)) => write!(
                f,
                "what comes cannot be read as {codec}; encode with {}",
                match codec {
                    VideoCodec::H264 => {
                        "`-c:v libx264 -bf 0` (ffmpeg) or x264enc and rtph264pay (GStreamer)"
                    }
                    VideoCodec::Vp8 => "`-c:v libvpx` (ffmpeg) or vp8enc and rtpvp8pay (GStreamer)",
                    VideoCodec::Vp9 => {
                        "`-c:v libvpx-vp9` (ffmpeg) or vp9enc and rtpvp9pay (GStreamer)"
                    }
                    VideoCodec::Av1 => "`-c:v libaom-av1` (ffmpeg) or av1enc and rtpav1pay (GStreamer)",
                }
            ),
            Self::TwoSenders => f.write_str(
                "a second stream comes to the same port and is ignored; stop one of the two senders",
            ),
            Self::NoParameterSets => f.write_str(
                "keyframes come without SPS and PPS; add `-bsf:v h264_mp4toannexb` where ffmpeg copies \
                 from a file, `-bsf:v dump_extra` where it encodes, `config-interval=-1` at rtph264pay \
                 (GStreamer)",
            ),
            Self::Reordered => f.write_str(
                "it has B frames, which WebRTC cannot send; encode with `-bf 0` or `-tune zerolatency` \
                 (ffmpeg), `bframes=0` or `tune=zerolatency` at x264enc (GStreamer), and do not copy from a \
                 file that has them",
            ),
            Self::IntraRefresh => f.write_str(
                "it has no IDR pictures but is refreshed piece by piece, and browsers start at IDR \
                 pictures only; encode with `-x264-params intra-refresh=0` (libx264), `-intra-refresh 0 \
                 -forced-idr 1` (NVENC), and `-g` for how many frames apart they are (ffmpeg), with \
                 `intra-refresh=false key-int-max=30` at x264enc (GStreamer)",
            ),
            Self::TimeGoesBack => f.write_str(
                "its RTP times go back again and again, so that nobody can tell when its pictures are to be \
                 shown; send each picture once, in order: without B frames (`-bf 0`, `bframes=0`), and where a \
                 file goes round, encode it instead of copying it",
            ),
            Self::NoKeyframe => f.write_str(
                "a keyframe is waited for, and the sender cannot be asked for one; encode with one a \
                 second, such as `-g 30` at 30 fps (ffmpeg), `key-int-max=30` at x264enc or \
                 `keyframe-max-dist=30` at vp8enc and vp9enc (GStreamer)",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_names_its_cause_and_an_option_that_helps() {
        for (fault, word, parts) in [
            (RtpFault::NoRtp(Some(UnexpectedMedia::MpegTs)), "no-rtp", ["MPEG-TS", "-f rtp"]),
            (RtpFault::NoRtp(None), "no-rtp", ["no RTP", "-f rtp"]),
            (
                RtpFault::PayloadType { expected: 97, found: 96 },
                "payload-type",
                ["type 96", "-payload_type 97"],
            ),
            (RtpFault::OtherCodec(UnexpectedMedia::Hevc), "other-codec", ["HEVC", "-c:v libx264"]),
            (
                RtpFault::OtherCodec(UnexpectedMedia::Mpeg4),
                "other-codec",
                ["MPEG-4", "-c:v libx264"],
            ),
            (
                RtpFault::OtherCodec(UnexpectedMedia::Vp8),
                "other-codec",
                ["VP8", "--rtp-video-codec vp8"],
            ),
            (RtpFault::OtherCodec(UnexpectedMedia::Pcmu), "other-codec", ["law", "-c:a libopus"]),
            (RtpFault::OtherCodec(UnexpectedMedia::Aac), "other-codec", ["AAC", "-c:a libopus"]),
            (RtpFault::Unreadable(ExpectedMedia::Opus), "unreadable", ["no Opus", "-c:a libopus"]),
            (
                RtpFault::Unreadable(ExpectedMedia::Video(VideoCodec::Vp8)),
                "unreadable",
                ["VP8", "-c:v libvpx"],
            ),
            (RtpFault::NoParameterSets, "no-parameter-sets", ["SPS", "-bsf:v"]),
            (RtpFault::Reordered, "b-frames", ["B frames", "-bf 0"]),
            (RtpFault::IntraRefresh, "intra-refresh", ["IDR", "intra-refresh=0"]),
            (RtpFault::NoKeyframe, "no-keyframe", ["keyframe", "-g 30"]),
            (RtpFault::TimeGoesBack, "time-goes-back", ["RTP times", "-bf 0"]),
        ] {
            let text = fault.to_string();
            assert_eq!(fault.as_str(), word);
            assert!(parts.iter().all(|part| text.contains(part)), "{text}");
            // For users of both, where options differ.
            let both = text.contains("GStreamer") || text.contains("bframes=0");
            assert!(both, "{text}");
        }
    }
}
