use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Where the server's media comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Encoded already: a synthetic H264 stream with Opus over the server's RTP input. The figures hold
    /// fan-out and nothing else.
    Rtp,
    /// The built-in face, encoded by the server. The figures hold encoding too.
    Live,
}

/// What is measured, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Numbers of viewers, each measured with a fresh server.
    pub viewers: Vec<usize>,
    /// Length of each measuring window.
    pub duration: Duration,
    /// From the last viewer's first picture to the window.
    pub warm_up: Duration,
    /// Where the media comes from.
    pub source: Source,
    /// Video bitrate.
    pub bitrate_kbps: u32,
    /// One viewer in this many decrypts media, and the first two.
    pub decrypt_one_in: usize,
    /// More arguments for the server.
    pub server_args: Vec<OsString>,
    /// The server; `None`: the one that [`find_binary`](crate::find_binary) finds.
    pub binary: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            viewers: vec![1, 10, 100, 200, 500, 1_000],
            duration: Duration::from_secs(20),
            warm_up: Duration::from_secs(3),
            source: Source::Rtp,
            bitrate_kbps: 2_000,
            decrypt_one_in: 16,
            server_args: Vec::new(),
            binary: None,
        }
    }
}

impl Source {
    /// Its name on the command line and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rtp => "rtp",
            Self::Live => "live",
        }
    }
}
