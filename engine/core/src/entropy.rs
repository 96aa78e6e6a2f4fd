//! Randomness of the system where str0m would take that of `fastrand`.
//!
//! `fastrand` is a generator of 64 bits of state, seeded from the clock and a thread number: a few of
//! its numbers give those that follow away. str0m and its ICE take their transaction ids, SSRCs and ICE
//! credentials from it, and let only the credentials be given. So these are given (RFC 8445 §5.3 asks for
//! 128 random bits in a password), and the generator gets a new state from the system before each turn of a
//! peer: what one turn shows gives nothing of the next away. A transaction id then has 64 unknown bits, which a
//! blind attacker would have to guess while the check is under way.

use str0m::ice::IceCreds;

/// Bytes asked of the system at once, so that a turn does not cost a system call each.
const POOL_BYTES: usize = 512;

/// ICE characters (RFC 8839 §5.4): 64 of them, six bits each.
const ICE_CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// 90 bits beside the first character; 24 are asked for.
const UFRAG_CHARS: usize = 16;
/// 192 bits; 128 are asked for.
const PASSWORD_CHARS: usize = 32;

/// Randomness of the system, drawn in advance.
pub(crate) struct Entropy {
    pool: [u8; POOL_BYTES],
    left: usize,
}

impl std::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entropy").finish_non_exhaustive()
    }
}

impl Default for Entropy {
    fn default() -> Self {
        Self { pool: [0; POOL_BYTES], left: 0 }
    }
}

impl Entropy {
    /// Gives this thread's `fastrand` a new state.
    pub(crate) fn reseed(&mut self) {
        if self.left == 0 {
            if getrandom::fill(&mut self.pool).is_err() {
                return; // It had randomness before: what it made of that goes on.
            }
            self.left = POOL_BYTES;
        }
        let mut seed = [0; 8];
        let end = self.left;
        self.left -= seed.len();
        let used = &mut self.pool[self.left..end];
        seed.copy_from_slice(used);
        used.fill(0);
        fastrand::seed(u64::from_ne_bytes(seed));
    }
}

/// New ICE credentials for our side, whose user name says which media loop it is of ([`named_media_loop`]). `None` where
/// the system has no randomness.
pub(crate) fn ice_credentials(media_loop: usize) -> Option<IceCreds> {
    let mut bytes = [0; UFRAG_CHARS + PASSWORD_CHARS];
    getrandom::fill(&mut bytes).ok()?;
    let text = |bytes: &[u8]| {
        bytes.iter().map(|byte| char::from(ICE_CHARS[usize::from(byte % 64)])).collect()
    };
    if let Some(first) = bytes.first_mut() {
        *first = (media_loop % ICE_CHARS.len()) as u8;
    }
    let (ufrag, pass) = bytes.split_at(UFRAG_CHARS);
    Some(IceCreds { ufrag: text(ufrag), pass: text(pass) })
}

/// Which media loop an ICE user name of ours is of; of 64 loops at most.
pub(crate) fn named_media_loop(ufrag: &str) -> Option<usize> {
    let first = ufrag.bytes().next()?;
    ICE_CHARS.iter().position(|byte| *byte == first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use str0m::ice::TransId;

    #[test]
    fn transaction_ids_come_from_the_generator_that_is_seeded() {
        fastrand::seed(7);
        let first = TransId::new();
        fastrand::seed(7);
        assert_eq!(TransId::new(), first, "str0m draws elsewhere: seeding does not help any more");
        let mut entropy = Entropy::default();
        let seeded = |entropy: &mut Entropy| {
            fastrand::seed(7);
            entropy.reseed();
            TransId::new()
        };
        let drawn: HashSet<_> = (0..1_000).map(|_| seeded(&mut entropy)).collect();
        assert_eq!(drawn.len(), 1_000, "a state is used twice");
    }

    #[test]
    fn credentials_are_no_work_of_the_generator() {
        let credentials = || {
            fastrand::seed(7);
            ice_credentials(11).unwrap()
        };
        let (one, two) = (credentials(), credentials());
        assert_ne!(one, two);
        assert_eq!((one.ufrag.len(), one.pass.len()), (UFRAG_CHARS, PASSWORD_CHARS));
        assert!(one.pass.bytes().all(|byte| ICE_CHARS.contains(&byte)));
        assert_eq!(named_media_loop(&one.ufrag), Some(11));
    }
}
