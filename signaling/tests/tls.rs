//! The same port through TLS.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test reports")]

mod support;

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::json;
use support::{Client, OFFER, World, read_response, read_to_close, world};
use visavis_signaling::{SignalingConfig, SignalingError, SignalingServer, TlsFiles};

struct Tls {
    world: World,
    client: Arc<ClientConfig>,
    _files: tempfile::TempDir,
}

fn tls() -> Tls {
    let files = tempfile::tempdir().unwrap();
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let paths = TlsFiles { cert: files.path().join("cert.pem"), key: files.path().join("key.pem") };
    std::fs::write(&paths.cert, pair.cert.pem()).unwrap();
    std::fs::write(&paths.key, pair.signing_key.serialize_pem()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(pair.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let world = world(|config| {
        config.tls = Some(paths);
        config.limits.handshake_deadline = Duration::from_millis(300);
    });
    Tls { world, client: Arc::new(client), _files: files }
}

impl Tls {
    fn connect(&self) -> StreamOwned<ClientConnection, TcpStream> {
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(self.client.clone(), name).unwrap();
        StreamOwned::new(connection, self.world.tcp())
    }
}

#[test]
fn pages_and_signaling_work_through_tls() {
    let tls = tls();
    assert!(tls.world.server.url().starts_with("https://localhost:"));
    let mut stream = tls.connect();
    for _ in 0..2 {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let (head, body) = read_response(&mut stream);
        assert!(head.starts_with("HTTP/1.1 200 ") && body.contains("visavis"), "{head}");
    }
    let mut client = Client(tungstenite::client("ws://localhost/ws", tls.connect()).unwrap().0);
    assert_eq!(client.receive()["type"], "config");
    client.send(json!({"type": "offer", "sdp": OFFER}));
    assert_eq!(client.receive()["type"], "answer");
    client.0.close(None).unwrap();
    while client.0.read().is_ok() {}
}

#[test]
fn a_stalled_or_foolish_handshake_is_dropped() {
    let tls = tls();
    assert_eq!(read_to_close(&mut tls.world.tcp()), b"", "silence");

    let mut half = tls.world.tcp();
    half.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]).unwrap();
    assert_eq!(read_to_close(&mut half), b"", "half a client hello");

    let mut plain = tls.world.tcp();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let answer = read_to_close(&mut plain);
    assert!(answer.is_empty() || answer[0] == 0x15, "an alert at most: {answer:?}");

    let mut stream = tls.connect();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert_eq!(read_response(&mut stream).1, "ok\n");
}

#[test]
fn unusable_files_are_named() {
    let world = world(|_| {});
    let files = tempfile::tempdir().unwrap();
    let empty = files.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    for cert in [empty.as_path(), Path::new("/nowhere/cert.pem")] {
        let config = SignalingConfig {
            listen: world.server.local_addr(),
            tls: Some(TlsFiles { cert: cert.to_owned(), key: empty.clone() }),
            ..Default::default()
        };
        match SignalingServer::start(config, world.engine.handle()) {
            Err(SignalingError::TlsFile { path, .. }) => assert_eq!(path, cert),
            other => panic!("{other:?}"),
        }
    }
}
