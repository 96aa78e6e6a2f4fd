//! The certificate of our side.

use std::sync::Arc;

use str0m::config::{CryptoProvider, DtlsCert};

use crate::dtls;

/// The one DTLS certificate all peers share, and the cryptography behind it. Making a certificate per
/// peer would cost milliseconds each.
#[derive(Debug, Clone)]
pub struct Certificate {
    pub(super) provider: Arc<CryptoProvider>,
    pub(super) certificate: DtlsCert,
}

impl Certificate {
    /// Makes a fresh self-signed certificate, with an ECDSA key.
    ///
    /// # Errors
    ///
    /// Where the cryptography library makes none, in its words.
    pub fn generate() -> Result<Self, String> {
        let provider = Arc::new(CryptoProvider {
            dtls_provider: &dtls::SHARED,
            ..str0m::crypto::from_feature_flags()
        });
        let certificate = provider
            .dtls_provider
            .generate_certificate()
            .ok_or("the cryptography library made none")?;
        Ok(Self { provider, certificate })
    }
}
