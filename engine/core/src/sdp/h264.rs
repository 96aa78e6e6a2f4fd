//! The H264 profile and level of an answer (RFC 6184 §8.2.2).
//!
//! An answer has to keep the profile that was offered, and the level may be another one only where both sides
//! allow that; where the offer does not, it may be lower, never higher.

/// A `profile-level-id`: `profile_idc`, constraint flags and `level_idc`, a byte each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ProfileLevel(u32);

/// The profiles of what is encoded. What we encode is constrained baseline, which is also valid baseline
/// (RFC 6184 §8.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Profile {
    ConstrainedBaseline,
    Baseline,
}

impl ProfileLevel {
    /// The level of what we encode: 3.1.
    const OURS: u32 = 0x1f;

    /// What it means to say nothing (RFC 6184 §8.1): baseline, level 1.
    pub(super) const DEFAULT: Self = Self(0x42_000a);

    pub(super) fn parse(text: &str) -> Option<Self> {
        let hex = text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        hex.then(|| u32::from_str_radix(text, 16).ok().map(Self)).flatten()
    }

    /// By RFC 6184, table 5.
    pub(super) fn profile(self) -> Option<Profile> {
        let (idc, constraints) = (self.0 >> 16, self.0 >> 8 & 0xff);
        // Each as mask and value of the constraint flags.
        let is = |mask: u32, value: u32| constraints & mask == value;
        match idc {
            0x42 if is(0x4f, 0x40) => Some(Profile::ConstrainedBaseline),
            0x4d if is(0x8f, 0x80) => Some(Profile::ConstrainedBaseline),
            0x58 if is(0xcf, 0xc0) => Some(Profile::ConstrainedBaseline),
            0x42 if is(0x4f, 0x00) => Some(Profile::Baseline),
            0x58 if is(0xcf, 0x80) => Some(Profile::Baseline),
            _ => None,
        }
    }

    /// Levels by what they allow. Level 1b, which is 1.1 with a flag in these profiles, lies between 1 and
    /// 1.1 (table A-1).
    fn rank(self) -> u32 {
        const CONSTRAINT_SET3: u32 = 0x10_00;
        let (profile, level) = (self.0 >> 16, self.0 & 0xff);
        let is_1b = matches!(profile, 66 | 77 | 88) && level == 11 && self.0 & CONSTRAINT_SET3 != 0;
        level * 2 - u32::from(is_1b)
    }

    /// The parameters with which we answer this offer.
    pub(super) fn answer(self, asymmetry_allowed: bool) -> String {
        let ours = Self(self.0 & 0xff_ff00 | Self::OURS);
        let lower = Self(Self::OURS).rank() < self.rank();
        let id = if asymmetry_allowed || lower { ours } else { self };
        let asymmetry = if asymmetry_allowed { "level-asymmetry-allowed=1;" } else { "" };
        format!("{asymmetry}packetization-mode=1;profile-level-id={:06x}", id.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(id: &str, asymmetry_allowed: bool) -> String {
        ProfileLevel::parse(id).unwrap().answer(asymmetry_allowed)
    }

    #[test]
    fn the_level_is_ours_where_the_offer_allows_it() {
        for (offered, id) in [("42e01f", "42e01f"), ("42e00a", "42e01f"), ("42C033", "42c01f")] {
            let expected =
                format!("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id={id}");
            assert_eq!(answered(offered, true), expected);
        }
    }

    #[test]
    fn the_level_is_never_higher_than_offered_where_it_is_not_allowed() {
        for (offered, id) in
            [("42e01f", "42e01f"), ("42e00a", "42e00a"), ("42f00b", "42f00b"), ("42e034", "42e01f")]
        {
            let expected = format!("packetization-mode=1;profile-level-id={id}");
            assert_eq!(answered(offered, false), expected);
        }
    }

    #[test]
    fn level_1b_lies_between_its_neighbours() {
        let rank = |text: &str| ProfileLevel::parse(text).unwrap().rank();
        assert!(rank("42e00a") < rank("42f00b") && rank("42f00b") < rank("42e00b"));
        // In High the flag means something else.
        assert_eq!(rank("64100b"), rank("64000b"));
    }

    #[test]
    fn profiles_by_their_constraint_flags() {
        let profile = |text: &str| ProfileLevel::parse(text).unwrap().profile();
        for id in ["42e01f", "42c01f", "4d801f", "4D801F", "58c01f"] {
            assert_eq!(profile(id), Some(Profile::ConstrainedBaseline), "{id}");
        }
        for id in ["42001f", "42a01f", "58801f"] {
            assert_eq!(profile(id), Some(Profile::Baseline), "{id}");
        }
        for id in ["4d001f", "640c1f", "f4001f", "000000", "42ff1f"] {
            assert_eq!(profile(id), None, "{id}");
        }
        for id in ["", "42e01", "42e01f0", "zze01f", "+2e01f"] {
            assert_eq!(ProfileLevel::parse(id), None, "{id}");
        }
    }
}
