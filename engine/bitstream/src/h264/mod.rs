//! H264 (ITU-T H.264): NAL units, access units, parameter sets, levels, and the form that MP4 files
//! keep it in.
//!
//! ```
//! use visavis_bitstream::h264::{self, nal_type, nal_units};
//!
//! let stream = [0, 0, 0, 1, 0x67, 66, 0, 31, 0, 0, 1, 0x68, 0xce];
//! let types: Vec<u8> = nal_units(&stream).map(nal_type).collect();
//! assert_eq!(types, [h264::SPS, h264::PPS]);
//! ```

mod avc_config;
mod contents;
mod level;
mod nal;
mod parameter_sets;
mod sps;
mod vui;

pub use avc_config::AvcConfig;
pub(crate) use contents::inspect;
pub use contents::{Contents, contents, is_first_slice, parameter_set_id};
pub use level::level_for_stream;
pub use nal::{
    DELIMITER, FILLER, FORBIDDEN_BIT, FU_A, IDR_SLICE, PPS, SEI, SLICE, SPS, STAP_A, START_CODE,
    TYPE_MASK, append_nal, escape_into, is_slice, nal_type, nal_units, unescape,
};
pub use parameter_sets::ParameterSets;
pub use sps::{Sps, write_low_latency, write_without_reordering};
pub use vui::{Restriction, VideoSignal, Vui};
