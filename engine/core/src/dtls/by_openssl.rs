//! DTLS 1.2 by OpenSSL, which takes peers with RSA certificates. Only in builds with the feature `openssl`.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use dimpl::crypto::SrtpProfile;
use dimpl::{CryptoOperation, KeyingMaterial};
use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::srtp::SrtpProfileId;
use openssl::ssl::{
    ErrorCode, ShutdownState, Ssl, SslContext, SslContextBuilder, SslMethod, SslOptions, SslStream,
    SslVerifyMode,
};
use openssl::x509::X509;
use str0m::crypto::CryptoError;
use str0m::crypto::dtls::{DtlsCert, DtlsImplError, DtlsOutput, DtlsVersion, ProtocolVersion};

/// As in every browser (RFC 8827 §6.5), by our ECDSA certificate.
const CIPHERS: &str = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:\
    ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE+AESGCM:ECDHE+CHACHA20";
const GROUPS: &str = "X25519:P-256";
const SRTP_PROFILES: &str = "SRTP_AEAD_AES_128_GCM:SRTP_AEAD_AES_256_GCM:SRTP_AES128_CM_SHA1_80";

/// RFC 5764 §4.2.
const SRTP_LABEL: &str = "EXTRACTOR-dtls_srtp";

/// OpenSSL counts by itself when a flight is to be sent again; it is asked so often.
const RETRANSMIT: Duration = Duration::from_millis(250);
const NEVER: Duration = Duration::from_secs(3_600);

/// So many certificates' contexts are kept: an engine has one.
const MAX_CONTEXTS: usize = 8;

/// What those with the same certificate share. Locked while a peer is made, which no media thread does.
pub(super) struct Configs(Mutex<Vec<(Vec<u8>, SslContext)>>);

impl Configs {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// One peer's end of a connection.
    pub(super) fn dtls(
        &self,
        certificate: &DtlsCert,
        version: DtlsVersion,
        mtu: Option<usize>,
        now: Instant,
    ) -> Result<Dtls, CryptoError> {
        if version != DtlsVersion::Dtls12 {
            return Err(CryptoError::Other(format!("unsupported DTLS version {version}")));
        }
        let failed = |error: ErrorStack| CryptoError::Other(error.to_string());
        let context = self.of(certificate).map_err(failed)?;
        let mut ssl = Ssl::new(&context).map_err(failed)?;
        if let Some(mtu) = mtu.and_then(|mtu| u32::try_from(mtu).ok()) {
            ssl.set_mtu(mtu).map_err(failed)?;
        }
        let stream = SslStream::new(ssl, Datagrams::default()).map_err(failed)?;
        Ok(Dtls { stream, is_active: false, phase: Phase::Handshake, events: VecDeque::new(), now })
    }

    fn of(&self, certificate: &DtlsCert) -> Result<SslContext, ErrorStack> {
        let mut contexts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, context)) = contexts.iter().find(|(of, _)| *of == certificate.certificate) {
            return Ok(context.clone());
        }
        let mut builder = SslContextBuilder::new(SslMethod::dtls())?;
        builder.set_cipher_list(CIPHERS)?;
        builder.set_groups_list(GROUPS)?;
        builder.set_tlsext_use_srtp(SRTP_PROFILES)?;
        builder.set_certificate(&*X509::from_der(&certificate.certificate)?)?;
        builder.set_private_key(&*PKey::private_key_from_der(&certificate.private_key)?)?;
        // str0m checks the certificate against the fingerprint of the offer.
        let mode = SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT;
        builder.set_verify_callback(mode, |_, _| true);
        builder.set_options(
            SslOptions::NO_DTLSV1
                | SslOptions::NO_QUERY_MTU
                | SslOptions::NO_RENEGOTIATION
                | SslOptions::NO_TICKET,
        );
        let context = builder.build();
        if contexts.len() >= MAX_CONTEXTS {
            contexts.remove(0);
        }
        contexts.push((certificate.certificate.clone(), context.clone()));
        Ok(context)
    }
}

impl fmt::Debug for Configs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Configs").finish_non_exhaustive()
    }
}

/// The wire: one datagram in at a time, and those that wait to go out.
#[derive(Default)]
struct Datagrams {
    incoming: Vec<u8>,
    outgoing: VecDeque<Vec<u8>>,
}

impl io::Read for Datagrams {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.incoming.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let datagram = std::mem::take(&mut self.incoming);
        let length = datagram.len().min(buffer.len());
        buffer[..length].copy_from_slice(&datagram[..length]);
        Ok(length)
    }
}

impl io::Write for Datagrams {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        self.outgoing.push_back(datagram.to_vec());
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One peer's end of a connection, as [`dimpl::Dtls`] is.
pub(super) struct Dtls {
    stream: SslStream<Datagrams>,
    is_active: bool,
    phase: Phase,
    events: VecDeque<Emitted>,
    now: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Handshake,
    Connected,
    Closed,
}

enum Emitted {
    Connected,
    Certificate(Vec<u8>),
    Keys(Vec<u8>, SrtpProfile),
    Data(Vec<u8>),
    CloseNotify,
}

impl fmt::Debug for Dtls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dtls").field("phase", &self.phase).finish_non_exhaustive()
    }
}

fn failed(operation: CryptoOperation) -> DtlsImplError {
    DtlsImplError::CryptoError(dimpl::CryptoError::OperationFailed(operation))
}

impl Dtls {
    pub(super) fn set_active(&mut self, active: bool) {
        self.is_active = active;
    }

    pub(super) fn is_active(&self) -> bool {
        self.is_active
    }

    pub(super) fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
        self.stream.get_mut().incoming = packet.to_vec();
        if self.phase == Phase::Handshake {
            self.shake_hands()?;
        }
        if self.phase == Phase::Connected {
            self.read(packet.len())?;
        }
        self.stream.get_mut().incoming.clear();
        Ok(())
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsImplError> {
        self.now = now;
        // A server has nothing to say before it was spoken to.
        match self.phase {
            Phase::Handshake => self.shake_hands(),
            _ => Ok(()),
        }
    }

    fn shake_hands(&mut self) -> Result<(), DtlsImplError> {
        let done = if self.is_active { self.stream.connect() } else { self.stream.accept() };
        match done {
            Ok(()) => self.connected(),
            Err(error) if error.code() == ErrorCode::WANT_READ => Ok(()),
            Err(error) => {
                tracing::debug!(%error, "no DTLS");
                self.phase = Phase::Closed;
                Err(failed(CryptoOperation::CompleteKeyExchange))
            }
        }
    }

    fn connected(&mut self) -> Result<(), DtlsImplError> {
        let ssl = self.stream.ssl();
        let certificate = ssl.peer_certificate().and_then(|certificate| certificate.to_der().ok());
        let profile = ssl.selected_srtp_profile().and_then(|profile| profile_of(profile.id()));
        let (Some(certificate), Some(profile)) = (certificate, profile) else {
            self.phase = Phase::Closed;
            return Err(failed(CryptoOperation::CompleteKeyExchange));
        };
        let mut keys = vec![0; profile.keying_material_len()];
        ssl.export_keying_material(&mut keys, SRTP_LABEL, None)
            .map_err(|_| failed(CryptoOperation::HkdfExpand))?;
        self.phase = Phase::Connected;
        self.events.extend([
            Emitted::Connected,
            Emitted::Certificate(certificate),
            Emitted::Keys(keys, profile),
        ]);
        Ok(())
    }

    /// Reads what a datagram of so many bytes brought.
    fn read(&mut self, length: usize) -> Result<(), DtlsImplError> {
        // What is in a record is shorter than the datagram that it came in.
        let mut plain = vec![0; length.max(1)];
        loop {
            match self.stream.ssl_read(&mut plain) {
                Ok(read) => self.events.push_back(Emitted::Data(plain[..read].to_vec())),
                Err(error) => match error.code() {
                    ErrorCode::WANT_READ => return Ok(()),
                    ErrorCode::ZERO_RETURN => {
                        let _ = self.stream.shutdown();
                        self.phase = Phase::Closed;
                        self.events.push_back(Emitted::CloseNotify);
                        return Ok(());
                    }
                    _ => {
                        self.phase = Phase::Closed;
                        return Err(failed(CryptoOperation::Decrypt));
                    }
                },
            }
        }
    }

    pub(super) fn poll_output<'a>(&mut self, buffer: &'a mut [u8]) -> DtlsOutput<'a> {
        fn put<'a>(bytes: &[u8], buffer: &'a mut [u8]) -> Option<&'a [u8]> {
            let place = buffer.get_mut(..bytes.len())?;
            place.copy_from_slice(bytes);
            Some(place)
        }
        let outgoing = &mut self.stream.get_mut().outgoing;
        if let Some(packet) = outgoing.front() {
            let needed = packet.len();
            if needed > buffer.len() {
                return DtlsOutput::BufferTooSmall { needed };
            }
            let packet = outgoing.pop_front().unwrap_or_default();
            return match put(&packet, buffer) {
                Some(packet) => DtlsOutput::Packet(packet),
                None => DtlsOutput::BufferTooSmall { needed },
            };
        }
        let needed = match self.events.front() {
            Some(Emitted::Certificate(bytes) | Emitted::Data(bytes)) => bytes.len(),
            _ => 0,
        };
        if needed > buffer.len() {
            return DtlsOutput::BufferTooSmall { needed };
        }
        let too_small = DtlsOutput::BufferTooSmall { needed };
        match self.events.pop_front() {
            Some(Emitted::Connected) => DtlsOutput::Connected,
            Some(Emitted::Certificate(bytes)) => {
                put(&bytes, buffer).map_or(too_small, DtlsOutput::PeerCert)
            }
            Some(Emitted::Keys(keys, profile)) => {
                DtlsOutput::KeyingMaterial(KeyingMaterial::new(&keys), profile)
            }
            Some(Emitted::Data(bytes)) => {
                put(&bytes, buffer).map_or(too_small, DtlsOutput::ApplicationData)
            }
            Some(Emitted::CloseNotify) => DtlsOutput::CloseNotify,
            None => {
                let pause = if self.phase == Phase::Handshake { RETRANSMIT } else { NEVER };
                DtlsOutput::Timeout(self.now + pause)
            }
        }
    }

    pub(super) fn send_application_data(&mut self, data: &[u8]) -> Result<usize, DtlsImplError> {
        match self.phase {
            Phase::Handshake => Ok(0),
            Phase::Closed => Err(DtlsImplError::ConnectionClosed),
            Phase::Connected if data.is_empty() => Ok(0),
            Phase::Connected => {
                self.stream.ssl_write(data).map_err(|_| failed(CryptoOperation::Encrypt))
            }
        }
    }

    pub(super) fn protocol_version(&self) -> Option<ProtocolVersion> {
        (self.phase != Phase::Handshake).then_some(ProtocolVersion::DTLS1_2)
    }

    pub(super) fn is_closing(&self) -> bool {
        self.phase == Phase::Closed
    }

    pub(super) fn is_closed(&self) -> bool {
        self.phase == Phase::Closed && self.stream.get_ref().outgoing.is_empty()
    }

    pub(super) fn close(&mut self) -> Result<(), DtlsImplError> {
        if self.phase == Phase::Connected
            && !self.stream.get_shutdown().contains(ShutdownState::SENT)
        {
            let _ = self.stream.shutdown();
        }
        self.phase = Phase::Closed;
        Ok(())
    }
}

fn profile_of(id: SrtpProfileId) -> Option<SrtpProfile> {
    match id {
        SrtpProfileId::SRTP_AES128_CM_SHA1_80 => Some(SrtpProfile::AES128_CM_SHA1_80),
        SrtpProfileId::SRTP_AEAD_AES_128_GCM => Some(SrtpProfile::AEAD_AES_128_GCM),
        SrtpProfileId::SRTP_AEAD_AES_256_GCM => Some(SrtpProfile::AEAD_AES_256_GCM),
        _ => None,
    }
}
