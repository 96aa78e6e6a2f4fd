//! DTLS for all peers from one configuration.
//!
//! str0m's own provider makes a configuration per peer, and each one tests every elliptic curve by
//! making keys on it: milliseconds per join, before the handshake has begun.
//!
//! It is also where we learn the SRTP keys that str0m is given, and why a handshake failed.

#[cfg(not(feature = "openssl"))]
mod by_dimpl;
#[cfg(feature = "openssl")]
mod by_openssl;

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use dimpl::{CertificateError, SecurityError};
use str0m::crypto::CryptoError;
use str0m::crypto::dtls::{
    DtlsCert, DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, DtlsVersion, ProtocolVersion,
};

#[cfg(not(feature = "openssl"))]
use self::by_dimpl::{Configs, Dtls};
#[cfg(feature = "openssl")]
use self::by_openssl::{Configs, Dtls};
use crate::rtp::send::SrtpKeys;

/// The provider that [`Certificate`](crate::Certificate) plugs into str0m.
pub(crate) static SHARED: SharedDtls = SharedDtls { configs: Configs::new() };

thread_local! {
    /// Where endpoints made on this thread report their handshakes.
    static HANDSHAKE: RefCell<Arc<Handshake>> = RefCell::default();
}

/// What becomes of one peer's handshake.
#[derive(Debug, Default)]
pub(crate) struct Handshake {
    /// Once it is done.
    pub(crate) keys: Arc<OnceLock<SrtpKeys>>,
    no_common_certificate: OnceLock<()>,
}

impl Handshake {
    /// The peer has no certificate of the kind that is asked for here: ECDSA.
    pub(crate) fn has_no_common_certificate(&self) -> bool {
        self.no_common_certificate.get().is_some()
    }
}

/// Runs what makes one peer's endpoint, and returns where it will report its handshake. The
/// provider's interface has no argument to pass that place through.
pub(crate) fn with_handshake<T>(make: impl FnOnce() -> T) -> (T, Arc<Handshake>) {
    let handshake = Arc::default();
    HANDSHAKE.set(Arc::clone(&handshake));
    (make(), handshake)
}

/// Makes DTLS endpoints that share their configuration.
#[derive(Debug)]
pub(crate) struct SharedDtls {
    configs: Configs,
}

impl DtlsProvider for SharedDtls {
    fn generate_certificate(&self) -> Option<DtlsCert> {
        dimpl::certificate::generate_self_signed_certificate().ok()
    }

    fn new_dtls(
        &self,
        cert: &DtlsCert,
        now: Instant,
        dtls_version: DtlsVersion,
        mtu: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        let dtls = self.configs.dtls(cert, dtls_version, mtu, now)?;
        Ok(Box::new(Endpoint { dtls, handshake: HANDSHAKE.take() }))
    }
}

#[derive(Debug)]
struct Endpoint {
    dtls: Dtls,
    handshake: Arc<Handshake>,
}

impl DtlsInstance for Endpoint {
    fn set_active(&mut self, active: bool) {
        self.dtls.set_active(active);
    }

    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
        let result = self.dtls.handle_packet(packet);
        self.note(result)
    }

    fn poll_output<'a>(&mut self, buf: &'a mut [u8]) -> DtlsOutput<'a> {
        let active = self.dtls.is_active();
        let output = self.dtls.poll_output(buf);
        if let DtlsOutput::KeyingMaterial(material, profile) = &output
            && let Some(keys) = SrtpKeys::new(material, *profile, active)
        {
            // Handed out once per connection: DTLS does not renegotiate (RFC 8842 §4).
            let _ = self.handshake.keys.set(keys);
        }
        output
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsImplError> {
        let result = self.dtls.handle_timeout(now);
        self.note(result)
    }

    fn send_application_data(&mut self, data: &[u8]) -> Result<usize, DtlsImplError> {
        self.dtls.send_application_data(data)
    }

    fn is_active(&self) -> bool {
        self.dtls.is_active()
    }

    fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.dtls.protocol_version()
    }

    fn is_closing(&self) -> bool {
        self.dtls.is_closing()
    }

    fn is_closed(&self) -> bool {
        self.dtls.is_closed()
    }

    fn close(&mut self) -> Result<(), DtlsImplError> {
        self.dtls.close()
    }
}

impl Endpoint {
    /// Notes why a handshake failed, if it did for want of a certificate: the alert for the
    /// peer is still to be sent, and the drain that sends it ends the peer after that.
    fn note(&self, result: Result<(), DtlsImplError>) -> Result<(), DtlsImplError> {
        match result {
            Err(error) if self.handshake.keys.get().is_none() && is_of_certificate(&error) => {
                let _ = self.handshake.no_common_certificate.set(());
                Ok(())
            }
            other => other,
        }
    }
}

/// Whether a handshake failed for want of a certificate that both sides take. A client says so with an empty
/// list (OpenSSL; RFC 5246 §7.4.6) or, as a server does too that can use none of our cipher suites, with an
/// alert. Alerts give no other reason, but all else that is offered here every WebRTC stack has (RFC 8827 §6.5).
fn is_of_certificate(error: &DtlsImplError) -> bool {
    const HANDSHAKE_FAILURE: u8 = 40;
    const UNSUPPORTED_CERTIFICATE: u8 = 43;
    matches!(
        error,
        DtlsImplError::CertificateError(CertificateError::NoClientCertificateReceived)
            | DtlsImplError::SecurityError(SecurityError::FatalAlert {
                description: HANDSHAKE_FAILURE | UNSUPPORTED_CERTIFICATE,
            })
    )
}
