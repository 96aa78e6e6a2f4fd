//! Measures a running visavis server from outside: load, latency and cost, with real sockets and a
//! real browser.
//!
//! Modules, shared by the `visavis-bench` program and the whole-system tests:
//!
//! - [`Server`] starts the real `visavis` binary on free ports and measures its cost;
//! - [`Browser`] and [`Page`] drive the installed Chromium;
//! - [`viewers`] connects any number of receiving peers, with WebSocket signaling, ICE, DTLS and
//!   SRTP over loopback, all on one thread;
//! - [`fanout`] measures what a server costs against its number of viewers;
//! - [`glass`] reads, in the browser, the time drawn into each frame: latency from push to display;
//! - [`floor`] sends the same packets with encryption and the system call only: a lower bound for any server on this
//!   machine;
//! - [`sync`] measures lip sync in the browser;
//! - [`weather`] measures what the browser shows behind slow and lossy networks;
//! - [`idle`] measures the cost of idle sessions;
//! - [`siege`] measures the effect of attacks on viewers;
//! - [`faces`] measures what viewers receive of many live faces on one machine;
//! - [`encode`] measures the cost of encoding, each codec alone;
//! - [`profile`] samples the server under load and draws a flame graph;
//! - [`peers`] puts the same load on other servers;
//! - [`avatar`] compares an avatar server in Python on aiortc and on this project's package.
//!
//! Only [`encode`] measures a part of the engine in this process, the codecs; everything else is measured through the
//! network. The load links types and bitstreams of the engine.

pub mod avatar;
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
pub mod weather;

pub use browser::{Browser, Microphone, Page};
pub use check::Check;
pub use error::Error;
pub use http::get_json;
pub use machine::Machine;
pub use peers::aiortc_python;
pub use server::{CpuTime, Server, ServerOptions, find_binary};
pub use spread::{Durations, Spread};
pub use table::Table;
