//! Media of other kinds than are taken, recognized by their bytes: what people send by mistake.

use std::fmt;

use visavis_types::VideoCodec;

use visavis_bitstream::{h264, vp8};

/// Something that is not what is taken here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnexpectedMedia {
    /// H264, where another codec is taken.
    H264,
    /// An H264 byte stream without packets.
    AnnexB,
    /// H265.
    Hevc,
    /// MPEG-4 part 2, which ffmpeg calls `mpeg4`.
    Mpeg4,
    /// VP8.
    Vp8,
    /// VP9.
    Vp9,
    /// Uncompressed pictures (RFC 4175).
    RawVideo,
    /// Motion JPEG.
    Jpeg,
    /// H261 or H263.
    H263,
    /// MPEG-1 or MPEG-2 video.
    Mpeg2,
    /// A transport stream.
    MpegTs,
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// Uncompressed samples.
    L16,
    /// Advanced Audio Coding.
    Aac,
    /// MP2 or MP3.
    MpegAudio,
    /// Another codec of telephony.
    Telephony,
}

impl UnexpectedMedia {
    const fn name(self) -> &'static str {
        match self {
            Self::H264 => "H264",
            Self::AnnexB => "an H264 byte stream",
            Self::Hevc => "HEVC (H265)",
            Self::Mpeg4 => "MPEG-4 part 2",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::RawVideo => "uncompressed video",
            Self::Jpeg => "Motion JPEG",
            Self::H263 => "H261 or H263",
            Self::Mpeg2 => "MPEG-2 video",
            Self::MpegTs => "MPEG-TS",
            Self::Pcmu => "G.711 µ-law (PCMU)",
            Self::Pcma => "G.711 A-law (PCMA)",
            Self::L16 => "uncompressed sound (L16)",
            Self::Aac => "AAC",
            Self::MpegAudio => "MPEG audio (MP2, MP3)",
            Self::Telephony => "a codec of telephony",
        }
    }

    /// What to do instead.
    pub(super) const fn remedy(self) -> &'static str {
        match self {
            Self::H264 => {
                "start with `--rtp-video-codec h264`, or encode as expected, VP8 with `-c:v libvpx` (ffmpeg) or \
                 vp8enc and rtpvp8pay (GStreamer)"
            }
            Self::Vp8 => {
                "start with `--rtp-video-codec vp8`, or encode as expected, H264 with `-c:v libx264 -bf 0` \
                 (ffmpeg) or x264enc and rtph264pay (GStreamer)"
            }
            Self::Vp9 => {
                "start with `--rtp-video-codec vp9`, or encode as expected, H264 with `-c:v libx264 -bf 0` \
                 (ffmpeg) or x264enc and rtph264pay (GStreamer)"
            }
            Self::Hevc | Self::Mpeg4 | Self::RawVideo | Self::Jpeg | Self::H263 | Self::Mpeg2 => {
                "encode with `-c:v libx264 -bf 0` (ffmpeg) or x264enc and rtph264pay (GStreamer)"
            }
            Self::MpegTs | Self::AnnexB => {
                "send pictures and sound each with `-f rtp rtp://…`, in place of `-f mpegts`, `-f h264` or \
                 `-f rtp_mpegts` (ffmpeg), through rtph264pay and rtpopuspay in place of mpegtsmux (GStreamer)"
            }
            Self::Pcmu | Self::Pcma | Self::L16 | Self::Aac | Self::MpegAudio | Self::Telephony => {
                "encode with `-c:a libopus` (ffmpeg) or opusenc and rtpopuspay (GStreamer)"
            }
        }
    }
}

impl fmt::Display for UnexpectedMedia {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a payload type stands for that is given out for good (RFC 3551 §6).
pub(super) const fn by_payload_type(payload_type: u8) -> Option<UnexpectedMedia> {
    Some(match payload_type {
        0 => UnexpectedMedia::Pcmu,
        8 => UnexpectedMedia::Pcma,
        10 | 11 => UnexpectedMedia::L16,
        14 => UnexpectedMedia::MpegAudio,
        3..=7 | 9 | 12 | 13 | 15..=18 => UnexpectedMedia::Telephony,
        26 => UnexpectedMedia::Jpeg,
        31 | 34 => UnexpectedMedia::H263,
        32 => UnexpectedMedia::Mpeg2,
        33 => UnexpectedMedia::MpegTs,
        _ => return None,
    })
}

/// What a datagram that is no RTP looks like.
pub(super) fn without_rtp(datagram: &[u8]) -> Option<UnexpectedMedia> {
    if is_transport_stream(datagram) {
        return Some(UnexpectedMedia::MpegTs);
    }
    let begins = datagram.starts_with(&[0, 0, 0, 1]) || datagram.starts_with(&[0, 0, 1]);
    begins.then_some(UnexpectedMedia::AnnexB)
}

fn is_transport_stream(bytes: &[u8]) -> bool {
    const PACKET: usize = 188;
    const SYNC: u8 = 0x47;
    bytes.len() >= PACKET
        && bytes.len().is_multiple_of(PACKET)
        && bytes.chunks_exact(PACKET).all(|packet| packet.first() == Some(&SYNC))
}

/// Looks at the packets of a video stream for signs of another codec than the expected one.
#[derive(Debug, Clone, Copy)]
pub(super) struct VideoDetector {
    expected: VideoCodec,
    packets: u32,
    /// What cannot be anything else.
    certain: Option<UnexpectedMedia>,
    like_hevc: u32,
    like_vp8: u32,
    /// Pictures that began, and how many of them as those of VP8 and VP9 do.
    pictures: u32,
    begun_as_vp8: u32,
    begun_as_vp9: u32,
}

impl VideoDetector {
    pub(super) fn new(expected: VideoCodec) -> Self {
        Self {
            expected,
            packets: 0,
            certain: None,
            like_hevc: 0,
            like_vp8: 0,
            pictures: 0,
            begun_as_vp8: 0,
            begun_as_vp9: 0,
        }
    }

    /// Takes a payload; `begins` where it is the first of its RTP time.
    pub(super) fn take(&mut self, payload: &[u8], begins: bool) {
        self.packets = self.packets.saturating_add(1);
        if self.certain.is_none() {
            self.certain = certain(payload, begins).filter(|&found| {
                !matches!(
                    (found, self.expected),
                    (UnexpectedMedia::H264, VideoCodec::H264)
                        | (UnexpectedMedia::Vp8, VideoCodec::Vp8)
                )
            });
        }
        if begins {
            self.pictures = self.pictures.saturating_add(1);
            self.begun_as_vp8 = self.begun_as_vp8.saturating_add(u32::from(begins_as_vp8(payload)));
            self.begun_as_vp9 = self.begun_as_vp9.saturating_add(u32::from(begins_as_vp9(payload)));
        }
        if self.expected == VideoCodec::H264 {
            self.like_hevc = self.like_hevc.saturating_add(u32::from(looks_like_hevc(payload)));
            self.like_vp8 = self.like_vp8.saturating_add(u32::from(looks_like_vp8(payload)));
        }
    }

    /// What it is, as far as its packets show. Of use only where nothing of the stream can be shown.
    pub(super) fn detected(&self) -> Option<UnexpectedMedia> {
        const ENOUGH: u32 = 5;
        // Four of five: what is in the middle of a fragmented picture looks like anything.
        let most = |count: u32, of: u32| of >= ENOUGH && count >= of / 5 * 4;
        let hevc = most(self.like_hevc, self.packets);
        // One in two: where a packet is lost, or the first is in the midst, a picture does not begin.
        let vp8 = most(self.like_vp8, self.packets) && self.begun_as_vp8 >= self.pictures / 2;
        let takes_vp9 = !matches!(self.expected, VideoCodec::H264 | VideoCodec::Vp8);
        let vp9 = !takes_vp9 && most(self.begun_as_vp9, self.pictures);
        self.certain
            .or_else(|| hevc.then_some(UnexpectedMedia::Hevc))
            .or_else(|| vp8.then_some(UnexpectedMedia::Vp8))
            .or_else(|| vp9.then_some(UnexpectedMedia::Vp9))
    }
}

fn certain(payload: &[u8], begins: bool) -> Option<UnexpectedMedia> {
    if is_transport_stream(payload) {
        return Some(UnexpectedMedia::MpegTs);
    }
    // Parameter sets of HEVC, alone or the first of an aggregate (RFC 7798 §4.4.2).
    let hevc_set = |nal: &[u8]| matches!(nal, [0x40 | 0x42 | 0x44, 1, ..]);
    if hevc_set(payload) || matches!(payload, [0x60, 1, _, _, first @ ..] if hevc_set(first)) {
        return Some(UnexpectedMedia::Hevc);
    }
    // A visual object sequence, visual object, group or VOP (ISO/IEC 14496-2 §6.2).
    if begins && matches!(payload, [0, 0, 1, 0xb0 | 0xb3 | 0xb5 | 0xb6, ..]) {
        return Some(UnexpectedMedia::Mpeg4);
    }
    if is_vp8_keyframe(payload) {
        return Some(UnexpectedMedia::Vp8);
    }
    if is_raw_video(payload) {
        return Some(UnexpectedMedia::RawVideo);
    }
    let nal = if h264::nal_type(payload) == h264::STAP_A { payload.get(3..)? } else { payload };
    match nal {
        [0x27 | 0x47 | 0x67, 66 | 77 | 88 | 100 | 110 | 122 | 244, _, 10..=62, ..] => {
            Some(UnexpectedMedia::H264)
        }
        _ => None,
    }
}

/// The start code of a VP8 keyframe (RFC 6386 §9.1) behind a payload descriptor of one byte, or with a
/// picture id (RFC 7741 §4.2).
fn is_vp8_keyframe(payload: &[u8]) -> bool {
    let frame = match payload {
        [0x10, rest @ ..] => rest,
        [first, 0x80, id, _, rest @ ..] if first & 0xdf == 0x90 && id & 0x80 != 0 => rest,
        [first, 0x80, _, rest @ ..] if first & 0xdf == 0x90 => rest,
        _ => return false,
    };
    vp8::has_keyframe_header(frame)
}

/// HEVC's NAL units have two bytes of header: of layer 0 and the lowest temporal layer, and of types that
/// H264 has no use for.
fn looks_like_hevc(payload: &[u8]) -> bool {
    matches!(payload, [0 | 2 | 0x26 | 0x28 | 0x2a | 0x40 | 0x42 | 0x44 | 0x4e | 0x60 | 0x62, 1, ..])
}

/// Payload descriptors of VP8 in the first partition; H264 has no NAL units of types 0 and 16.
fn looks_like_vp8(payload: &[u8]) -> bool {
    matches!(payload, [0 | 0x10 | 0x20 | 0x30 | 0x80 | 0x90 | 0xa0 | 0xb0, ..])
        && !looks_like_hevc(payload)
}

/// A payload descriptor of the first packet of a picture: S set, partition 0 (RFC 7741 §4.2).
fn begins_as_vp8(payload: &[u8]) -> bool {
    payload.first().is_some_and(|first| first & 0x1f == 0x10)
}

/// A payload descriptor of the first packet of a picture, not in flexible mode: B set (RFC 9628 §4.2). H264 has no
/// use for NAL units of such types at the beginning of each picture, but for delimiters.
fn begins_as_vp9(payload: &[u8]) -> bool {
    payload
        .first()
        .is_some_and(|first| first & 0x18 == 0x08 && first & h264::TYPE_MASK != h264::DELIMITER)
}

/// Lines of pixels, with headers that say how many bytes of each there are (RFC 4175 §4.2).
fn is_raw_video(payload: &[u8]) -> bool {
    let Some(mut rest) = payload.get(2..) else { return false };
    let mut sum = 0;
    while let [high, low, _, _, more, _, after @ ..] = rest {
        sum += usize::from(u16::from_be_bytes([*high, *low]));
        rest = after;
        if more & 0x80 == 0 {
            return sum == rest.len() && sum > 0;
        }
    }
    false
}

/// Whether a payload is AAC as ffmpeg and GStreamer send it (RFC 3640, mode AAC-hbr): the headers say how
/// long the units are.
pub(super) fn is_aac(payload: &[u8]) -> bool {
    const HEADER_BITS: usize = 16;
    let Some((&[high, low], rest)) = payload.split_first_chunk::<2>() else { return false };
    let bits = usize::from(u16::from_be_bytes([high, low]));
    if bits == 0 || !bits.is_multiple_of(HEADER_BITS) {
        return false;
    }
    let Some((headers, units)) = rest.split_at_checked(bits / 8) else { return false };
    let sizes = headers.chunks_exact(2).map(|header| match *header {
        [high, low] => usize::from(u16::from_be_bytes([high, low]) >> 3),
        _ => 0,
    });
    let sum: usize = sizes.sum();
    // One that does not fit into a packet is sent in several.
    sum == units.len() || (bits == HEADER_BITS && sum > units.len() && units.len() > 500)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detected(expected: VideoCodec, payloads: &[&[u8]]) -> Option<UnexpectedMedia> {
        let mut detector = VideoDetector::new(expected);
        payloads.iter().for_each(|payload| detector.take(payload, true));
        detector.detected()
    }

    #[test]
    fn codecs_are_told_by_their_first_packets() {
        const SPS: &[u8] = &[0x67, 0x42, 0xc0, 0x1e, 0xda];
        const VP8: &[u8] = &[0x10, 0x90, 0x0c, 0, 0x9d, 1, 0x2a, 0x40, 1];
        let h264 = VideoCodec::H264;
        assert_eq!(detected(h264, &[&[0x40, 1, 0x0c, 1]]), Some(UnexpectedMedia::Hevc));
        assert_eq!(
            detected(h264, &[&[0x60, 1, 0, 24, 0x40, 1, 0x0c]]),
            Some(UnexpectedMedia::Hevc)
        );
        assert_eq!(detected(h264, &[&[0, 0, 1, 0xb0, 1]]), Some(UnexpectedMedia::Mpeg4));
        assert_eq!(detected(h264, &[VP8]), Some(UnexpectedMedia::Vp8));
        assert_eq!(
            detected(h264, &[&[0x90, 0x80, 0x81, 0x22, 0x90, 0x0c, 0, 0x9d, 1, 0x2a]]),
            Some(UnexpectedMedia::Vp8)
        );
        assert_eq!(detected(VideoCodec::Vp8, &[SPS]), Some(UnexpectedMedia::H264));
        assert_eq!(
            detected(VideoCodec::Vp8, &[&[0x78, 0, 5, 0x67, 0x42, 0xc0, 0x1e, 0xda]]),
            Some(UnexpectedMedia::H264)
        );
        // Two lines of pixels.
        const RAW: &[u8] = &[0, 0, 0, 4, 0, 1, 0x80, 0, 0, 2, 0, 2, 0, 0, 1, 2, 3, 4, 5, 6];
        assert_eq!(detected(h264, &[RAW]), Some(UnexpectedMedia::RawVideo));
        // VP9 as GStreamer sends it by default, and with picture ids.
        for vp9 in [[0x0c, 0x86, 0], [0x4c, 0x86, 0], [0x8c, 1, 0x86]] {
            assert_eq!(detected(h264, &[&vp9[..]; 10]), Some(UnexpectedMedia::Vp9));
            assert_eq!(detected(VideoCodec::Vp8, &[&vp9[..]; 10]), Some(UnexpectedMedia::Vp9));
        }
        // What rtpgstpay sends, and others that nothing is known of.
        assert_eq!(detected(h264, &[&[0, 0, 0, 0, 9, 9][..]; 10]), None);
        // Joined in the middle.
        assert_eq!(detected(h264, &[&[2, 1, 0xd0][..]; 10]), Some(UnexpectedMedia::Hevc));
        assert_eq!(detected(h264, &[&[0x10, 0xd1, 0x20][..]; 10]), Some(UnexpectedMedia::Vp8));
    }

    #[test]
    fn what_is_expected_shows_no_signs_of_anything_else() {
        let h264: [&[u8]; 7] = [
            &[0x67, 0x42, 0xc0, 0x1e],
            &[0x68, 0x01],
            &[0x06, 0x01, 0x02],
            &[0x65, 0x88],
            &[0x7c, 0x85, 0x88],
            &[0x7c, 0x01, 0x88],
            &[0x41, 0x9a],
        ];
        assert_eq!(detected(VideoCodec::H264, &h264), None);
        // With a delimiter before each picture.
        assert_eq!(detected(VideoCodec::H264, &[&[0x09, 0xf0][..]; 10]), None);
        let vp8: [&[u8]; 3] = [&[0x10, 0x90, 0x0c, 0, 0x9d, 1, 0x2a], &[0x00, 1], &[0x10, 1, 2]];
        assert_eq!(detected(VideoCodec::Vp8, &vp8), None);
    }

    #[test]
    fn aac_is_told_by_its_headers() {
        let one = [&[0, 16, 0, 3 << 3][..], &[1, 2, 3]].concat();
        let two = [&[0, 32, 0, 1 << 3, 0, 2 << 3][..], &[1, 2, 3]].concat();
        assert!(is_aac(&one) && is_aac(&two));
        for other in [&[0xfc, 1, 2][..], &[0, 16], &[0, 16, 0, 99, 1, 2], &[0, 0, 1], &[]] {
            assert!(!is_aac(other), "{other:?}");
        }
    }

    #[test]
    fn transport_streams_and_byte_streams_are_told() {
        assert_eq!(without_rtp(&[0x47; 188]), Some(UnexpectedMedia::MpegTs));
        assert_eq!(without_rtp(&[0, 0, 0, 1, 0x67]), Some(UnexpectedMedia::AnnexB));
        assert_eq!(without_rtp(&[1; 188]), None);
        assert_eq!(without_rtp(&[]), None);
    }
}
