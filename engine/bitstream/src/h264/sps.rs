//! Sequence parameter sets (ITU-T H.264 §7.3.2.1.1, §E.1.1): reading them, and rewriting them so
//! that a decoder shows every picture at once.
//!
//! A decoder that is not told otherwise must expect reordered pictures and may hold back up to 16
//! of them. `bitstream_restriction` in the VUI tells it.

use super::level::max_dpb_frames;
use super::nal::{escape_into, unescape};
use super::vui::{Restriction, VideoSignal, Vui};
use crate::{BitReader, BitWriter, Malformed};

/// What the engine wants to know of a sequence parameter set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sps {
    /// `profile_idc`: 66 is baseline, 77 main, 100 high.
    pub profile_idc: u8,
    /// `constraint_set0_flag` in the most significant bit.
    pub constraints: u8,
    /// `level_idc`: 31 is level 3.1.
    pub level_idc: u8,
    /// `max_num_ref_frames`.
    pub max_num_ref_frames: u32,
    /// Pixels per row, cropped.
    pub width: u32,
    /// Rows, cropped.
    pub height: u32,
    macroblocks: u32,
    poc_type: u32,
    /// Position in the RBSP of `vui_parameters_present_flag`.
    vui_flag_at: usize,
    /// What it says beyond what decoding needs.
    pub vui: Vui,
}

impl Sps {
    /// Reads a NAL unit of type 7, header included, start code not.
    ///
    /// # Errors
    ///
    /// Where it ends early, or has a value that no level allows.
    pub fn parse(nal: &[u8]) -> Result<Self, Malformed> {
        let (_header, payload) = nal.split_first().ok_or(Malformed)?;
        Self::parse_rbsp(&unescape(payload))
    }

    fn parse_rbsp(rbsp: &[u8]) -> Result<Self, Malformed> {
        let mut r = BitReader::new(rbsp);
        let [profile_idc, constraints, level_idc] =
            [r.bits(8)? as u8, r.bits(8)? as u8, r.bits(8)? as u8];
        let _id = r.ue()?;
        let chroma_format_idc = read_chroma_and_scaling(&mut r, profile_idc)?;
        let _log2_max_frame_num_minus4 = r.ue()?;
        let poc_type = read_picture_order(&mut r)?;
        let max_num_ref_frames = r.ue()?;
        let _gaps_allowed = r.flag()?;
        let columns = r.ue()?.checked_add(1).ok_or(Malformed)?;
        let map_units = r.ue()?.checked_add(1).ok_or(Malformed)?;
        let frame_mbs_only = r.flag()?;
        if !frame_mbs_only {
            let _adaptive = r.flag()?;
        }
        let _direct_8x8 = r.flag()?;
        let fields = if frame_mbs_only { 1 } else { 2 };
        let rows = map_units.checked_mul(fields).ok_or(Malformed)?;
        // Beyond what any level allows; keeps the arithmetic below within range.
        if columns > 1_024 || rows > 1_024 {
            return Err(Malformed);
        }
        let crop = if r.flag()? { [r.ue()?, r.ue()?, r.ue()?, r.ue()?] } else { [0; 4] };
        let (unit_x, unit_y) = match chroma_format_idc {
            1 => (2, 2 * fields),
            2 => (2, fields),
            _ => (1, fields),
        };
        let cropped = |full: u32, a: u32, b: u32, unit: u32| {
            full.checked_sub(a.checked_add(b)?.checked_mul(unit)?).filter(|&side| side > 0)
        };
        let width = cropped(columns * 16, crop[0], crop[1], unit_x).ok_or(Malformed)?;
        let height = cropped(rows * 16, crop[2], crop[3], unit_y).ok_or(Malformed)?;
        let vui_flag_at = r.position();
        let vui = if r.flag()? { Vui::read(&mut r)? } else { Vui::default() };
        Ok(Self {
            profile_idc,
            constraints,
            level_idc,
            max_num_ref_frames,
            width,
            height,
            macroblocks: columns * rows,
            poc_type,
            vui_flag_at,
            vui,
        })
    }

    /// How many pictures can come before one that is shown earlier: as said, or the most that
    /// profile and level allow (§E.2.1).
    pub fn max_num_reorder_frames(&self) -> u32 {
        match self.vui.restriction {
            Some(restriction) => restriction.max_num_reorder_frames.min(16),
            // Baseline has no B slices; order type 2 means output in decoding order (§8.2.1).
            None if self.profile_idc == 66 || self.poc_type == 2 => 0,
            None => max_dpb_frames(self.level_idc, self.macroblocks),
        }
    }

    /// Whether a decoder learns from this that it may show every picture at once, and which
    /// colours they have.
    fn is_ready(&self, signal: VideoSignal) -> bool {
        self.vui.signal == Some(signal)
            && self.vui.restriction.is_some_and(|restriction| {
                restriction.max_num_reorder_frames == 0
                    && restriction.max_dec_frame_buffering <= self.max_num_ref_frames
            })
    }
}

/// Appends an SPS NAL unit to `out`, made such that a decoder waits for no reordered picture and
/// knows the colours; everything else stays as it was. Only for streams without reordering.
///
/// # Errors
///
/// Where the SPS cannot be read; `out` is unchanged then.
pub fn write_low_latency(
    nal: &[u8],
    signal: VideoSignal,
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    rewrite(nal, |sps| (!sps.is_ready(signal)).then_some(Some(signal)), out)
}

/// Appends an SPS NAL unit of an encoder that is not ours to `out`. Where it does not say how many
/// pictures are reordered, it says none afterwards: without that some decoders hold back up to 16
/// pictures. WebRTC has no way to send reordered pictures, so that a stream which is silent about it
/// has none.
///
/// # Errors
///
/// Where the SPS cannot be read; `out` is unchanged then.
pub fn write_without_reordering(nal: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    rewrite(nal, |sps| sps.vui.restriction.is_none().then_some(sps.vui.signal), out)
}

/// Copies an SPS; with no reordering and the colours that `change` gives, if it gives any.
fn rewrite(
    nal: &[u8],
    change: impl FnOnce(&Sps) -> Option<Option<VideoSignal>>,
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    let (&header, payload) = nal.split_first().ok_or(Malformed)?;
    let rbsp = unescape(payload);
    let sps = Sps::parse_rbsp(&rbsp)?;
    let Some(signal) = change(&sps) else {
        out.extend_from_slice(nal);
        return Ok(());
    };
    let mut w = BitWriter::default();
    w.copy(&rbsp, 0, sps.vui_flag_at)?;
    w.flag(true);
    let restriction = sps.vui.restriction.unwrap_or(Restriction::UNRESTRICTED);
    let restriction = restriction.without_reordering(sps.max_num_ref_frames);
    let vui = Vui { signal, restriction: Some(restriction), ..sps.vui };
    vui.write(&rbsp, &mut w)?;
    out.push(header);
    escape_into(&w.finish(), out);
    Ok(())
}

/// The part only some profiles have; returns `chroma_format_idc`.
fn read_chroma_and_scaling(r: &mut BitReader<'_>, profile_idc: u8) -> Result<u32, Malformed> {
    if !matches!(
        profile_idc,
        44 | 83 | 86 | 100 | 110 | 118 | 122 | 128 | 134 | 135 | 138 | 139 | 244
    ) {
        return Ok(1);
    }
    let chroma_format_idc = r.ue()?;
    if chroma_format_idc == 3 {
        let _separate_planes = r.flag()?;
    }
    let _bit_depths = [r.ue()?, r.ue()?];
    let _lossless = r.flag()?;
    if r.flag()? {
        let lists = if chroma_format_idc == 3 { 12 } else { 8 };
        for list in 0..lists {
            if r.flag()? {
                skip_scaling_list(r, if list < 6 { 16 } else { 64 })?;
            }
        }
    }
    Ok(chroma_format_idc)
}

/// `scaling_list()` (§7.3.2.1.1.1).
fn skip_scaling_list(r: &mut BitReader<'_>, entries: usize) -> Result<(), Malformed> {
    let (mut last, mut next) = (8, 8);
    for _ in 0..entries {
        if next != 0 {
            next = (last + r.se()?).rem_euclid(256);
        }
        if next != 0 {
            last = next;
        }
    }
    Ok(())
}

/// Returns `pic_order_cnt_type`.
fn read_picture_order(r: &mut BitReader<'_>) -> Result<u32, Malformed> {
    let poc_type = r.ue()?;
    match poc_type {
        0 => {
            let _log2_max_lsb_minus4 = r.ue()?;
        }
        1 => {
            let _always_zero = r.flag()?;
            let _offsets = [r.se()?, r.se()?];
            let cycle = r.ue()?;
            if cycle > 255 {
                return Err(Malformed);
            }
            for _ in 0..cycle {
                r.se()?;
            }
        }
        _ => {}
    }
    Ok(poc_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `matrix_coefficients`.
    const BT601: u8 = 6;
    const BT709: u8 = 1;

    /// An SPS, and what ffmpeg's `trace_headers` reads in it.
    struct Sample {
        nal: &'static [u8],
        profile_level: (u8, u8),
        refs: u32,
        reorder: u32,
        colours: Option<[u8; 3]>,
    }

    /// `ffmpeg -f lavfi -i testsrc2=size=322x178:rate=30:duration=1 -pix_fmt yuv420p -c:v libx264`,
    /// with the options named at each.
    const X264: [Sample; 4] = [
        // -profile:v baseline
        Sample {
            nal: &[
                0x67, 0x42, 0xc0, 0x0d, 0xd9, 0x01, 0x51, 0x9e, 0x22, 0x23, 0x01, 0x10, 0x00, 0x00,
                0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x42, 0xa4, 0x80,
            ],
            profile_level: (66, 13),
            refs: 3,
            reorder: 0,
            colours: None,
        },
        // -profile:v high -bf 3
        Sample {
            nal: &[
                0x67, 0x64, 0x00, 0x0d, 0xac, 0xd9, 0x41, 0x51, 0x9e, 0x22, 0x23, 0x01, 0x10, 0x00,
                0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x42, 0x99, 0x60,
            ],
            profile_level: (100, 13),
            refs: 4,
            reorder: 2,
            colours: None,
        },
        // -profile:v main -bf 2 -aspect 4:3
        // -x264-params nal-hrd=vbr:vbv-maxrate=1000:vbv-bufsize=1000
        Sample {
            nal: &[
                0x67, 0x4d, 0x40, 0x14, 0xec, 0xa0, 0xa8, 0xcf, 0x11, 0x11, 0xff, 0x80, 0xb2, 0x00,
                0xf1, 0x88, 0x00, 0x00, 0x03, 0x00, 0x08, 0x00, 0x00, 0x03, 0x01, 0xe3, 0x02, 0x00,
                0x07, 0xa1, 0x20, 0x00, 0xf4, 0x25, 0x26, 0x18, 0x03, 0xc5, 0x0a, 0x65, 0x80,
            ],
            profile_level: (77, 20),
            refs: 4,
            reorder: 2,
            colours: None,
        },
        // -profile:v high -color_range tv -colorspace bt709 -color_primaries bt709
        // -color_trc bt709
        Sample {
            nal: &[
                0x67, 0x64, 0x00, 0x0d, 0xac, 0xd9, 0x41, 0x51, 0x9e, 0x22, 0x23, 0x01, 0x6a, 0x02,
                0x02, 0x02, 0x80, 0x00, 0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x1e, 0x07, 0x8a, 0x14,
                0xcb,
            ],
            profile_level: (100, 13),
            refs: 4,
            reorder: 2,
            colours: Some([1, 1, 1]),
        },
    ];

    fn rewritten(nal: &[u8], signal: VideoSignal) -> Vec<u8> {
        let mut out = Vec::new();
        write_low_latency(nal, signal, &mut out).unwrap();
        out
    }

    #[test]
    fn what_x264_wrote_is_read() {
        for sample in X264 {
            let sps = Sps::parse(sample.nal).unwrap();
            assert_eq!((sps.width, sps.height), (322, 178));
            assert_eq!((sps.profile_idc, sps.level_idc), sample.profile_level);
            assert_eq!(sps.max_num_ref_frames, sample.refs);
            assert_eq!(sps.max_num_reorder_frames(), sample.reorder);
            assert_eq!(sps.vui.signal.and_then(|signal| signal.description), sample.colours);
        }
    }

    #[test]
    fn rewriting_changes_delay_and_colours_only() {
        let signal = VideoSignal::limited(BT601);
        for sample in X264 {
            let before = Sps::parse(sample.nal).unwrap();
            let nal = rewritten(sample.nal, signal);
            let mut after = Sps::parse(&nal).unwrap();
            let restriction = after.vui.restriction.unwrap();
            assert_eq!(restriction.max_num_reorder_frames, 0);
            assert_eq!(restriction.max_dec_frame_buffering, sample.refs);
            assert_eq!(after.vui.signal, Some(signal));
            assert_eq!(nal[0], sample.nal[0]);
            // The positions of what was copied may have moved; its length may not have.
            let length = |range: Option<(usize, usize)>| range.map(|(from, to)| to - from);
            let kept =
                |vui: &Vui| (length(vui.aspect_and_overscan), length(vui.chroma_to_pic_struct));
            assert_eq!(kept(&after.vui), kept(&before.vui));
            after.vui = before.vui.clone();
            assert_eq!(after, before);
            // Nothing is left to change.
            assert_eq!(rewritten(&nal, signal), nal);
        }
    }

    #[test]
    fn foreign_streams_are_left_alone_unless_they_are_silent() {
        let mut out = Vec::new();
        for sample in X264 {
            write_without_reordering(sample.nal, &mut out).unwrap();
            assert_eq!(std::mem::take(&mut out), sample.nal);
        }
        // Constrained baseline, level 3.0, 640x480, no VUI.
        let silent = [0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xf6, 0x40];
        let before = Sps::parse(&silent).unwrap();
        assert_eq!((before.width, before.height, before.vui.restriction), (640, 480, None));
        write_without_reordering(&silent, &mut out).unwrap();
        let after = Sps::parse(&out).unwrap();
        assert_eq!(after.vui.restriction.unwrap().max_num_reorder_frames, 0);
        assert_eq!((after.width, after.height), (before.width, before.height));
        assert_eq!(after.vui.signal, None);
        out.clear();
        assert!(write_without_reordering(&silent[..5], &mut out).is_err() && out.is_empty());
    }

    #[test]
    fn a_missing_vui_is_added() {
        let rbsp = unescape(&X264[0].nal[1..]);
        let mut w = BitWriter::default();
        w.copy(&rbsp, 0, Sps::parse(X264[0].nal).unwrap().vui_flag_at).unwrap();
        w.flag(false);
        let mut bare = vec![0x67];
        escape_into(&w.finish(), &mut bare);
        assert_eq!(Sps::parse(&bare).unwrap().vui, Vui::default());
        let signal = VideoSignal::limited(BT709);
        let sps = Sps::parse(&rewritten(&bare, signal)).unwrap();
        assert!(sps.is_ready(signal));
        assert_eq!(sps.vui.signal.unwrap().description, Some([1, 1, 1]));
    }

    #[test]
    fn silence_about_reordering_means_the_most_there_can_be() {
        let mut sps = Sps::parse(X264[1].nal).unwrap();
        sps.vui = Vui::default();
        // Level 1.3 keeps 2,376 macroblocks; a picture has 21 × 12.
        assert_eq!(sps.max_num_reorder_frames(), 9);
        sps.profile_idc = 66;
        assert_eq!(sps.max_num_reorder_frames(), 0);
    }

    #[test]
    fn scaling_lists_are_skipped() {
        let mut w = BitWriter::default();
        [100, 0, 40].into_iter().for_each(|byte| w.bits(byte, 8));
        // Id, 4:2:0, two bit depths.
        [0, 1, 0, 0].into_iter().for_each(|value| w.ue(value));
        w.flag(false);
        w.flag(true);
        // A list that ends at once (delta -8), a full one (16 times delta 0), six absent ones.
        w.flag(true);
        w.ue(16);
        w.flag(true);
        (0..16).for_each(|_| w.ue(0));
        w.bits(0, 6);
        // Frame number, order type 2, references.
        [0, 2, 1].into_iter().for_each(|value| w.ue(value));
        w.flag(false);
        // 640x352 without cropping and VUI.
        [39, 21].into_iter().for_each(|value| w.ue(value));
        w.bits(0b1100, 4);
        let mut nal = vec![0x67];
        escape_into(&w.finish(), &mut nal);
        let sps = Sps::parse(&nal).unwrap();
        assert_eq!((sps.width, sps.height), (640, 352));
    }

    #[test]
    fn damaged_parameter_sets_are_refused() {
        let signal = VideoSignal::limited(BT601);
        for sample in X264 {
            for length in 0..sample.nal.len() - 2 {
                let mut out = vec![9];
                let _ = write_low_latency(&sample.nal[..length], signal, &mut out);
                assert!(Sps::parse(&sample.nal[..length]).is_err() == (out == [9]), "{length}");
            }
            assert_eq!(Sps::parse(&sample.nal[..8]), Err(Malformed));
        }
        assert_eq!(Sps::parse(&[]), Err(Malformed));
        assert_eq!(Sps::parse(&[0x67; 200]).map(|sps| sps.width > 16_384), Err(Malformed));
    }
}
