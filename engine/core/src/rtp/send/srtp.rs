//! SRTP for what leaves (RFC 3711, with AES-GCM as in RFC 7714), straight into the memory it is sent
//! from. The ciphers are str0m's; the keys are those DTLS gave to str0m and to us.

use str0m::crypto::dtls::{KeyingMaterial, SrtpProfile};
use str0m::crypto::{
    AeadAes128Gcm, AeadAes128GcmCipher, AeadAes256Gcm, AeadAes256GcmCipher, Aes128CmSha1_80,
    Aes128CmSha1_80Cipher, CryptoError, CryptoProvider, Sha1HmacProvider, SrtpProvider,
};

const RTCP_HEADER_BYTES: usize = 8;
/// The encryption flag and the packet's index (RFC 3711 §3.4).
const RTCP_INDEX_BYTES: usize = 4;
const ENCRYPTED: u32 = 0x8000_0000;

/// RFC 3711 §4.3.2: what a session key is for.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Label {
    RtpKey = 0,
    RtpAuth = 1,
    RtpSalt = 2,
    RtcpKey = 3,
    RtcpAuth = 4,
    RtcpSalt = 5,
}

/// What DTLS has agreed on.
pub(crate) struct SrtpKeys {
    profile: SrtpProfile,
    write: HalfKeys,
    read: HalfKeys,
}

/// The keys of one direction.
struct HalfKeys {
    master: Vec<u8>,
    salt: Vec<u8>,
}

impl std::fmt::Debug for SrtpKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SrtpKeys").field("profile", &self.profile).finish_non_exhaustive()
    }
}

impl SrtpKeys {
    /// We write with the client's key and salt where we are `active`, with the server's otherwise (RFC 5764 §4.2). `None`
    /// for a profile nobody here knows.
    pub(crate) fn new(
        material: &KeyingMaterial,
        profile: SrtpProfile,
        active: bool,
    ) -> Option<Self> {
        let (key, salt) = match profile {
            SrtpProfile::AES128_CM_SHA1_80 => (Aes128CmSha1_80::KEY_LEN, Aes128CmSha1_80::SALT_LEN),
            SrtpProfile::AEAD_AES_128_GCM => (AeadAes128Gcm::KEY_LEN, AeadAes128Gcm::SALT_LEN),
            SrtpProfile::AEAD_AES_256_GCM => (AeadAes256Gcm::KEY_LEN, AeadAes256Gcm::SALT_LEN),
            _ => return None,
        };
        let half = |server: usize| {
            let master = material.get(server * key..)?.get(..key)?.to_vec();
            let salt = material.get(2 * key + server * salt..)?.get(..salt)?.to_vec();
            Some(HalfKeys { master, salt })
        };
        let server = usize::from(!active);
        Some(Self { profile, write: half(server)?, read: half(1 - server)? })
    }
}

impl HalfKeys {
    /// A session key (RFC 3711 §4.3.1): the counter-mode key stream of the master key, started at the
    /// master salt with the label mixed in.
    fn derive<const N: usize>(&self, provider: &dyn SrtpProvider, label: Label) -> [u8; N] {
        let mut counter = [0; 16];
        counter[..self.salt.len()].copy_from_slice(&self.salt);
        counter[7] ^= label as u8;
        let mut derived = [0; N];
        for (round, out) in derived.chunks_mut(16).enumerate() {
            counter[14..].copy_from_slice(&(round as u16).to_be_bytes());
            // The library pads a block to two; the first is the one asked for.
            let mut block = [0; 32];
            if self.master.len() == 16 {
                provider.srtp_aes_128_ecb_round(&self.master, &counter, &mut block);
            } else {
                provider.srtp_aes_256_ecb_round(&self.master, &counter, &mut block);
            }
            out.copy_from_slice(&block[..out.len()]);
        }
        derived
    }
}

/// Opens RTCP that one viewer sends.
#[derive(Debug)]
pub(crate) struct SrtcpReader(Cipher);

impl SrtcpReader {
    /// `None` where that would not tell whose a packet is: only AES-GCM does it by itself.
    pub(crate) fn new(keys: &SrtpKeys) -> Option<Self> {
        use Label::*;
        let SrtpKeys { profile, read, .. } = keys;
        let crypto = str0m::crypto::from_feature_flags();
        let labels = [RtcpKey, RtcpAuth, RtcpSalt];
        match Cipher::new(*profile, read, &crypto, labels, false)? {
            Cipher::CmSha1 { .. } => None,
            cipher => Some(Self(cipher)),
        }
    }

    /// Decrypts a packet into `plain`, and gives its index. `None` where it is not the viewer's.
    pub(crate) fn open(&mut self, protected: &[u8], plain: &mut Vec<u8>) -> Option<u32> {
        self.0.open_rtcp(protected, plain)
    }
}

/// Seals what one viewer is sent.
#[derive(Debug)]
pub(super) struct Srtp {
    rtp: Cipher,
    rtcp: Cipher,
}

#[derive(Debug)]
enum Cipher {
    Gcm128 {
        cipher: Box<dyn AeadAes128GcmCipher>,
        salt: [u8; AeadAes128Gcm::SALT_LEN],
    },
    Gcm256 {
        cipher: Box<dyn AeadAes256GcmCipher>,
        salt: [u8; AeadAes256Gcm::SALT_LEN],
    },
    CmSha1 {
        cipher: Box<dyn Aes128CmSha1_80Cipher>,
        salt: [u8; Aes128CmSha1_80::SALT_LEN],
        auth: [u8; Aes128CmSha1_80::HMAC_KEY_LEN],
        hmac: &'static dyn Sha1HmacProvider,
    },
}

impl Cipher {
    fn new(
        profile: SrtpProfile,
        keys: &HalfKeys,
        crypto: &CryptoProvider,
        [key, auth, salt]: [Label; 3],
        encrypt: bool,
    ) -> Option<Self> {
        let srtp = crypto.srtp_provider;
        Some(match profile {
            SrtpProfile::AEAD_AES_128_GCM => Self::Gcm128 {
                cipher: srtp.aead_aes_128_gcm().create_cipher(keys.derive(srtp, key), encrypt),
                salt: keys.derive(srtp, salt),
            },
            SrtpProfile::AEAD_AES_256_GCM => Self::Gcm256 {
                cipher: srtp.aead_aes_256_gcm().create_cipher(keys.derive(srtp, key), encrypt),
                salt: keys.derive(srtp, salt),
            },
            SrtpProfile::AES128_CM_SHA1_80 => Self::CmSha1 {
                cipher: srtp.aes_128_cm_sha1_80().create_cipher(keys.derive(srtp, key), encrypt),
                salt: keys.derive(srtp, salt),
                auth: keys.derive(srtp, auth),
                hmac: crypto.sha1_hmac_provider,
            },
            _ => return None,
        })
    }

    fn tag_len(&self) -> usize {
        match self {
            Self::Gcm128 { .. } => AeadAes128Gcm::TAG_LEN,
            Self::Gcm256 { .. } => AeadAes256Gcm::TAG_LEN,
            Self::CmSha1 { .. } => Aes128CmSha1_80::HMAC_TAG_LEN,
        }
    }

    /// Decrypts an RTCP packet into `plain`, and gives its index. With AES-GCM it is what was sealed with these keys, or
    /// `None`; in counter mode anything is opened, and its tag is not looked at.
    fn open_rtcp(&mut self, protected: &[u8], plain: &mut Vec<u8>) -> Option<u32> {
        let len = protected.len().checked_sub(RTCP_INDEX_BYTES + self.tag_len())?;
        let (head, rest) = protected.split_at_checked(RTCP_HEADER_BYTES)?;
        let body_len = len.checked_sub(RTCP_HEADER_BYTES)?;
        let index_at = match self {
            Self::CmSha1 { .. } => body_len,
            _ => body_len + self.tag_len(),
        };
        let index_bytes: [u8; RTCP_INDEX_BYTES] =
            rest.get(index_at..index_at + RTCP_INDEX_BYTES)?.try_into().ok()?;
        let index = u32::from_be_bytes(index_bytes) & !ENCRYPTED;
        let ssrc = ssrc_of(head)?;
        plain.clear();
        plain.resize(len, 0);
        plain[..RTCP_HEADER_BYTES].copy_from_slice(head);
        let body = &mut plain[RTCP_HEADER_BYTES..];
        match self {
            Self::Gcm128 { cipher, salt } => {
                let iv = AeadAes128Gcm::rtcp_iv(*salt, ssrc, index);
                cipher.decrypt(&iv, &[head, &index_bytes], &rest[..index_at], body).ok()?;
            }
            Self::Gcm256 { cipher, salt } => {
                let iv = AeadAes256Gcm::rtcp_iv(*salt, ssrc, index);
                cipher.decrypt(&iv, &[head, &index_bytes], &rest[..index_at], body).ok()?;
            }
            Self::CmSha1 { cipher, salt, .. } => {
                let iv = Aes128CmSha1_80::rtp_iv(*salt, ssrc, u64::from(index));
                cipher.decrypt(&iv, &rest[..body_len], body).ok()?;
            }
        }
        Some(index)
    }
}

impl Srtp {
    pub(super) fn new(keys: &SrtpKeys) -> Option<Self> {
        Self::with(keys, &str0m::crypto::from_feature_flags())
    }

    fn with(keys: &SrtpKeys, crypto: &CryptoProvider) -> Option<Self> {
        use Label::*;
        let SrtpKeys { profile, write, .. } = keys;
        let profile = *profile;
        Some(Self {
            rtp: Cipher::new(profile, write, crypto, [RtpKey, RtpAuth, RtpSalt], true)?,
            rtcp: Cipher::new(profile, write, crypto, [RtcpKey, RtcpAuth, RtcpSalt], true)?,
        })
    }

    /// Bytes an RTP packet grows by.
    pub(super) fn rtp_overhead(&self) -> usize {
        self.rtp.tag_len()
    }

    /// Bytes an RTCP packet grows by.
    pub(super) fn rtcp_overhead(&self) -> usize {
        RTCP_INDEX_BYTES + self.rtcp.tag_len()
    }

    /// Encrypts one RTP packet into `out`, which has room for header, payload and
    /// [`rtp_overhead`](Self::rtp_overhead). `index` is the sequence number with its roll-overs.
    pub(super) fn seal_rtp(
        &mut self,
        header: &[u8],
        payload: &[u8],
        ssrc: u32,
        index: u64,
        out: &mut [u8],
    ) {
        let (head, body) = out.split_at_mut(header.len());
        head.copy_from_slice(header);
        let (roll_overs, sequence) = ((index >> 16) as u32, index as u16);
        let sealed = match &mut self.rtp {
            Cipher::Gcm128 { cipher, salt } => {
                let iv = AeadAes128Gcm::rtp_iv(*salt, ssrc, roll_overs, sequence);
                cipher.encrypt(&iv, header, payload, body)
            }
            Cipher::Gcm256 { cipher, salt } => {
                let iv = AeadAes256Gcm::rtp_iv(*salt, ssrc, roll_overs, sequence);
                cipher.encrypt(&iv, header, payload, body)
            }
            Cipher::CmSha1 { cipher, salt, auth, hmac } => {
                let iv = Aes128CmSha1_80::rtp_iv(*salt, ssrc, index);
                let sealed = cipher.encrypt(&iv, payload, body);
                let end = out.len() - Aes128CmSha1_80::HMAC_TAG_LEN;
                let sign = |key: &[u8], data: &[&[u8]]| hmac.sha1_hmac(key, data);
                Aes128CmSha1_80::rtp_hmac(sign, auth, out, index, end);
                sealed
            }
        };
        never_in_the_clear(sealed, out);
    }

    /// Decrypts into `plain` what str0m has encrypted with the same keys, and gives its index.
    pub(super) fn open_rtcp(&mut self, protected: &[u8], plain: &mut Vec<u8>) -> Option<u32> {
        self.rtcp.open_rtcp(protected, plain)
    }

    /// Encrypts a compound RTCP packet into `out`, which has room for it and for
    /// [`rtcp_overhead`](Self::rtcp_overhead).
    pub(super) fn seal_rtcp(&mut self, plain: &[u8], index: u32, out: &mut [u8]) {
        let (Some((head, body)), Some(ssrc)) =
            (plain.split_at_checked(RTCP_HEADER_BYTES), ssrc_of(plain))
        else {
            return;
        };
        let index_bytes = (index | ENCRYPTED).to_be_bytes();
        let mut associated = [0; RTCP_HEADER_BYTES + RTCP_INDEX_BYTES];
        associated[..RTCP_HEADER_BYTES].copy_from_slice(head);
        associated[RTCP_HEADER_BYTES..].copy_from_slice(&index_bytes);
        let (out_head, out_rest) = out.split_at_mut(RTCP_HEADER_BYTES);
        out_head.copy_from_slice(head);
        let sealed = match &mut self.rtcp {
            Cipher::Gcm128 { cipher, salt } => {
                let iv = AeadAes128Gcm::rtcp_iv(*salt, ssrc, index);
                let (sealed, trailer) = out_rest.split_at_mut(out_rest.len() - RTCP_INDEX_BYTES);
                trailer.copy_from_slice(&index_bytes);
                cipher.encrypt(&iv, &associated, body, sealed)
            }
            Cipher::Gcm256 { cipher, salt } => {
                let iv = AeadAes256Gcm::rtcp_iv(*salt, ssrc, index);
                let (sealed, trailer) = out_rest.split_at_mut(out_rest.len() - RTCP_INDEX_BYTES);
                trailer.copy_from_slice(&index_bytes);
                cipher.encrypt(&iv, &associated, body, sealed)
            }
            Cipher::CmSha1 { cipher, salt, auth, hmac } => {
                let iv = Aes128CmSha1_80::rtp_iv(*salt, ssrc, u64::from(index));
                let (encrypted, trailer) = out_rest.split_at_mut(body.len());
                trailer[..RTCP_INDEX_BYTES].copy_from_slice(&index_bytes);
                let sealed = cipher.encrypt(&iv, body, encrypted);
                let end = out.len() - Aes128CmSha1_80::HMAC_TAG_LEN;
                let sign = |key: &[u8], data: &[&[u8]]| hmac.sha1_hmac(key, data);
                Aes128CmSha1_80::rtcp_hmac(sign, auth, out, end);
                sealed
            }
        };
        never_in_the_clear(sealed, out);
    }
}

fn ssrc_of(rtcp: &[u8]) -> Option<u32> {
    rtcp.get(4..8)?.try_into().ok().map(u32::from_be_bytes)
}

/// Ciphers copy first and encrypt in place. None of them has a reason to fail at these lengths; if one
/// did, the viewer would get a packet it cannot open.
fn never_in_the_clear(sealed: Result<(), CryptoError>, out: &mut [u8]) {
    if let Err(error) = sealed {
        tracing::error!(%error, "a packet could not be encrypted");
        out.fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(profile: SrtpProfile, master: &[u8], salt: &[u8]) -> SrtpKeys {
        let half = || HalfKeys { master: master.to_vec(), salt: salt.to_vec() };
        SrtpKeys { profile, write: half(), read: half() }
    }

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> =
            text.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    /// RFC 3711 appendix B.3.
    #[test]
    fn session_keys_are_those_of_the_rfc() {
        let keys = keys(
            SrtpProfile::AES128_CM_SHA1_80,
            &hex("E1F97A0D3E018BE0D64FA32C06DE4139"),
            &hex("0EC675AD498AFEEBB6960B3AABE6"),
        );
        let srtp = str0m::crypto::from_feature_flags().srtp_provider;
        assert_eq!(
            keys.write.derive::<16>(srtp, Label::RtpKey)[..],
            hex("C61E7A93744F39EE10734AFE3FF7A087")
        );
        assert_eq!(
            keys.write.derive::<14>(srtp, Label::RtpSalt)[..],
            hex("30CBBC08863D8C85D49DB34A9AE1")
        );
        assert_eq!(
            keys.write.derive::<20>(srtp, Label::RtpAuth)[..],
            hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4")
        );
    }

    /// RFC 7714 §16.1.1 (AES-128) and §16.2.1 (AES-256), whose session keys are given.
    #[test]
    fn rtp_packets_are_those_of_the_rfc() {
        let crypto = str0m::crypto::from_feature_flags().srtp_provider;
        let (header, index) = (hex("8040f17b8041f8d35501a0b2"), 0xf17b);
        let payload =
            hex("47616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573");
        let salt: [u8; 12] = hex("517569642070726f2071756f").try_into().unwrap();
        let key = hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
        let short = crypto.aead_aes_128_gcm().create_cipher(key[..16].try_into().unwrap(), true);
        let long = crypto.aead_aes_256_gcm().create_cipher(key[..].try_into().unwrap(), true);
        let expected = [
            "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce",
            "8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13",
        ];
        let ciphers =
            [Cipher::Gcm128 { cipher: short, salt }, Cipher::Gcm256 { cipher: long, salt }];
        for (rtp, expected) in ciphers.into_iter().zip(expected) {
            let other = keys(SrtpProfile::AEAD_AES_128_GCM, &[1; 16], &[2; 12]);
            let mut srtp = Srtp { rtp, ..Srtp::new(&other).unwrap() };
            let mut out = vec![0; header.len() + payload.len() + srtp.rtp_overhead()];
            srtp.seal_rtp(&header, &payload, 0x5501_a0b2, index, &mut out);
            assert_eq!(out, hex(expected));
        }
    }

    #[test]
    fn counter_mode_packets_open_and_carry_the_roll_overs_in_their_tag() {
        let keys = keys(SrtpProfile::AES128_CM_SHA1_80, &[7; 16], &[9; 14]);
        let crypto = str0m::crypto::from_feature_flags();
        let (ssrc, index) = (0xdead_beef, 0x0003_fffe);
        let header = hex("9060fffe000000010000000200000000");
        let mut srtp = Srtp::new(&keys).unwrap();
        let mut sealed = vec![0; header.len() + 50 + srtp.rtp_overhead()];
        srtp.seal_rtp(&header, &[0x41; 50], ssrc, index, &mut sealed);
        let (signed, tag) = sealed.split_at(sealed.len() - Aes128CmSha1_80::HMAC_TAG_LEN);
        let auth: [u8; 20] = keys.write.derive(crypto.srtp_provider, Label::RtpAuth);
        let sign = |key: &[u8], data: &[&[u8]]| crypto.sha1_hmac_provider.sha1_hmac(key, data);
        assert!(Aes128CmSha1_80::rtp_verify(sign, &auth, signed, index, tag));
        assert!(!Aes128CmSha1_80::rtp_verify(sign, &auth, signed, index & 0xffff, tag));
        let key = keys.write.derive(crypto.srtp_provider, Label::RtpKey);
        let mut cipher = crypto.srtp_provider.aes_128_cm_sha1_80().create_cipher(key, false);
        let salt = keys.write.derive(crypto.srtp_provider, Label::RtpSalt);
        let mut opened = [0; 50];
        let iv = Aes128CmSha1_80::rtp_iv(salt, ssrc, index);
        cipher.decrypt(&iv, &signed[header.len()..], &mut opened).unwrap();
        assert_eq!(opened, [0x41; 50]);
        assert_eq!(signed[..header.len()], header);
    }

    #[test]
    fn rtcp_opens_as_it_was_sealed_in_every_profile() {
        for (profile, key_len, salt_len) in [
            (SrtpProfile::AES128_CM_SHA1_80, 16, 14),
            (SrtpProfile::AEAD_AES_128_GCM, 16, 12),
            (SrtpProfile::AEAD_AES_256_GCM, 32, 12),
        ] {
            let keys = keys(profile, &vec![7; key_len], &vec![9; salt_len]);
            let mut srtp = Srtp::new(&keys).unwrap();
            for len in (8..100).step_by(4) {
                let plain: Vec<u8> = (0..len as u8).collect();
                let mut sealed = vec![0; len + srtp.rtcp_overhead()];
                srtp.seal_rtcp(&plain, 0x0123_4567, &mut sealed);
                if len > 8 {
                    assert_ne!(sealed[8..len], plain[8..]);
                }
                let mut opened = Vec::new();
                assert_eq!(srtp.open_rtcp(&sealed, &mut opened), Some(0x0123_4567));
                assert_eq!(opened, plain);
                let Some(mut reader) = SrtcpReader::new(&keys) else {
                    assert_eq!(profile, SrtpProfile::AES128_CM_SHA1_80);
                    continue;
                };
                assert_eq!(reader.open(&sealed, &mut opened), Some(0x0123_4567));
                assert_eq!(opened, plain);
                sealed[len / 2] ^= 1;
                assert_eq!(reader.open(&sealed, &mut opened), None, "a byte was changed");
            }
            for len in 0..8 + srtp.rtcp_overhead() {
                assert_eq!(srtp.open_rtcp(&vec![0x80; len], &mut Vec::new()), None, "{len}");
            }
        }
    }

    #[test]
    fn each_side_writes_with_its_own_half() {
        let material: Vec<u8> = (0..2 * 16 + 2 * 12).collect();
        let material = KeyingMaterial::new(&material);
        let profile = SrtpProfile::AEAD_AES_128_GCM;
        let client = SrtpKeys::new(&material, profile, true).unwrap();
        let server = SrtpKeys::new(&material, profile, false).unwrap();
        let begin = |half: &HalfKeys| (half.master[0], half.salt[0]);
        assert_eq!((begin(&client.write), begin(&client.read)), ((0, 32), (16, 44)));
        assert_eq!((begin(&server.write), begin(&server.read)), ((16, 44), (0, 32)));
        assert!(SrtpKeys::new(&KeyingMaterial::new(&[0; 40]), profile, false).is_none());
    }
}
