//! DTLS by dimpl, in Rust, as it is in str0m: certificates are ECDSA on both sides.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

pub(super) use dimpl::Dtls;
use dimpl::crypto::NamedGroup;
use str0m::crypto::CryptoError;
use str0m::crypto::dtls::{DtlsCert, DtlsVersion};

/// Both of these are in every browser (RFC 8827 §6.5 asks for P-256); larger curves cost several times
/// as much and protect keys that live as long as a visit.
const KEY_EXCHANGE_GROUPS: [NamedGroup; 2] = [NamedGroup::X25519, NamedGroup::Secp256r1];

/// One for each MTU.
#[derive(Debug)]
pub(super) struct Configs {
    /// Locked while a peer is made, which no media thread does.
    made: Mutex<Vec<(Option<usize>, Arc<dimpl::Config>)>>,
}

impl Configs {
    pub(super) const fn new() -> Self {
        Self { made: Mutex::new(Vec::new()) }
    }

    /// One peer's end of a connection.
    pub(super) fn dtls(
        &self,
        cert: &DtlsCert,
        version: DtlsVersion,
        mtu: Option<usize>,
        now: Instant,
    ) -> Result<Dtls, CryptoError> {
        let config = self.config(mtu)?;
        let cert = DtlsCert {
            certificate: cert.certificate.clone(),
            private_key: cert.private_key.clone(),
        };
        match version {
            DtlsVersion::Dtls12 => Ok(Dtls::new_12(config, cert, now)),
            DtlsVersion::Dtls13 => Ok(Dtls::new_13(config, cert, now)),
            DtlsVersion::Auto => Ok(Dtls::new_auto(config, cert, now)),
            other => Err(CryptoError::Other(format!("unsupported DTLS version {other}"))),
        }
    }

    fn config(&self, mtu: Option<usize>) -> Result<Arc<dimpl::Config>, CryptoError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, config)) = made.iter().find(|(of, _)| *of == mtu) {
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
        made.push((mtu, Arc::clone(&config)));
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_share_one_configuration() {
        let configs = Configs::new();
        let first = configs.config(Some(1_200)).unwrap();
        assert!(Arc::ptr_eq(&first, &configs.config(Some(1_200)).unwrap()));
        assert!(!Arc::ptr_eq(&first, &configs.config(None).unwrap()));
    }
}
