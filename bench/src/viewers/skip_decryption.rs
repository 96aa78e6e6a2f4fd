//! Viewers that do not decrypt media, so that one core drives many of them.
//!
//! Everything a server has to answer stays real: ICE, DTLS, the keys, RTCP both ways, retransmissions.
//! Only the AEAD of plain RTP packets is left out, so that the payload of such a packet is nothing but
//! bytes of the right number. Its header, extensions included, is in the clear anyway.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use str0m::RtcConfig;
use str0m::crypto::{
    AeadAes128Gcm, AeadAes128GcmCipher, AeadAes256Gcm, AeadAes256GcmCipher, CryptoError,
    CryptoProvider, SrtpProvider, SupportedAeadAes128Gcm, SupportedAeadAes256Gcm,
    SupportedAes128CmSha1_80, from_feature_flags,
};

/// Packets whose decryption was left out, by all viewers of this process.
static SKIPPED: AtomicU64 = AtomicU64::new(0);

/// Payload types of retransmissions: their first two bytes are needed, so they are decrypted.
static RESENT: OnceLock<[bool; 128]> = OnceLock::new();

/// Packets whose decryption was left out so far, by all viewers of this process.
pub(super) fn skipped() -> u64 {
    SKIPPED.load(Ordering::Relaxed)
}

/// The provider for a viewer that was made from `config`'s codecs.
pub(super) fn provider(mut config: RtcConfig) -> Arc<CryptoProvider> {
    RESENT.get_or_init(|| {
        let mut resent = [false; 128];
        let types = config.codec_config().params().iter().filter_map(|params| params.resend());
        for payload_type in types {
            if let Some(slot) = resent.get_mut(usize::from(*payload_type)) {
                *slot = true;
            }
        }
        resent
    });
    let mut provider = from_feature_flags();
    provider.srtp_provider = &SkipDecryption;
    Arc::new(provider)
}

/// Whether the decryption of this packet is left out; `aads` is what AEAD would authenticate.
fn skips(aads: &[&[u8]]) -> bool {
    let [[first, second, ..]] = aads else { return false };
    let padded = first & 0x20 != 0;
    // The second byte of RTCP is 192 to 223 (RFC 5761 §4).
    let control = (192..=223).contains(second);
    let payload_type = usize::from(second & 0x7f);
    let resent = RESENT.get().and_then(|resent| resent.get(payload_type)).copied();
    let skip = !padded && !control && !resent.unwrap_or(true);
    if skip {
        SKIPPED.fetch_add(1, Ordering::Relaxed);
    }
    skip
}

fn real() -> &'static dyn SrtpProvider {
    static REAL: OnceLock<&'static dyn SrtpProvider> = OnceLock::new();
    *REAL.get_or_init(|| from_feature_flags().srtp_provider)
}

#[derive(Debug)]
struct SkipDecryption;

#[derive(Debug)]
struct Cipher128(Box<dyn AeadAes128GcmCipher>);

#[derive(Debug)]
struct Cipher256(Box<dyn AeadAes256GcmCipher>);

impl SrtpProvider for SkipDecryption {
    fn aes_128_cm_sha1_80(&self) -> &'static dyn SupportedAes128CmSha1_80 {
        real().aes_128_cm_sha1_80()
    }

    fn aead_aes_128_gcm(&self) -> &'static dyn SupportedAeadAes128Gcm {
        &Self
    }

    fn aead_aes_256_gcm(&self) -> &'static dyn SupportedAeadAes256Gcm {
        &Self
    }

    fn srtp_aes_128_ecb_round(&self, key: &[u8], input: &[u8], output: &mut [u8]) {
        real().srtp_aes_128_ecb_round(key, input, output);
    }

    fn srtp_aes_256_ecb_round(&self, key: &[u8], input: &[u8], output: &mut [u8]) {
        real().srtp_aes_256_ecb_round(key, input, output);
    }
}

impl SupportedAeadAes128Gcm for SkipDecryption {
    fn create_cipher(&self, key: [u8; 16], encrypt: bool) -> Box<dyn AeadAes128GcmCipher> {
        Box::new(Cipher128(real().aead_aes_128_gcm().create_cipher(key, encrypt)))
    }
}

impl SupportedAeadAes256Gcm for SkipDecryption {
    fn create_cipher(&self, key: [u8; 32], encrypt: bool) -> Box<dyn AeadAes256GcmCipher> {
        Box::new(Cipher256(real().aead_aes_256_gcm().create_cipher(key, encrypt)))
    }
}

impl AeadAes128GcmCipher for Cipher128 {
    fn encrypt(
        &mut self,
        iv: &[u8; 12],
        aad: &[u8],
        input: &[u8],
        output: &mut [u8],
    ) -> Result<(), CryptoError> {
        self.0.encrypt(iv, aad, input, output)
    }

    fn decrypt(
        &mut self,
        iv: &[u8; 12],
        aads: &[&[u8]],
        input: &[u8],
        output: &mut [u8],
    ) -> Result<usize, CryptoError> {
        if skips(aads) {
            return Ok(input.len().saturating_sub(AeadAes128Gcm::TAG_LEN));
        }
        self.0.decrypt(iv, aads, input, output)
    }
}

impl AeadAes256GcmCipher for Cipher256 {
    fn encrypt(
        &mut self,
        iv: &[u8; 12],
        aad: &[u8],
        input: &[u8],
        output: &mut [u8],
    ) -> Result<(), CryptoError> {
        self.0.encrypt(iv, aad, input, output)
    }

    fn decrypt(
        &mut self,
        iv: &[u8; 12],
        aads: &[&[u8]],
        input: &[u8],
        output: &mut [u8],
    ) -> Result<usize, CryptoError> {
        if skips(aads) {
            return Ok(input.len().saturating_sub(AeadAes256Gcm::TAG_LEN));
        }
        self.0.decrypt(iv, aads, input, output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_media_is_left_out() {
        let mut config = RtcConfig::new();
        let resent = config.codec_config().params().iter().find_map(|params| params.resend());
        let plain = config.codec_config().params().iter().map(|params| params.pt()).next();
        let (resent, plain) = (*resent.unwrap(), *plain.unwrap());
        let provider = provider(config);
        let key = [7; 16];
        let (iv, secret) = ([1; 12], [5; 100]);
        let mut seal = real().aead_aes_128_gcm().create_cipher(key, true);
        let mut open = provider.srtp_provider.aead_aes_128_gcm().create_cipher(key, false);
        let mut header = [0x80, plain, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9];
        let mut sealed = [0; 116];
        let mut opened = [0; 100];

        seal.encrypt(&iv, &header, &secret, &mut sealed).unwrap();
        assert_eq!(open.decrypt(&iv, &[&header], &sealed, &mut opened).unwrap(), 100);
        assert_eq!(opened, [0; 100], "plain media was decrypted");

        // Retransmissions, padding and RTCP are decrypted.
        for (first, second) in [(0x80, resent), (0xa0, plain), (0x80, 200)] {
            header[..2].copy_from_slice(&[first, second]);
            opened = [0; 100];
            seal.encrypt(&iv, &header, &secret, &mut sealed).unwrap();
            open.decrypt(&iv, &[&header], &sealed, &mut opened).unwrap();
            assert_eq!(opened, secret, "{first:#x} {second}");
        }
    }
}
