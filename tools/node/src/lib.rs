//! The native half of the npm package `visavis`: the engine, its sessions and the signaling server as objects of
//! Node. The other half is JavaScript (`index.js` and `lib`), which checks what it is given, knows the defaults and
//! emits the events; it is the only caller of this one.
//!
//! | module | what |
//! |---|---|
//! | `system` | the engine with its signaling server: starts, stops |
//! | `session` | one face: what is pushed, its status |
//! | `decoding` | pushes that decode first, on a thread of Node's pool |
//! | `utterance` | what is made ahead of its time |
//! | `peers` | viewers whose offers come another way than by the signaling server |
//! | `inbox` | what has come from viewers and waits to be read, and the thread that waits for it |
//! | `items` | that, as JavaScript gets it |
//! | `observer` | offers, answers and candidates as they pass |
//! | `values` | what is pushed and named, as JavaScript gives it |
//! | `options` | settings as JavaScript gives them |
//! | `failure` | errors with a code, and panics as errors |
//! | `log` | the engine's log on stderr |
//!
//! No thread of the engine calls into JavaScript. One thread of this library waits for events, microphones and
//! messages; when there is something it asks Node to come and read, and rests until that is done.

#![allow(
    clippy::missing_errors_doc,
    reason = "nobody calls it from Rust; index.d.ts says what fails"
)]

pub mod decoding;
mod failure;
pub mod inbox;
pub mod items;
mod log;
mod observer;
pub mod options;
pub mod peers;
pub mod session;
pub mod system;
pub mod utterance;
mod values;
