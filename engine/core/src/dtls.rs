//! DTLS for all peers from one configuration.
//!
//! str0m's own provider makes a configuration per peer, and each one tests every elliptic curve by
//! making keys on it: milliseconds per join, before the handshake has begun.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use dimpl::crypto::NamedGroup;
use str0m::crypto::CryptoError;
use str0m::crypto::dtls::{
    DtlsCert, DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, DtlsVersion, ProtocolVersion,
};

/// Both of these are in every browser (RFC 8827 §6.5 asks for P-256); larger curves cost several times
/// as much and protect keys that live as long as a visit.
const KEY_EXCHANGE_GROUPS: [NamedGroup; 2] = [NamedGroup::X25519, NamedGroup::Secp256r1];

/// The provider that [`Certificate`](crate::Certificate) plugs into str0m.
pub(crate) static SHARED: SharedDtls = SharedDtls { configs: Mutex::new(Vec::new()) };

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
        Ok(Box::new(Endpoint(dtls)))
    }
}

#[derive(Debug)]
struct Endpoint(dimpl::Dtls);

impl DtlsInstance for Endpoint {
    fn set_active(&mut self, active: bool) {
        self.0.set_active(active);
    }

    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
        self.0.handle_packet(packet)
    }

    fn poll_output<'a>(&mut self, buf: &'a mut [u8]) -> DtlsOutput<'a> {
        self.0.poll_output(buf)
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsImplError> {
        self.0.handle_timeout(now)
    }

    fn send_application_data(&mut self, data: &[u8]) -> Result<usize, DtlsImplError> {
        self.0.send_application_data(data)
    }

    fn is_active(&self) -> bool {
        self.0.is_active()
    }

    fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.0.protocol_version()
    }

    fn is_closing(&self) -> bool {
        self.0.is_closing()
    }

    fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    fn close(&mut self) -> Result<(), DtlsImplError> {
        self.0.close()
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
