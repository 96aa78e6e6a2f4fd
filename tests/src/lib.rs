//! What the whole-system tests share. The tests themselves are in `tests/`, one file a subject.

mod firefox;
mod likeness;
mod listener;
mod long_cable;
mod netns;
mod node;
mod node_package;
mod page;
mod pattern;
mod players;
mod proxy;
mod python;
mod recording;
mod sender;
mod sync;
mod turn;
mod typescript;
mod weather;

pub use firefox::Firefox;
pub use likeness::{SPEECH_RATE, correlation, likeness, speech};
pub use listener::{HeardPacket, Listener};
pub use netns::{Network, SERVER};
pub use node::run_page_tests;
pub use node_package::node_package;
pub use page::{CAPTURE_PEERS_AND_FRAMES, Picture, Stats, Watcher};
pub use pattern::Still;
pub use players::{
    AiortcReport, PlayerSite, WebrtcbinReport, watch_with_aiortc, watch_with_webrtcbin,
};
pub use proxy::Proxy;
pub use python::Script;
pub use recording::{RecordedPicture, RecordedSound, Recording, wall_clock_ms};
pub use sender::{Fault, PACKETS_PER_FRAME, Sender};
pub use sync::{click_after_flash_ms, median};
pub use turn::{Turn, artifacts, fixtures, root};
pub use typescript::typescript;
pub use weather::{RELAY, Weather};

/// What a test returns.
pub type Outcome = Result<(), Box<dyn std::error::Error>>;

/// What README shows is compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
