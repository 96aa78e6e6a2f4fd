use visavis_types::VideoCodec;

/// Whether this build has the software encoder of a codec.
pub(crate) const fn is_built(codec: VideoCodec) -> bool {
    match codec {
        VideoCodec::H264 => cfg!(feature = "h264"),
        VideoCodec::Vp8 => cfg!(feature = "vp8"),
        VideoCodec::Vp9 => cfg!(feature = "vp9"),
        VideoCodec::Av1 => cfg!(feature = "av1"),
    }
}
