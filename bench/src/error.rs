use std::path::PathBuf;

/// What can go wrong while measuring.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program of this workspace has not been built.
    #[error(
        "{name} was not found at {}: build it with `cargo build -p {package}`, or point {variable} at it",
        tried.display()
    )]
    Missing {
        /// The program.
        name: &'static str,
        /// The package that builds it.
        package: &'static str,
        /// The environment variable that overrides where it is looked for.
        variable: &'static str,
        /// Where it was looked for.
        tried: PathBuf,
    },
    /// The server did not start, stop or answer as it should.
    #[error("server: {0}")]
    Server(String),
    /// The browser did not start or answer.
    #[error("browser: {0}")]
    Browser(String),
    /// A script threw in the page, or did not finish in time.
    #[error("page: {0}")]
    Page(String),
    /// The viewers could not run.
    #[error("viewers: {0}")]
    Viewers(String),
    /// Figures outside their limits.
    #[error("not reached: {0}")]
    Missed(String),
    /// A plot could not be drawn.
    #[error("plot: {0}")]
    Plot(String),
    /// An encoder could not be measured.
    #[error("encode: {0}")]
    Encode(String),
    /// The floor could not be measured.
    #[error("floor: {0}")]
    Floor(String),
    /// The server could not be profiled.
    #[error("profile: {0}")]
    Profile(String),
    /// A histogram could not be made.
    #[error("histogram: {0}")]
    Histogram(String),
    /// There is no network between server and viewer.
    #[error("relay: {0}")]
    Relay(#[from] visavis_weather::RelayError),
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Something that should have been JSON was not, or not of the expected shape.
    #[error("JSON: {0}")]
    Json(#[from] serde_json::Error),
}
