//! What the bandwidth estimator makes of networks, in virtual time.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

mod hostile;
mod media;
mod paths;
mod rfc8867;
mod rfc8869;
mod run;
mod scenarios;
