//! DTLS for all peers from one configuration.
//!
//! str0m's own provider makes a configuration per peer, and each one tests every elliptic curve by
//! making keys on it: milliseconds per join, before the handshake has begun.
//!
//! It is also where we learn the SRTP keys that str0m is given.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use dimpl::crypto::NamedGroup;
use str0m::crypto::CryptoError;
use str0m::crypto::dtls::{
    DtlsCert, DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, DtlsVersion, ProtocolVersion,
};

use crate::rtp_output::SrtpKeys;

/// Both of these are in every browser (RFC 8827 §6.5 asks for P-256); larger curves cost several times
/// as much and protect keys that live as long as a visit.
const KEY_EXCHANGE_GROUPS: [NamedGroup; 2] = [NamedGroup::X25519, NamedGroup::Secp256r1];

/// The provider that [`Certificate`](crate::Certificate) plugs into str0m.
pub(crate) static SHARED: SharedDtls = SharedDtls { configs: Mutex::new(Vec::new()) };

thread_local! {
    /// Where endpoints made on this thread put their keys.
    static KEYS: RefCell<Arc<OnceLock<SrtpKeys>>> = RefCell::default();
}

/// Runs what makes one peer's endpoint, and gives the place where its SRTP keys will be once its
/// handshake is done. The provider's interface has no argument to pass that place through.
pub(crate) fn with_keys<T>(make: impl FnOnce() -> T) -> (T, Arc<OnceLock<SrtpKeys>>) {
    let keys = Arc::default();
    KEYS.set(Arc::clone(&keys));
    (make(), keys)
}

/// Makes DTLS endpoints that share one configuration per MTU.
#[derive(Debug)]
pub(crate) struct SharedDtls {
    /// Locked while a peer is made, which no media thread does.
    configs: Mutex<Vec<(Option<usize>, Arc<dimpl::Config>)>>,
}

impl SharedDtls {
    fn config(&self, mtu: Option<usize>) -> Result<Arc<dimpl::Config>, CryptoError> {
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, config)) = configs.iter().find(|(of, _)| *of == mtu) {
            return Ok(Arc::clone(config));
        }
        // ICE has verified the return path before DTLS begins: cookies would cost a round trip more.
        let mut builder =
            dimpl::Config::builder().use_server_cookie(false).kx_groups(&KEY_EXCHANGE_GROUPS);
        if let Some(mtu) = mtu {
            builder = builder.mtu(mtu);
        }
        let config = builder.build().map_err(|error| CryptoError::Other(error.to_string()))?;
        let config = Arc::new(config);
        configs.push((mtu, Arc::clone(&config)));
        Ok(config)
    }
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
        let config = self.config(mtu)?;
        let cert = DtlsCert {
            certificate: cert.certificate.clone(),
            private_key: cert.private_key.clone(),
        };
        let dtls = match dtls_version {
            DtlsVersion::Dtls12 => dimpl::Dtls::new_12(config, cert, now),
            DtlsVersion::Dtls13 => dimpl::Dtls::new_13(config, cert, now),
            DtlsVersion::Auto => dimpl::Dtls::new_auto(config, cert, now),
            other => return Err(CryptoError::Other(format!("unsupported DTLS version {other}"))),
        };
        Ok(Box::new(Endpoint { dtls, keys: KEYS.take() }))
    }
}

#[derive(Debug)]
struct Endpoint {
    dtls: dimpl::Dtls,
    keys: Arc<OnceLock<SrtpKeys>>,
}

impl DtlsInstance for Endpoint {
    fn set_active(&mut self, active: bool) {
        self.dtls.set_active(active);
    }

    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
        self.dtls.handle_packet(packet)
    }

    fn poll_output<'a>(&mut self, buf: &'a mut [u8]) -> DtlsOutput<'a> {
        let active = self.dtls.is_active();
        let output = self.dtls.poll_output(buf);
        if let DtlsOutput::KeyingMaterial(material, profile) = &output
            && let Some(keys) = SrtpKeys::new(material, *profile, active)
        {
            // Handed out once per connection: DTLS does not renegotiate (RFC 8842 §4).
            let _ = self.keys.set(keys);
        }
        output
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsImplError> {
        self.dtls.handle_timeout(now)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_share_one_configuration() {
        let dtls = SharedDtls { configs: Mutex::default() };
        let first = dtls.config(Some(1_200)).unwrap();
        assert!(Arc::ptr_eq(&first, &dtls.config(Some(1_200)).unwrap()));
        assert!(!Arc::ptr_eq(&first, &dtls.config(None).unwrap()));
    }
}
