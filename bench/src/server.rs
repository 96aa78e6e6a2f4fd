//! The real server, as its own process.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::http::split_url;
use crate::{Error, get_json};

/// Opening a codec and a media file is quick; a busy machine is what takes time.
const READY_DEADLINE: Duration = Duration::from_secs(30);

/// A clean stop disconnects every viewer, which is a matter of milliseconds.
const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// How many bytes of a failed server's log are shown.
const LOG_TAIL: usize = 4_000;

/// How to start the server.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    listen: SocketAddr,
    args: Vec<OsString>,
    binary: Option<PathBuf>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), args: Vec::new(), binary: None }
    }
}

impl ServerOptions {
    /// The built-in talking face.
    pub fn demo() -> Self {
        Self::default().arg("--demo")
    }

    /// A media file, looped.
    pub fn play(file: impl AsRef<Path>) -> Self {
        Self::default().arg("--play").arg(file.as_ref())
    }

    /// RTP from an encoder: video of this codec, and Opus; on free ports of this machine, which [`Server::rtp_video`] and
    /// [`Server::rtp_audio`] return.
    pub fn rtp(codec: &str) -> Self {
        let any = "127.0.0.1:0";
        Self::default()
            .arg("--rtp-video")
            .arg(any)
            .arg("--rtp-video-codec")
            .arg(codec)
            .arg("--rtp-audio")
            .arg(any)
    }

    /// Sets the address of the page; by default a free port of this machine, for this machine alone.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Sets the program to start; by default the one that [`find_binary`] finds.
    #[must_use]
    pub fn binary(mut self, program: impl Into<PathBuf>) -> Self {
        self.binary = Some(program.into());
        self
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Sets the codec that viewers get when they can decode it: `H264` or `VP8`.
    #[must_use]
    pub fn video_codec(self, codec: &str) -> Self {
        self.arg("--video-codec").arg(codec)
    }
}

/// A running server. Dropping it kills the process; [`stop`](Self::stop) ends it the way an
/// operator would.
#[derive(Debug)]
pub struct Server {
    child: Child,
    ready: Ready,
    log: NamedTempFile,
}

#[derive(Debug, Deserialize)]
struct Ready {
    url: String,
    udp: String,
    #[serde(rename = "rtpVideo")]
    rtp_video: Option<SocketAddr>,
    #[serde(rename = "rtpAudio")]
    rtp_audio: Option<SocketAddr>,
}

/// Processor time a process has used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CpuTime(pub Duration);

impl Server {
    /// Starts the server and waits until it reports that it is ready.
    ///
    /// # Errors
    ///
    /// When the program is not built, ends at once, or is not ready within thirty seconds; the end
    /// of its log is part of the message.
    pub fn start(options: ServerOptions) -> Result<Self, Error> {
        let binary = match options.binary {
            Some(binary) => binary,
            None => find_binary("visavis", "visavis-cli", "VISAVIS_BIN")?,
        };
        let log = NamedTempFile::new()?;
        let mut child = Command::new(binary)
            .args(["serve", "--json", "--listen", &options.listen.to_string()])
            .args(&options.args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.reopen()?)
            .spawn()?;
        let ready = child
            .stdout
            .take()
            .ok_or_else(|| Error::Server("no pipe to its output".to_owned()))
            .and_then(wait_ready);
        match ready {
            Ok(ready) => Ok(Self { child, ready, log }),
            Err(error) => {
                let _ = child.kill();
                let status = child.wait()?;
                Err(Error::Server(format!("{error}; {status}; its log:\n{}", tail(log.path()))))
            }
        }
    }

    /// Address of the page, with a slash at the end.
    pub fn url(&self) -> &str {
        &self.ready.url
    }

    /// Where the page and the WebSocket are served.
    ///
    /// # Errors
    ///
    /// When the server announced something else than an address.
    pub fn tcp_address(&self) -> Result<SocketAddr, Error> {
        let (authority, _) = split_url(&self.ready.url)?;
        authority
            .parse()
            .map_err(|_| Error::Server(format!("invalid address {authority:?}; expected IP:PORT")))
    }

    /// The port of the media socket.
    ///
    /// # Errors
    ///
    /// When the server announced something else than an address.
    pub fn udp_port(&self) -> Result<u16, Error> {
        let port = self.ready.udp.rsplit(':').next().and_then(|port| port.parse().ok());
        port.ok_or_else(|| {
            Error::Server(format!("invalid address {:?}; expected IP:PORT", self.ready.udp))
        })
    }

    /// Where it takes video as RTP, if it does.
    pub fn rtp_video(&self) -> Option<SocketAddr> {
        self.ready.rtp_video
    }

    /// Where it takes sound as RTP, if it does.
    pub fn rtp_audio(&self) -> Option<SocketAddr> {
        self.ready.rtp_audio
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What `/status` answers.
    ///
    /// # Errors
    ///
    /// When the server does not answer with JSON.
    pub fn status(&self) -> Result<Value, Error> {
        get_json(&format!("{}status", self.ready.url))
    }

    /// Viewers connected now, by `/status`.
    ///
    /// # Errors
    ///
    /// When the server does not answer, or without `peerCount`.
    pub fn peer_count(&self) -> Result<u64, Error> {
        let status = self.status()?;
        let count = status.get("peerCount").and_then(Value::as_u64);
        count.ok_or_else(|| Error::Server(format!("no peerCount in {status}")))
    }

    /// Processor time used so far, all threads, user and kernel.
    ///
    /// # Errors
    ///
    /// When the process is gone.
    pub fn cpu_time(&self) -> Result<CpuTime, Error> {
        process_cpu_time(&self.pid().to_string())
    }

    /// Resident memory, in bytes.
    ///
    /// # Errors
    ///
    /// When the process is gone.
    pub fn resident_bytes(&self) -> Result<u64, Error> {
        let statm = fs::read_to_string(format!("/proc/{}/statm", self.pid()))?;
        let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
        let pages =
            pages.ok_or_else(|| Error::Server("/proc/PID/statm has another shape".to_owned()))?;
        Ok(pages * rustix::param::page_size() as u64)
    }

    /// Threads and open files of the process: what a leak would make grow.
    ///
    /// # Errors
    ///
    /// When the process is gone.
    pub fn open_files(&self) -> Result<usize, Error> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.pid()))?.count())
    }

    /// How the process ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Everything the server logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log.path()).unwrap_or_default()
    }

    /// Asks the server to end (SIGTERM) and waits for it.
    ///
    /// # Errors
    ///
    /// When it does not end within ten seconds, or with another exit code than 0.
    pub fn stop(mut self) -> Result<(), Error> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| Error::Server("it has no process id".to_owned()))?;
        kill_process(pid, Signal::TERM).map_err(std::io::Error::from)?;
        let deadline = Instant::now() + STOP_DEADLINE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                if status.success() {
                    return Ok(());
                }
                let log = tail(self.log.path());
                return Err(Error::Server(format!(
                    "SIGTERM ended it with {status}; its log:\n{log}"
                )));
            }
            thread::sleep(Duration::from_millis(10));
        }
        let log = tail(self.log.path());
        Err(Error::Server(format!(
            "still running {} s after SIGTERM; its log:\n{log}",
            STOP_DEADLINE.as_secs()
        )))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // By then it has ended, or the caller is on its way out with an error.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Finds a program of this workspace: where `variable` points, else beside the running executable.
///
/// # Errors
///
/// When there is no such file; the message has the command that builds it.
pub fn find_binary(
    name: &'static str,
    package: &'static str,
    variable: &'static str,
) -> Result<PathBuf, Error> {
    if let Some(path) = env::var_os(variable) {
        let path = PathBuf::from(path);
        return if path.is_file() {
            Ok(path)
        } else {
            Err(Error::Missing { name, package, variable, tried: path })
        };
    }
    let executable = env::current_exe()?;
    let mut folder = executable.parent().unwrap_or(Path::new("."));
    // Tests and examples live one folder below the programs.
    if folder.ends_with("deps") || folder.ends_with("examples") {
        folder = folder.parent().unwrap_or(folder);
    }
    let path = folder.join(name);
    if path.is_file() {
        Ok(path)
    } else {
        Err(Error::Missing { name, package, variable, tried: path })
    }
}

/// The first line that a program prints; `None` where there is none in time. Whatever it prints later is
/// read, so that it never waits on a full pipe.
pub(crate) fn first_line(
    stdout: ChildStdout,
    deadline: Duration,
) -> Option<std::io::Result<String>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut reader = BufReader::new(stdout);
        let mut line = String::new();
        let read = reader.read_line(&mut line);
        let _ = sender.send(read.map(|_| line));
        let _ = reader.read_to_end(&mut Vec::new());
    });
    receiver.recv_timeout(deadline).ok()
}

fn wait_ready(stdout: ChildStdout) -> Result<Ready, Error> {
    let line = first_line(stdout, READY_DEADLINE).ok_or_else(|| {
        Error::Server(format!("not ready after {} s", READY_DEADLINE.as_secs()))
    })??;
    if line.is_empty() {
        return Err(Error::Server("ended before it was ready".to_owned()));
    }
    let value: Value = serde_json::from_str(&line)?;
    if value.get("ready") != Some(&Value::Bool(true)) {
        return Err(Error::Server(format!("printed {line:?} instead of its ready line")));
    }
    Ok(serde_json::from_value(value)?)
}

/// Processor time that a process has used so far; `process` is its id or `self`.
pub(crate) fn process_cpu_time(process: &str) -> Result<CpuTime, Error> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let ticks = cpu_ticks(&stat)
        .ok_or_else(|| Error::Server("/proc/PID/stat has another shape".to_owned()))?;
    Ok(CpuTime(from_ticks(ticks)))
}

/// The kernel's unit of processor time.
pub(crate) fn from_ticks(ticks: u64) -> Duration {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_secs_f64(ticks as f64 / per_second as f64)
}

/// utime + stime, fields 14 and 15 of `/proc/PID/stat`; the name in field 2 may hold spaces.
pub(crate) fn cpu_ticks(stat: &str) -> Option<u64> {
    let after_name = &stat.get(stat.rfind(')')? + 1..)?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

pub(crate) fn tail(path: &Path) -> String {
    let log = fs::read(path).unwrap_or_default();
    let from = log.len().saturating_sub(LOG_TAIL);
    String::from_utf8_lossy(log.get(from..).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_processor_time_past_a_name_with_brackets() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 1 0 1 1 1";
        assert_eq!(cpu_ticks(stat), Some(200));
        assert_eq!(cpu_ticks("7"), None);
    }

    #[test]
    fn a_missing_program_says_how_to_build_it() {
        let error = find_binary("no-such-program", "visavis-cli", "VISAVIS_NO_SUCH_VARIABLE");
        let message = error.unwrap_err().to_string();
        assert!(message.contains("cargo build -p visavis-cli"), "{message}");
    }
}
