//! The same port through TLS.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test reports")]

mod support;

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::json;
use support::{Client, OFFER, World, read_response, read_to_close, world};
use visavis_signaling::{
    SignalingConfig, SignalingError, SignalingServer, TlsError, TlsFileError, TlsFiles,
};

struct Tls {
    world: World,
    client: Arc<ClientConfig>,
    files: TlsFiles,
    _folder: tempfile::TempDir,
}

/// A certificate and its key, as PEM.
fn pair() -> (String, String) {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (pair.cert.pem(), pair.signing_key.serialize_pem())
}

/// A client that trusts this certificate and no other.
fn trusting(cert: &str) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    // Whoever resumes a TLS session is shown no certificate.
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}

fn tls() -> Tls {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = pair();
    let files = TlsFiles::new(folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&files.cert, &cert).unwrap();
    std::fs::write(&files.key, &key).unwrap();
    let world = world(|config| {
        config.tls = Some(files.clone());
        config.limits.handshake_deadline = Duration::from_millis(300);
    });
    Tls { world, client: trusting(&cert), files, _folder: folder }
}

impl Tls {
    fn connect(&self) -> StreamOwned<ClientConnection, TcpStream> {
        self.connect_as(&self.client)
    }

    fn connect_as(&self, client: &Arc<ClientConfig>) -> StreamOwned<ClientConnection, TcpStream> {
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(client.clone(), name).unwrap();
        StreamOwned::new(connection, self.world.tcp())
    }

    /// Whether a new handshake gets the certificate that this client trusts.
    fn is_shown(&self, client: &Arc<ClientConfig>) -> bool {
        let mut stream = self.connect_as(client);
        let asked = stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        asked.is_ok() && read_response(&mut stream).1 == "ok\n"
    }

    fn wait_until_shown(&self, client: &Arc<ClientConfig>) {
        let deadline = Instant::now() + support::PATIENCE;
        while !self.is_shown(client) {
            assert!(Instant::now() < deadline, "the new certificate is not used");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn a_renewed_certificate_is_used_and_nobody_is_disturbed() {
    let tls = tls();
    let mut old = Client(tungstenite::client("ws://localhost/ws", tls.connect()).unwrap().0);
    assert_eq!(old.receive()["type"], "config");
    // One file after the other, as they are renewed; in between they do not go together.
    let (cert, key) = pair();
    let renewed = trusting(&cert);
    std::fs::write(&tls.files.cert, &cert).unwrap();
    tls.world.server.reload_certificates();
    assert!(tls.is_shown(&tls.client), "the old one stays");
    std::fs::write(&tls.files.key, &key).unwrap();
    tls.wait_until_shown(&renewed);
    assert!(!tls.is_shown(&tls.client));

    // Broken files change nothing, and are used once they are valid again, without a signal.
    for broken in ["", "nonsense", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
        std::fs::write(&tls.files.cert, broken).unwrap();
        tls.world.server.reload_certificates();
        assert!(tls.is_shown(&renewed));
    }
    std::fs::remove_file(&tls.files.cert).unwrap();
    let (cert, key) = pair();
    std::fs::write(&tls.files.key, key).unwrap();
    std::fs::write(&tls.files.cert, &cert).unwrap();
    tls.wait_until_shown(&trusting(&cert));

    old.send(json!({"type": "offer", "sdp": OFFER}));
    assert_eq!(old.receive()["type"], "answer");
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
    plain.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
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
        match start(&world, TlsFiles::new(cert, &empty)) {
            SignalingError::TlsFile { path, reason, .. } => {
                assert_eq!(path, cert);
                assert!(match reason {
                    TlsFileError::Empty => cert == empty,
                    TlsFileError::Io(error) => error.kind() == ErrorKind::NotFound && cert != empty,
                    _ => false,
                });
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Why a server with these files does not start.
fn start(world: &World, files: TlsFiles) -> SignalingError {
    let config = SignalingConfig::default().listen(world.server.local_addr()).tls(files);
    SignalingServer::start(config, world.engine.handle()).unwrap_err()
}

#[test]
fn what_is_wrong_with_a_certificate_is_told_apart() {
    let tls = tls();
    let foreign = tls.files.cert.with_file_name("foreign.pem");
    std::fs::write(&foreign, pair().1).unwrap();
    let refused = start(&tls.world, TlsFiles::new(&tls.files.cert, &foreign));
    assert!(matches!(refused, SignalingError::Tls(TlsError::KeyMismatch)), "{refused:?}");
    std::fs::write(&foreign, "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n")
        .unwrap();
    let refused = start(&tls.world, TlsFiles::new(&foreign, &tls.files.key));
    let SignalingError::TlsFile { reason, .. } = refused else { panic!("{refused:?}") };
    assert!(matches!(reason, TlsFileError::Pem), "{reason:?}");
}
