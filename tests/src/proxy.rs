//! nginx and Caddy in front of a server, with the settings that docs/proxies.md shows.

use std::error::Error;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::turn::root;

/// How long a proxy may take to listen.
const PATIENCE: Duration = Duration::from_secs(20);

/// The upstream that the guide shows.
const SHOWN_UPSTREAM: &str = "127.0.0.1:8081";

/// The name that the guide shows.
const SHOWN_NAME: &str = "face.example.org {";

/// A proxy. It ends when dropped.
#[derive(Debug)]
pub struct Proxy {
    child: Child,
    folder: TempDir,
}

impl Proxy {
    /// The settings of a language that docs/proxies.md shows, one after the other.
    ///
    /// # Errors
    ///
    /// When the guide is not there.
    pub fn shown(language: &str) -> Result<Vec<String>, Box<dyn Error>> {
        let guide = fs::read_to_string(root().join("docs/proxies.md"))?;
        let fence = format!("```{language}\n");
        let blocks = guide.split(fence.as_str()).skip(1);
        Ok(blocks.filter_map(|block| block.split("```").next()).map(str::to_owned).collect())
    }

    /// An address that is free at the moment.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn free_address() -> Result<SocketAddr, Box<dyn Error>> {
        Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
    }

    /// Starts nginx with these lines inside of `server`, in which the upstream is the one that the guide shows.
    ///
    /// # Errors
    ///
    /// When it is not installed, or does not like its settings.
    pub fn nginx(
        at: SocketAddr,
        upstream: SocketAddr,
        lines: &str,
    ) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let place = folder.path().display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {place}/{kind};\n"))
            .concat();
        let map = Self::shown("nginx")?.into_iter().find(|block| block.starts_with("map "));
        let (map, lines) =
            (map.ok_or("no map")?, lines.replace(SHOWN_UPSTREAM, &upstream.to_string()));
        let settings = format!(
            "daemon off;\nworker_processes 1;\npid {place}/pid;\nerror_log stderr;\n\
             events {{ worker_connections 64; }}\n\
             http {{\naccess_log off;\n{temporary}{map}\n\
             server {{\nlisten {at};\n{lines}\n}}\n}}\n"
        );
        let file = folder.path().join("nginx.conf");
        fs::write(&file, settings)?;
        // Where Debian has it, which is on no user's path.
        let program = match fs::exists("/usr/sbin/nginx") {
            Ok(true) => "/usr/sbin/nginx",
            _ => "nginx",
        };
        let mut command = Command::new(program);
        command.arg("-p").arg(folder.path()).arg("-c").arg(&file).args(["-e", "stderr"]);
        Self::start(command, at, folder)
    }

    /// Starts Caddy with settings of the guide, for a site of this name on plain HTTP.
    ///
    /// # Errors
    ///
    /// When it is not installed, or does not like its settings.
    pub fn caddy(
        at: SocketAddr,
        upstream: SocketAddr,
        name: &str,
        lines: &str,
    ) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let lines = lines
            .replace(SHOWN_NAME, &format!("http://{name}:{} {{", at.port()))
            .replace(SHOWN_UPSTREAM, &upstream.to_string());
        let file = folder.path().join("Caddyfile");
        fs::write(&file, format!("{{\nadmin off\nauto_https off\n}}\n{lines}"))?;
        let mut command = Command::new("caddy");
        command.arg("run").arg("--config").arg(&file).args(["--adapter", "caddyfile"]);
        for variable in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
            command.env(variable, folder.path());
        }
        Self::start(command, at, folder)
    }

    fn start(
        mut command: Command,
        at: SocketAddr,
        folder: TempDir,
    ) -> Result<Self, Box<dyn Error>> {
        let log = fs::File::create(folder.path().join("log"))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command
            .spawn()
            .map_err(|error| format!("{command:?}: {error}; `tools/setup test` installs it"))?;
        let mut proxy = Self { child, folder };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(at).is_err() {
            if proxy.child.try_wait()?.is_some() || Instant::now() >= deadline {
                let log = fs::read_to_string(proxy.folder.path().join("log")).unwrap_or_default();
                return Err(format!("{command:?} does not listen: {log}").into());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(proxy)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // nginx ends its workers before it ends itself.
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let deadline = Instant::now() + Duration::from_secs(2);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
