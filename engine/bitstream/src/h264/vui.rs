//! Video usability information of a sequence parameter set (ITU-T H.264 §E.1.1).

use crate::{BitReader, BitWriter, Malformed};

/// Video usability information; the default is what holds where there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vui {
    /// From `aspect_ratio_info_present_flag` to before `video_signal_type_present_flag`, as it is.
    pub(super) aspect_and_overscan: Option<(usize, usize)>,
    /// Colours.
    pub signal: Option<VideoSignal>,
    /// From `chroma_loc_info_present_flag` to before `bitstream_restriction_flag`, as it is.
    pub(super) chroma_to_pic_struct: Option<(usize, usize)>,
    /// How far pictures may be reordered.
    pub restriction: Option<Restriction>,
}

/// What an SPS says of the colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoSignal {
    video_format: u8,
    /// Whether black and white are 0 and 255, and not 16 and 235.
    pub full_range: bool,
    /// `colour_primaries`, `transfer_characteristics`, `matrix_coefficients`.
    pub description: Option<[u8; 3]>,
}

impl VideoSignal {
    /// Limited range; the primaries and transfer curve of BT.709, which are (nearly) those of the
    /// sRGB pictures a renderer makes; the `matrix_coefficients` that they were converted with.
    pub fn limited(matrix_coefficients: u8) -> Self {
        const UNSPECIFIED_FORMAT: u8 = 5;
        let description = Some([1, 1, matrix_coefficients]);
        Self { video_format: UNSPECIFIED_FORMAT, full_range: false, description }
    }
}

/// `bitstream_restriction`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restriction {
    motion_vectors_over_boundaries: bool,
    max_bytes_per_pic_denom: u32,
    max_bits_per_mb_denom: u32,
    log2_max_mv_length: [u32; 2],
    /// How many pictures can come before one that is shown earlier.
    pub max_num_reorder_frames: u32,
    /// How many pictures a decoder has to keep.
    pub max_dec_frame_buffering: u32,
}

impl Restriction {
    /// What holds where nothing is said (§E.2.1).
    pub(super) const UNRESTRICTED: Self = Self {
        motion_vectors_over_boundaries: true,
        max_bytes_per_pic_denom: 2,
        max_bits_per_mb_denom: 1,
        log2_max_mv_length: [15, 15],
        max_num_reorder_frames: 16,
        max_dec_frame_buffering: 16,
    };

    /// The same with no picture shown after one that comes later.
    pub(super) fn without_reordering(self, references: u32) -> Self {
        Self { max_num_reorder_frames: 0, max_dec_frame_buffering: references, ..self }
    }

    fn read(r: &mut BitReader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            motion_vectors_over_boundaries: r.flag()?,
            max_bytes_per_pic_denom: r.ue()?,
            max_bits_per_mb_denom: r.ue()?,
            log2_max_mv_length: [r.ue()?, r.ue()?],
            max_num_reorder_frames: r.ue()?,
            max_dec_frame_buffering: r.ue()?,
        })
    }

    fn write(&self, w: &mut BitWriter) {
        w.flag(self.motion_vectors_over_boundaries);
        w.ue(self.max_bytes_per_pic_denom);
        w.ue(self.max_bits_per_mb_denom);
        self.log2_max_mv_length.into_iter().for_each(|value| w.ue(value));
        w.ue(self.max_num_reorder_frames);
        w.ue(self.max_dec_frame_buffering);
    }
}

impl Vui {
    pub(super) fn read(r: &mut BitReader<'_>) -> Result<Self, Malformed> {
        const EXTENDED_SAR: u32 = 255;
        let start = r.position();
        if r.flag()? && r.bits(8)? == EXTENDED_SAR {
            r.bits(32)?;
        }
        if r.flag()? {
            let _overscan_appropriate = r.flag()?;
        }
        let aspect_and_overscan = Some((start, r.position()));
        let signal = if r.flag()? {
            let video_format = r.bits(3)? as u8;
            let full_range = r.flag()?;
            let description = if r.flag()? {
                Some([r.bits(8)? as u8, r.bits(8)? as u8, r.bits(8)? as u8])
            } else {
                None
            };
            Some(VideoSignal { video_format, full_range, description })
        } else {
            None
        };
        let start = r.position();
        if r.flag()? {
            let _chroma_sample_location = [r.ue()?, r.ue()?];
        }
        if r.flag()? {
            let _timing = [r.bits(32)?, r.bits(32)?, r.bits(1)?];
        }
        let nal_hrd = r.flag()?;
        if nal_hrd {
            skip_hrd(r)?;
        }
        let vcl_hrd = r.flag()?;
        if vcl_hrd {
            skip_hrd(r)?;
        }
        if nal_hrd || vcl_hrd {
            let _low_delay = r.flag()?;
        }
        let _pic_struct = r.flag()?;
        let chroma_to_pic_struct = Some((start, r.position()));
        let restriction = if r.flag()? { Some(Restriction::read(r)?) } else { None };
        Ok(Self { aspect_and_overscan, signal, chroma_to_pic_struct, restriction })
    }

    /// Writes the VUI; what is kept as it was is taken from the RBSP it was read from.
    pub(super) fn write(&self, rbsp: &[u8], w: &mut BitWriter) -> Result<(), Malformed> {
        match self.aspect_and_overscan {
            Some((from, to)) => w.copy(rbsp, from, to)?,
            None => w.bits(0, 2),
        }
        w.flag(self.signal.is_some());
        if let Some(signal) = self.signal {
            w.bits(u32::from(signal.video_format), 3);
            w.flag(signal.full_range);
            w.flag(signal.description.is_some());
            let codes = signal.description.into_iter().flatten();
            codes.for_each(|code| w.bits(u32::from(code), 8));
        }
        match self.chroma_to_pic_struct {
            Some((from, to)) => w.copy(rbsp, from, to)?,
            // No chroma location, timing, NAL HRD, VCL HRD, pic_struct.
            None => w.bits(0, 5),
        }
        w.flag(self.restriction.is_some());
        if let Some(restriction) = &self.restriction {
            restriction.write(w);
        }
        Ok(())
    }
}

/// `hrd_parameters()` (§E.1.2).
fn skip_hrd(r: &mut BitReader<'_>) -> Result<(), Malformed> {
    let count = r.ue()?;
    if count > 31 {
        return Err(Malformed);
    }
    let _scales = r.bits(8)?;
    for _ in 0..=count {
        let _entry = [r.ue()?, r.ue()?, r.bits(1)?];
    }
    let _lengths = r.bits(20)?;
    Ok(())
}
