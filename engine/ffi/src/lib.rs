//! The C ABI of visavis: what `visavis.h` declares.
//!
//! The header, `include/visavis.h`, is made from this crate (`make header`); what it says of a function is the
//! function's comment here. docs/c.md is the introduction.
//!
//! | file | what |
//! |---|---|
//! | `status` | what calls return, and the sentence that goes with it |
//! | `boundary` | what stands between C and everything else: panics, `fork` |
//! | `handle` | the table behind the opaque pointers |
//! | `raw` | structs, texts and bytes of the caller |
//! | `settings`, `text` | settings out of structs, or out of TOML and JSON |
//! | the others | the functions, by subject |
//!
//! A handle is a number that looks like a pointer: it is looked up, never followed. One that was freed, or that is of
//! another kind, is an error of the call and not of the process.
#![allow(non_camel_case_types, reason = "the names are those of C")]
#![allow(
    clippy::missing_safety_doc,
    reason = "what a pointer must be is in the comment of each function, and the rules for all in the header"
)]

#[macro_use]
mod boundary;

mod arrivals;
mod audio;
mod buffer;
mod callback;
mod data;
mod encoded;
mod engine;
mod events;
mod handle;
mod hooks;
mod log;
mod microphone;
mod peers;
mod queue;
mod raw;
mod reader;
mod releases;
mod report;
mod server;
mod session;
mod settings;
mod speech;
mod status;
mod text;
mod uploads;
mod utterance;
mod version;
mod video;

pub use audio::*;
pub use buffer::{visavis_push_video_buffer, visavis_release_buffers};
pub use callback::visavis_destroy;
pub use data::*;
pub use encoded::*;
pub use engine::*;
pub use events::*;
pub use log::*;
pub use microphone::*;
pub use peers::*;
pub use raw::visavis_string_free;
pub use report::*;
pub use server::*;
pub use session::*;
pub use speech::*;
pub use status::*;
pub use utterance::*;
pub use version::*;
pub use video::*;

/// Handles have 64 bits.
const _: () = assert!(size_of::<usize>() == 8, "visavis needs a 64-bit target");
