//! Units of what is measured: moments and rates.
//!
//! Lengths of time are [`std::time::Duration`]. A stamp of the application's is a [`UnixMillis`]: milliseconds since
//! 1970, as `Date.now()` and most clocks have them.
//!
//! ```
//! use visavis::units::{Bitrate, UnixMillis};
//!
//! assert_eq!(Bitrate::from_kbps(1_500).bps(), 1_500_000);
//! assert!(UnixMillis::now() > UnixMillis(1_700_000_000_000));
//! ```

pub use visavis_types::{Bitrate, UnixMillis};
