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
//!   glass;
//! - [`floor`] sends the same packets with nothing but encryption around the system call: what no
//!   server on this machine can go below;
//! - [`sync`] tells how far sound and picture are apart in the browser;
//! - [`idle`] measures what sessions cost in which nothing happens;
//! - [`siege`] lets viewers watch while strangers do their worst;
//! - [`faces`] tells what viewers get of many live faces on one machine;
//! - [`encode`] measures what encoding costs, each codec alone;
//! - [`profile`] samples the server under load and draws a flame graph;
//! - [`peers`] puts the same load on what people use instead.
//!
//! Nothing here links the engine, but for the codecs in [`encode`]: whatever is measured, is measured
//! through the network.

mod browser;
mod check;
mod cli;
pub mod encode;
mod error;
pub mod faces;
pub mod fanout;
mod feeder;
pub mod floor;
pub mod glass;
mod http;
pub mod idle;
mod machine;
mod mark;
pub mod peers;
mod process;
pub mod profile;
mod server;
pub mod siege;
pub mod signaling;
mod spread;
pub mod sync;
mod table;
pub mod viewers;

pub use browser::{Browser, Microphone, Page};
pub use check::Check;
pub use error::Error;
pub use http::get_json;
pub use machine::Machine;
pub use peers::aiortc_python;
pub use server::{CpuTime, Server, ServerOptions, find_binary};
pub use spread::{Durations, Spread};
pub use table::Table;
