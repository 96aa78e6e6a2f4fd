//! WHEP players of others: from npm, bundled for a page of another origin, from PyPI, and GStreamer.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::Deserialize;

use crate::root;
use crate::turn::{install_in, target};

/// What is installed, and what it is built from.
const SOURCES: [&str; 5] =
    ["package.json", "package-lock.json", "eyevinn.js", "whip-whep.js", "page.html"];

/// The players, by the names of their pages.
const PLAYERS: [&str; 2] = ["eyevinn", "whip-whep"];

/// A site with a page for each player.
pub struct PlayerSite {
    address: SocketAddr,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl PlayerSite {
    /// Installs and bundles the players, unless that is done, and serves their pages from a port of their
    /// own: to the browser a site that has nothing to do with the server.
    ///
    /// # Errors
    ///
    /// Where npm is missing, or the registry does not give the packages.
    pub fn open() -> Result<Self, Box<dyn Error>> {
        let files = Arc::new(bundles()?);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&over);
        let thread = thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ends.load(Relaxed) {
                    return;
                }
                let files = Arc::clone(&files);
                // A browser keeps connections in store on which it sends nothing.
                thread::spawn(move || serve(&stream, &files));
            }
        });
        Ok(Self { address, over, thread: Some(thread) })
    }

    /// The page on which a player watches a WHEP endpoint.
    pub fn page(&self, player: &str, endpoint: &str) -> String {
        format!("http://{}/{player}.html?whep={endpoint}", self.address)
    }
}

impl Drop for PlayerSite {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The files of the site, by their paths.
fn bundles() -> Result<HashMap<String, Vec<u8>>, Box<dyn Error>> {
    let (from, folder) = (root().join("tests/players"), target().join("test-players"));
    let wanted = SOURCES
        .map(|name| fs::read_to_string(from.join(name)))
        .into_iter()
        .collect::<Result<String, _>>()?;
    let _alone = install_in(&folder)?;
    let mark = folder.join("built");
    if !fs::read_to_string(&mark).is_ok_and(|built| built == wanted) {
        for name in SOURCES {
            fs::copy(from.join(name), folder.join(name))?;
        }
        run(&folder, "npm", &["ci", "--no-audit", "--no-fund", "--loglevel=error"])?;
        let sources = PLAYERS.map(|player| format!("{player}.js"));
        let mut args = vec!["--bundle", "--format=esm", "--log-level=warning", "--outdir=site"];
        args.extend(sources.iter().map(String::as_str));
        run(&folder, "node_modules/.bin/esbuild", &args)?;
        fs::write(&mark, wanted)?;
    }
    let page = fs::read_to_string(folder.join("page.html"))?;
    let mut files = HashMap::new();
    for player in PLAYERS {
        let script = fs::read(folder.join("site").join(player).with_extension("js"))?;
        files.insert(format!("/{player}.js"), script);
        files.insert(format!("/{player}.html"), page.replace("PLAYER", player).into_bytes());
    }
    Ok(files)
}

fn run(folder: &Path, program: &str, args: &[&str]) -> Result<(), Box<dyn Error>> {
    // What is in the folder is named from there, what is on the path is not.
    let path = if program.contains('/') { folder.join(program) } else { PathBuf::from(program) };
    let output = Command::new(path).args(args).current_dir(folder).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{program}: {error}; tools/setup test"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
}

fn serve(stream: &TcpStream, files: &HashMap<String, Vec<u8>>) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    if lines.find(String::is_empty).is_none() {
        return;
    }
    let target = first.split(' ').nth(1).unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default();
    let (status, body) = match files.get(path) {
        Some(body) => ("200 OK", body.as_slice()),
        None => ("404 Not Found", &b""[..]),
    };
    let kind = if path.ends_with(".js") { "text/javascript" } else { "text/html" };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let mut out = stream;
    let _ = out.write_all(head.as_bytes()).and_then(|()| out.write_all(body));
}

/// What aiortc received from a WHEP endpoint.
#[derive(Debug, Clone, Deserialize)]
pub struct AiortcReport {
    /// Status of the POST.
    pub created: u16,
    /// Status of the DELETE.
    pub deleted: u16,
    /// Pictures decoded.
    pub frames: u64,
    /// Width and height of the last one.
    pub size: Option<[u32; 2]>,
    /// The largest mean difference of a picture to the one before it, in levels of 256.
    pub change: f64,
    /// Standard deviation of the last picture's brightness.
    pub spread: f64,
    /// Root mean square of the sound; full scale is 1.
    pub loudness: f64,
    /// Samples of sound, of all channels.
    pub samples: u64,
}

/// Watches a WHEP endpoint with aiortc.
///
/// # Errors
///
/// Where aiortc cannot be installed, or its script fails.
pub fn watch_with_aiortc(endpoint: &str, seconds: u32) -> Result<AiortcReport, Box<dyn Error>> {
    let script = root().join("tests/players/aiortc_whep.py");
    let python = visavis_bench::aiortc_python()?;
    let output =
        Command::new(python).arg(script).arg(endpoint).arg(seconds.to_string()).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// What became of webrtcbin at a WHEP endpoint.
#[derive(Debug, Clone, Deserialize)]
pub struct WebrtcbinReport {
    /// Status of the POST.
    pub created: Option<u16>,
    /// Status of the viewer's resource, once it was gone.
    pub ended: Option<u16>,
    /// The error code that came with it.
    pub code: Option<String>,
    /// Pictures decoded.
    pub video: u64,
    /// Pieces of sound decoded.
    pub audio: u64,
}

/// Watches a WHEP endpoint with GStreamer's webrtcbin until it has decoded something, its viewer is gone, or so much
/// time has passed. webrtcbin uses no loopback addresses: the server has to have others.
///
/// # Errors
///
/// Where Debian's GStreamer is missing, or the script fails.
pub fn watch_with_webrtcbin(
    endpoint: &str,
    patience: Duration,
) -> Result<WebrtcbinReport, Box<dyn Error>> {
    let script = root().join("tests/players/webrtcbin_whep.py");
    // Debian's Python has the bindings; another one may be first in PATH.
    let output = Command::new("/usr/bin/python3")
        .arg(script)
        .arg(endpoint)
        .arg(patience.as_secs().to_string())
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("webrtcbin: {}, {said}; tools/setup test", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
