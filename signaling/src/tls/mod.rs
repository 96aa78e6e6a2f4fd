//! A client's byte stream, plain or through TLS, behind one pair of non-blocking read and write.

mod certificates;

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

use mio::net::TcpStream;
use rustls::server::ResolvesServerCert;
use rustls::{ServerConfig, ServerConnection};

use self::certificates::Current;
pub(crate) use self::certificates::Watch;
use crate::config::{SignalingError, TlsError, TlsFiles};

/// Reads the files and makes a TLS 1.2 and 1.3 server configuration that offers HTTP/1.1. The files are read again
/// when they change, as long as the watch lives.
pub(crate) fn server_config(
    files: &TlsFiles,
) -> Result<(Arc<ServerConfig>, Watch), SignalingError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let current = Current::read(files, &provider)?;
    let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| {
            tracing::error!(%error, "TLS cannot be set up");
            TlsError::Setup
        })?
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let watch = Watch::start(files.clone(), current, provider)?;
    Ok((Arc::new(config), watch))
}

/// One client's stream. Reads and writes never block: they answer `WouldBlock`.
#[derive(Debug)]
pub(crate) struct Transport {
    socket: TcpStream,
    tls: Option<Box<ServerConnection>>,
}

impl Transport {
    pub(crate) fn new(
        socket: TcpStream,
        tls: Option<&Arc<ServerConfig>>,
    ) -> Result<Self, rustls::Error> {
        let tls = match tls {
            Some(config) => Some(Box::new(ServerConnection::new(config.clone())?)),
            None => None,
        };
        Ok(Self { socket, tls })
    }

    /// The socket, to register it with a poller.
    pub(crate) fn socket(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    /// The first byte that came, which stays to be read. `WouldBlock` where none has; `None` at the end.
    pub(crate) fn peek(&self) -> io::Result<Option<u8>> {
        let mut first = [0];
        Ok(self.socket.peek(&mut first)?.checked_sub(1).map(|_| first[0]))
    }

    /// The socket, for somebody else. Nothing was read of it.
    pub(crate) fn into_socket(self) -> TcpStream {
        self.socket
    }

    /// Whether the TLS handshake is not finished yet.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    /// Sends close_notify and shuts down the sending half. `WouldBlock` means: again when writable.
    pub(crate) fn close_sending(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            // Asking twice is harmless: the alert is queued once.
            tls.send_close_notify();
            pump_out(tls, &mut self.socket)?;
        }
        self.socket.shutdown(Shutdown::Write)
    }

    /// Reads from the socket without making sense of it.
    pub(crate) fn discard(&mut self, scratch: &mut [u8]) -> io::Result<usize> {
        self.socket.read(scratch)
    }
}

impl Read for Transport {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.socket.read(into) };
        loop {
            match tls.reader().read(into) {
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                done => return done,
            }
            // After `read_tls` has reached the end of the stream, the reader above returns either a clean end or
            // `UnexpectedEof`, never `WouldBlock` again.
            tls.read_tls(&mut self.socket)?;
            let processed = tls.process_new_packets();
            // Handshake flights and, after an error, the alert that names it.
            match pump_out(tls, &mut self.socket) {
                Err(e) if e.kind() != ErrorKind::WouldBlock => return Err(e),
                _ => {}
            }
            processed.map_err(|e| io::Error::new(ErrorKind::InvalidData, e))?;
        }
    }
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.socket.write(bytes) };
        if tls.is_handshaking() {
            // Before the keys exist rustls would buffer; the caller's own bound is the better one.
            return Err(ErrorKind::WouldBlock.into());
        }
        let mut taken = tls.writer().write(bytes)?;
        match pump_out(tls, &mut self.socket) {
            // Full when called: there may be room now.
            Ok(()) if taken == 0 && !bytes.is_empty() => taken = tls.writer().write(bytes)?,
            Err(e) if e.kind() != ErrorKind::WouldBlock => return Err(e),
            _ => {}
        }
        if taken == 0 && !bytes.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => pump_out(tls, &mut self.socket),
            None => Ok(()),
        }
    }
}

/// Moves TLS records to the socket until there are none left or it takes no more.
fn pump_out(tls: &mut ServerConnection, socket: &mut TcpStream) -> io::Result<()> {
    while tls.wants_write() {
        if tls.write_tls(socket)? == 0 {
            return Err(ErrorKind::WriteZero.into());
        }
    }
    Ok(())
}
