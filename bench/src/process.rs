//! A server process: started, watched with everything it starts itself, ended.

use std::collections::HashMap;
use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::Error;
use crate::server::{cpu_ticks, first_line, from_ticks, tail};

/// Servers that do not end by then on request are killed: how they end is not what is measured.
const STOP_DEADLINE: Duration = Duration::from_secs(3);

/// Sockets and files that are not viewers'.
const OTHER_FILES: u64 = 256;

/// A child process and its log. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: NamedTempFile,
}

impl Process {
    /// Starts a program; what it prints goes into its log.
    pub(crate) fn start(command: &mut Command) -> Result<Self, Error> {
        let log = NamedTempFile::new()?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log.reopen()?)
            .stderr(log.reopen()?)
            .spawn()
            .map_err(|error| named(command, &error))?;
        Ok(Self { child, log })
    }

    /// Starts a program that prints one line of JSON with `"ready": true` when it is ready, and returns
    /// that line too.
    ///
    /// # Errors
    ///
    /// When it does not start, prints something else, or is not ready in time; with the end of its log.
    pub(crate) fn start_until_ready(
        command: &mut Command,
        deadline: Duration,
    ) -> Result<(Self, Value), Error> {
        let log = NamedTempFile::new()?;
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.reopen()?)
            .spawn()
            .map_err(|error| named(command, &error))?;
        let mut process = Self { child, log };
        let line = match process.child.stdout.take().map(|stdout| first_line(stdout, deadline)) {
            Some(Some(line)) => line?,
            _ => return Err(process.failed("is not ready in time")),
        };
        let ready = serde_json::from_str::<Value>(&line).ok();
        match ready.filter(|ready| ready.get("ready") == Some(&Value::Bool(true))) {
            Some(ready) => Ok((process, ready)),
            None => Err(process.failed(&format!("did not become ready, but printed {line:?}"))),
        }
    }

    /// Waits until something listens on a TCP port of this machine.
    ///
    /// # Errors
    ///
    /// When the process ends before, or the time is over.
    pub(crate) fn wait_for_port(&mut self, port: u16, deadline: Duration) -> Result<(), Error> {
        let end = Instant::now() + deadline;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if self.child.try_wait()?.is_some() {
                return Err(self.failed("ended at once"));
            }
            if Instant::now() >= end {
                return Err(self.failed("is not ready in time"));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Processor time used so far by the process and everything that it started and that still runs.
    pub(crate) fn cpu_time(&self) -> Result<Duration, Error> {
        let mut ticks = 0;
        for pid in self.tree()? {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            ticks += cpu_ticks(&stat).unwrap_or(0);
        }
        Ok(from_ticks(ticks))
    }

    /// Resident memory of the process and everything that it started, in bytes.
    pub(crate) fn resident_bytes(&self) -> Result<u64, Error> {
        let mut pages = 0;
        for pid in self.tree()? {
            let statm = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
            pages += statm.split(' ').nth(1).and_then(|text| text.parse().ok()).unwrap_or(0);
        }
        Ok(pages * rustix::param::page_size() as u64)
    }

    /// An error with the end of the log.
    pub(crate) fn failed(&self, what: &str) -> Error {
        Error::Server(format!("it {what}; its log:\n{}", tail(self.log.path())))
    }

    fn tree(&self) -> Result<Vec<u32>, Error> {
        tree(self.child.id())?.ok_or_else(|| self.failed("is gone"))
    }
}

/// A process and everything that it started and that still runs; `None` where there is no such process.
pub(crate) fn tree(root: u32) -> Result<Option<Vec<u32>>, Error> {
    let mut parents = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if let Some(parent) = parent(&stat) {
            parents.insert(pid, parent);
        }
    }
    Ok(parents.contains_key(&root).then(|| descendants(root, &parents)))
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let end = Instant::now() + STOP_DEADLINE;
        while Instant::now() < end {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor time so far: the whole machine's, and this process's share of it.
pub(crate) fn busy_time() -> Result<(Duration, Duration), Error> {
    let machine = fs::read_to_string("/proc/stat")?;
    let own = fs::read_to_string("/proc/self/stat")?;
    match (busy_ticks(&machine), cpu_ticks(&own)) {
        (Some(machine), Some(own)) => Ok((from_ticks(machine), from_ticks(own))),
        _ => Err(Error::Server("/proc/stat has another shape".to_owned())),
    }
}

/// A TCP port that is free at the moment.
pub(crate) fn free_tcp_port() -> Result<u16, Error> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// A UDP port that is free at the moment.
pub(crate) fn free_udp_port() -> Result<u16, Error> {
    Ok(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn named(command: &Command, error: &std::io::Error) -> Error {
    Error::Server(format!("{}: {error}", command.get_program().to_string_lossy()))
}

/// The first line of `/proc/stat`: all but idling and waiting for disks (fields 4 and 5), and guests,
/// which are in the first two already.
fn busy_ticks(stat: &str) -> Option<u64> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?.split_ascii_whitespace();
    let fields: Vec<u64> = line.map_while(|text| text.parse().ok()).collect();
    let [user, nice, system, _, _, irq, softirq, steal, ..] = *fields.as_slice() else {
        return None;
    };
    Some(user + nice + system + irq + softirq + steal)
}

/// Field 4 of `/proc/PID/stat`; the name in field 2 may hold anything.
fn parent(stat: &str) -> Option<u32> {
    stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The process itself, its children, their children and so on.
fn descendants(root: u32, parents: &HashMap<u32, u32>) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&current) = found.get(next) {
        let children = parents.iter().filter(|&(_, &parent)| parent == current);
        found.extend(children.map(|(&pid, _)| pid).filter(|&pid| pid != root));
        next += 1;
    }
    found
}

/// Two sockets for each viewer, here and, inherited, in the server.
pub(crate) fn allow_files(viewers: usize) -> Result<(), Error> {
    let needed = 2 * viewers as u64 + OTHER_FILES;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if limit.maximum.is_some_and(|maximum| maximum < needed) {
        return Err(Error::Viewers(format!(
            "{viewers} viewers need {needed} open files, and the limit (ulimit -Hn) is {}",
            limit.maximum.unwrap_or_default()
        )));
    }
    let raised = Rlimit { current: Some(needed), maximum: limit.maximum };
    Ok(setrlimit(Resource::Nofile, raised).map_err(std::io::Error::from)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_whole_tree() {
        let parents = HashMap::from([(1, 0), (10, 1), (11, 10), (12, 10), (13, 12), (20, 1)]);
        let mut found = descendants(10, &parents);
        found.sort_unstable();
        assert_eq!(found, [10, 11, 12, 13]);
    }

    #[test]
    fn reads_the_parent_past_a_name_with_brackets() {
        assert_eq!(parent("7 (a (b) c) S 42 7 7 0"), Some(42));
        assert_eq!(parent("7"), None);
    }

    #[test]
    fn idle_time_is_not_busy() {
        let stat = "cpu  100 20 30 5000 400 1 2 3 50 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(busy_ticks(stat), Some(156));
        assert_eq!(busy_ticks("cpu 1 2"), None);
        assert!(busy_time().unwrap().0 > Duration::ZERO);
    }

    #[test]
    fn says_what_a_program_said_that_is_never_ready() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo no; echo trouble >&2"]);
        let error = Process::start_until_ready(&mut command, Duration::from_secs(20)).unwrap_err();
        assert!(error.to_string().contains("no"), "{error}");
        let (process, ready) = Process::start_until_ready(
            Command::new("sh")
                .args(["-c", "echo '{\"ready\": true, \"url\": \"x\"}'; exec sleep 60"]),
            Duration::from_secs(20),
        )
        .unwrap();
        assert_eq!(ready["url"], "x");
        assert!(process.resident_bytes().unwrap() > 0);
        assert!(process.cpu_time().is_ok());
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = Process::start(&mut Command::new("/no/such/program")).unwrap_err();
        assert!(error.to_string().contains("/no/such/program"), "{error}");
    }
}
