//! The `visavis` command: an engine, the player page and something to watch, in one program.
//!
//! | module | what |
//! |---|---|
//! | [`cli`] | the command line |
//! | [`settings`] | defaults, file, environment and flags, put together |
//! | [`serve`] | starts the parts, waits for a signal, stops them; a session for each visitor |
//! | [`echo`] | the demo face repeats the visitors' speech |
//! | [`log`] | non-blocking log on stderr |
//! | [`source`] | the demo face, and files played in a loop |
//! | [`timecode`] | a clock in the picture, to measure latency by |
#![forbid(unsafe_code)]
// Comments on settings are help texts too, where addresses stand as they are, those of IPv6 in brackets.
#![allow(rustdoc::bare_urls, rustdoc::broken_intra_doc_links)]

pub mod cli;
pub mod echo;
pub mod log;
mod memory;
pub mod serve;
pub mod settings;
pub mod source;
pub mod timecode;
