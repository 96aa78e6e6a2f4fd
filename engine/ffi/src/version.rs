//! Which version this is.

use std::ffi::c_char;

/// The version of the ABI that a program is compiled for: its major number in the upper 16 bits, its minor number in the
/// lower. Compare it with visavis_abi_version(): the major numbers must be equal, and the library's minor number must not
/// be less. A new minor version adds functions, fields and numbers; whatever there was before stays.
pub const VISAVIS_ABI_VERSION: u32 = 0x0001_0000;

/// The version of the ABI that the library has; see VISAVIS_ABI_VERSION. Never fails. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn visavis_abi_version() -> u32 {
    VISAVIS_ABI_VERSION
}

/// The version of the library, such as "0.1.0". Static text, not to be freed. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn visavis_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}
