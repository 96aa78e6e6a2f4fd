//! The arguments on the command line.

use std::time::Duration;

use serde::Serialize;

use super::{Options, Report, run};
use crate::cli::{Codec, check, print, seconds, viewers};
use crate::{Error, Server, ServerOptions};

/// Load: receiving viewers with real signaling, ICE, DTLS and SRTP, all on one thread.
///
/// Counts losses, gaps between frames and times to connect. Without --url it starts a server and reports what each
/// viewer costs it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Page of a running server; without it, a server is started.
    #[arg(long)]
    url: Option<String>,
    /// Number of viewers.
    #[arg(long, default_value_t = 100, value_parser = viewers)]
    count: usize,
    /// Seconds to watch, from the first connection.
    #[arg(long, default_value_t = 30.0, value_parser = seconds)]
    seconds: f64,
    /// Milliseconds between one viewer's start and the next one's.
    #[arg(long, default_value_t = 0)]
    spacing_ms: u64,
    /// Decode only this codec [default: any].
    #[arg(long, value_enum)]
    codec: Option<Codec>,
    /// Fail when the figures are outside the limits this project promises on a quiet machine.
    #[arg(long)]
    check: bool,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// The viewers' report, and what they cost a server that was started for them.
#[derive(Serialize)]
struct ReportWithCost {
    #[serde(flatten)]
    viewers: Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<ServerCost>,
}

#[derive(Serialize)]
struct ServerCost {
    /// Processor time while the viewers watched, all threads, encoding included.
    cpu_seconds: f64,
    /// The same per viewer and second.
    cpu_ms_per_viewer_second: f64,
    /// Resident memory with all viewers connected.
    resident_mib: f64,
}

impl Args {
    /// Measures and prints the report.
    ///
    /// # Errors
    ///
    /// When the server or the viewers fail; with `--check` also when a limit is exceeded.
    pub fn run(self) -> Result<(), Error> {
        let server = match &self.url {
            Some(_) => None,
            None => {
                let most = self.count.to_string();
                Some(Server::start(ServerOptions::demo().arg("--max-clients").arg(most))?)
            }
        };
        let url = self.url.or_else(|| server.as_ref().map(|server| server.url().to_owned()));
        let mut options = Options::new(url.unwrap_or_default(), self.count);
        options.duration = Duration::from_secs_f64(self.seconds);
        options.spacing = Duration::from_millis(self.spacing_ms);
        options.codec = self.codec.map(Into::into);
        let before = server.as_ref().map(Server::cpu_time).transpose()?;
        let viewers = run(&options)?;
        let mut report = ReportWithCost { viewers, server: None };
        if let (Some(server), Some(before)) = (server, before) {
            let cpu_seconds = server.cpu_time()?.0.saturating_sub(before.0).as_secs_f64();
            let viewer_seconds = report.viewers.seconds * self.count as f64;
            report.server = Some(ServerCost {
                cpu_seconds,
                cpu_ms_per_viewer_second: cpu_seconds * 1_000.0 / viewer_seconds,
                resident_mib: server.resident_bytes()? as f64 / f64::from(1 << 20),
            });
            server.stop()?;
        }
        print(self.json, &report, || report.table())?;
        check(self.check, report.viewers.missed())
    }
}

impl ReportWithCost {
    fn table(&self) -> String {
        let mut text = self.viewers.table();
        if let Some(server) = &self.server {
            text.push_str(&format!(
                "\nserver: {:.2} s of CPU, {:.2} ms per viewer-second, {:.0} MiB resident",
                server.cpu_seconds, server.cpu_ms_per_viewer_second, server.resident_mib
            ));
        }
        text
    }
}
