//! How much of a description is read.

/// The longest offer that is read. A browser's is 6 to 12 KiB.
pub const MAX_BYTES: usize = 32 << 10;

/// The longest line; a browser's have 200 bytes.
pub(super) const MAX_LINE_BYTES: usize = 4 << 10;

/// Lines before the first section. They apply to each section, and are looked for in each: as their number is up to
/// the sender, so is the time that takes. A browser has a dozen.
pub(super) const MAX_SESSION_LINES: usize = 256;

/// Sections of an offer, those that are disabled counted in.
pub const MAX_SECTIONS: usize = 16;

/// Formats of one section: there are no more payload types (RFC 3550 §5.1).
pub(super) const MAX_FORMATS: usize = 128;

/// Candidates of an offer that are looked at; there are fewer that are used.
pub(super) const MAX_CANDIDATES: usize = 64;
