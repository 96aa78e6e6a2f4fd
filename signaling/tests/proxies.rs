//! Behind nginx and Caddy, with the settings that docs/proxies.md shows.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test reports")]

mod support;

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Client, OFFER, World, read_response, world};
use tungstenite::client::IntoClientRequest;

const GUIDE: &str = include_str!("../../docs/proxies.md");

/// The settings of a language that the guide shows, one after the other.
fn shown(language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let blocks = GUIDE.split(fence.as_str()).skip(1);
    blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

/// A proxy in front of a server. Both end with it.
struct Proxied {
    proxy: Child,
    /// Where the proxy listens.
    address: SocketAddr,
    world: World,
    _folder: tempfile::TempDir,
}

impl Drop for Proxied {
    fn drop(&mut self) {
        let _ = self.proxy.kill();
        let _ = self.proxy.wait();
    }
}

fn free_port() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// Starts nginx with these lines inside of `server`.
fn nginx(lines: &str, world: World) -> Proxied {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_port());
    let place = folder.path().display();
    let upstream = world.server.local_addr().to_string();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {place}/{kind};\n"))
        .concat();
    let map = shown("nginx").into_iter().find(|block| block.starts_with("map ")).unwrap();
    let lines = lines.replace("127.0.0.1:8081", &upstream);
    let settings = format!(
        "daemon off;\nworker_processes 1;\npid {place}/pid;\nerror_log stderr;\n\
         events {{ worker_connections 64; }}\n\
         http {{\naccess_log off;\n{temporary}{map}\n\
         server {{\nlisten {address};\n{lines}\n}}\n}}\n"
    );
    let file = folder.path().join("nginx.conf");
    fs::write(&file, settings).unwrap();
    let program = match fs::exists("/usr/sbin/nginx") {
        Ok(true) => "/usr/sbin/nginx",
        _ => "nginx",
    };
    let mut command = Command::new(program);
    command.arg("-p").arg(folder.path()).arg("-c").arg(&file).args(["-e", "stderr"]);
    start(command, address, world, folder)
}

fn caddy(lines: &str, world: World) -> Proxied {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_port());
    let site = format!("http://face.example.org:{} {{", address.port());
    let lines = lines
        .replace("face.example.org {", &site)
        .replace("127.0.0.1:8081", &world.server.local_addr().to_string());
    let file = folder.path().join("Caddyfile");
    fs::write(&file, format!("{{\nadmin off\nauto_https off\n}}\n{lines}")).unwrap();
    let mut command = Command::new("caddy");
    command.arg("run").arg("--config").arg(&file).args(["--adapter", "caddyfile"]);
    for variable in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
        command.env(variable, folder.path());
    }
    start(command, address, world, folder)
}

fn start(
    mut command: Command,
    address: SocketAddr,
    world: World,
    folder: tempfile::TempDir,
) -> Proxied {
    let log = fs::File::create(folder.path().join("log")).unwrap();
    let proxy = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap_or_else(|e| panic!("{command:?}: {e}; `tools/setup test` installs it"));
    let mut proxied = Proxied { proxy, address, world, _folder: folder };
    let deadline = Instant::now() + support::PATIENCE;
    while TcpStream::connect(address).is_err() {
        let ended = proxied.proxy.try_wait().unwrap();
        let log = || fs::read_to_string(proxied._folder.path().join("log")).unwrap_or_default();
        assert!(ended.is_none() && Instant::now() < deadline, "{command:?}: {}", log());
        thread::sleep(Duration::from_millis(20));
    }
    proxied
}

impl Proxied {
    fn tcp(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(support::PATIENCE)).unwrap();
        stream
    }

    fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> (String, String) {
        let mut stream = self.tcp();
        let connection = if headers.contains("Upgrade: ") { "Upgrade" } else { "close" };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nConnection: {connection}\r\nContent-Length: {}\r\n\
             {headers}\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let (head, body) = read_response(&mut stream);
        (head.to_lowercase().replacen("http/1.1", "HTTP/1.1", 1), body)
    }

    /// What a page at `origin` that lies under `prefix` needs: its files, the WebSocket, and WHEP.
    fn check_page(&self, host: &str, origin: &str, prefix: &str) {
        let host = format!("Host: {host}\r\n");
        let (head, page) = self.ask("GET", &format!("{prefix}/"), &host, "");
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}{page}");
        for file in ["player.css", "player.js"] {
            assert!(page.contains(&format!("\"./{file}\"")), "{page}");
            let (head, _) = self.ask("GET", &format!("{prefix}/{file}"), &host, "");
            assert!(head.starts_with("HTTP/1.1 200 "), "{file}: {head}");
        }
        let (head, below) = self.ask("GET", &format!("{prefix}/webrtc/player/default"), &host, "");
        assert!(head.starts_with("HTTP/1.1 200 ") && below.contains("<base href=\"../../\">"));

        let mut request =
            format!("ws://{}{prefix}/ws", self.address).into_client_request().unwrap();
        let name = host.trim().trim_start_matches("Host: ").parse().unwrap();
        request.headers_mut().insert("Host", name);
        request.headers_mut().insert("Origin", origin.parse().unwrap());
        let mut client = Client(tungstenite::client(request, self.tcp()).unwrap().0);
        assert_eq!(client.receive()["type"], "config");
        client.send(json!({"type": "offer", "sdp": OFFER}));
        assert_eq!(client.receive()["type"], "answer");

        let evil = format!(
            "{host}Origin: https://evil.example\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        );
        let (head, _) = self.ask("GET", &format!("{prefix}/ws"), &evil, "");
        assert!(head.starts_with("HTTP/1.1 403 "), "{head}");

        let sdp = format!("{host}Origin: {origin}\r\nContent-Type: application/sdp\r\n");
        let (head, answer) = self.ask("POST", &format!("{prefix}/whep/default"), &sdp, OFFER);
        assert!(head.starts_with("HTTP/1.1 201 "), "{head}{answer}");
        let location = head.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
        assert!(location.starts_with(&format!("{prefix}/whep/default/")), "{location}");
        let (head, _) = self.ask("DELETE", location, &format!("{host}Origin: {origin}\r\n"), "");
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    }
}

#[test]
fn nginx_takes_a_path_prefix_off() {
    let location = shown("nginx").remove(0);
    assert!(location.starts_with("location /avatar/ {"), "{location}");
    let world = world(|config| {
        config.public_url = Some("https://face.example.org/avatar/".to_owned());
        config.api.manage = true;
        config.limits.joins_per_address = 3;
    });
    let proxied = nginx(&location, world);
    proxied.check_page("face.example.org", "https://face.example.org", "/avatar");

    // The API tells addresses as the visitor sees them.
    let headers = "Host: face.example.org\r\nContent-Type: application/json\r\n";
    let (head, made) =
        proxied.ask("POST", "/avatar/webrtc/sessions/create", headers, r#"{"id":"anna"}"#);
    assert!(head.contains("\r\nlocation: /avatar/webrtc/sessions/anna\r\n"), "{head}");
    let made: Value = serde_json::from_str(&made).unwrap();
    assert_eq!(made["playerUrl"], "/avatar/webrtc/player/anna");
    let (head, _) = proxied.ask("GET", "/avatar/webrtc/player/anna/", "Host: h\r\n", "");
    assert!(head.starts_with("HTTP/1.1 308 ") && head.contains("location: ../anna\r\n"), "{head}");

    // It says for whom it speaks: this client has had its viewers, and another has not.
    let sdp = "Host: h\r\nContent-Type: application/sdp\r\n";
    let join = |headers: &str| proxied.ask("POST", "/avatar/whep/default", headers, OFFER).0;
    assert!(join(sdp).starts_with("HTTP/1.1 201 "));
    assert!(join(sdp).starts_with("HTTP/1.1 429 "));
}

#[test]
fn nginx_sends_its_upstream_as_host_unless_it_is_told_otherwise() {
    let lines = "location / {\nproxy_pass http://127.0.0.1:8081;\nproxy_http_version 1.1;\n\
        proxy_set_header Upgrade $http_upgrade;\nproxy_set_header Connection $connection_upgrade;\n";
    let origin = "https://face.example.org:8443";
    let public = world(|config| config.public_url = Some(format!("{origin}/")));
    nginx(&format!("{lines}}}"), public).check_page("face.example.org:8443", origin, "");

    // Told by nginx: with the port, as the guide shows it, and without.
    let told = shown("nginx").into_iter().find(|block| block.contains("X-Forwarded-Host")).unwrap();
    for told in [told.as_str(), "proxy_set_header Host $host;\n"] {
        let named = world(|config| config.allowed_hosts = vec!["face.example.org".to_owned()]);
        nginx(&format!("{lines}{told}}}"), named).check_page("face.example.org:8443", origin, "");
    }
}

#[test]
fn caddy_takes_a_path_prefix_off() {
    let named = world(|config| config.allowed_hosts = vec!["face.example.org".to_owned()]);
    let proxied = caddy(&shown("caddyfile")[0], named);
    let host = format!("face.example.org:{}", proxied.address.port());
    proxied.check_page(&host, &format!("http://{host}"), "/avatar");
    assert!(proxied.world.get("/healthz").0.starts_with("HTTP/1.1 200 "));
}
