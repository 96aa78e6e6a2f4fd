//! The addresses that are announced to viewers.
//!
//! Without a word of the application's they are all addresses of this machine, followed while they come and go. A host
//! behind 1:1 NAT, or with mapped ports as in a container or on a rented GPU, is known to others by another one, which
//! is named in [`EngineConfig::announce`](crate::EngineConfig::announce).
//!
//! ```
//! use visavis::EngineConfig;
//! use visavis::address::AnnouncedAddress;
//!
//! let mapped: AnnouncedAddress = "203.0.113.7:20638".parse()?;
//! let config = EngineConfig::default().announce([mapped]);
//! assert_eq!(config.announce, [mapped]);
//! # Ok::<(), visavis::address::InvalidAnnouncedAddress>(())
//! ```

pub use crate::media::addresses::{AnnouncedAddress, InvalidAnnouncedAddress};
