//! Measures a running visavis server from outside: load, latency and cost, with real sockets and a
//! real browser.
//!
//! The `visavis-bench` program and the whole-system tests share these rooms:
//!
//! - [`Server`] starts the real `visavis` binary on ports of its own and reads what it costs;
//! - [`Browser`] and [`Page`] drive a real Chromium, and never download one;
//! - [`viewers`] connects any number of receiving peers, with WebSocket signaling, ICE, DTLS and
//!   SRTP over loopback, all on one thread;
//! - [`fanout`] measures what a server costs against its number of viewers;
//! - [`glass`] reads, in the browser, the time painted into each frame: latency from the push to the
//!   glass.
//!
//! Nothing here links the engine: whatever is measured, is measured through the network.

mod browser;
mod check;
mod error;
pub mod fanout;
pub mod glass;
mod http;
mod machine;
mod mark;
mod server;
mod spread;
mod table;
pub mod viewers;

pub use browser::{Browser, Microphone, Page};
pub use check::Check;
pub use error::Error;
pub use http::get_json;
pub use machine::Machine;
pub use server::{CpuTime, Server, ServerOptions, find_binary};
pub use spread::{Durations, Spread};
pub use table::Table;
