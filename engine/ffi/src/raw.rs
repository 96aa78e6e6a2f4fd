//! Structs, texts and bytes of the caller.

use std::ffi::{CStr, CString, c_char};
use std::slice;

use crate::status::{Error, Result, visavis_status::*};

/// A struct that C and this library share, and that may grow at its end.
///
/// # Safety
///
/// It is `repr(C)`, begins with its size as a `usize`, and consists of numbers and pointers only: it is valid whatever
/// its bytes are.
pub(crate) unsafe trait Versioned: Copy {
    /// For errors.
    const NAME: &'static str;

    /// Its length when it was first published.
    const FIRST_SIZE: usize = size_of::<Self>();

    /// With its defaults, and its own size.
    fn initial() -> Self;
}

/// Writes the defaults into a struct that is `size` bytes long at the caller's.
///
/// # Safety
///
/// `out` is NULL or good for writing `size` bytes.
pub(crate) unsafe fn init<T: Versioned>(out: *mut T, size: usize) -> Result<()> {
    check_size::<T>(out, size)?;
    let value = T::initial();
    // SAFETY: as the caller promises; not more than `size` bytes, and not more than there are in `value`.
    unsafe {
        out.cast::<u8>().write_bytes(0, size);
        let bytes = (&raw const value).cast::<u8>();
        out.cast::<u8>().copy_from_nonoverlapping(bytes, size.min(size_of::<T>()));
        // Its first field, which may be unaligned in a caller's packed struct.
        out.cast::<usize>().write_unaligned(size);
    }
    Ok(())
}

/// Reads a struct of the caller, who may know more or fewer fields of it.
///
/// # Safety
///
/// `from` is NULL, or good for reading as many bytes as its first field says.
pub(crate) unsafe fn read<T: Versioned>(from: *const T) -> Result<T> {
    if from.is_null() {
        return Err(null(T::NAME));
    }
    // SAFETY: as the caller promises.
    let size = unsafe { from.cast::<usize>().read_unaligned() };
    check_size::<T>(from, size)?;
    let mut value = T::initial();
    let own = size_of::<T>();
    // SAFETY: as the caller promises, `size` bytes can be read; whatever they are, they are a `T` (`Versioned`).
    let more = unsafe {
        let bytes = (&raw mut value).cast::<u8>();
        bytes.copy_from_nonoverlapping(from.cast(), size.min(own));
        slice::from_raw_parts(from.cast::<u8>().add(size.min(own)), size.saturating_sub(own))
    };
    if more.iter().any(|&byte| byte != 0) {
        let text = format!(
            "{} has fields set that this version of visavis does not know; it is of {own} bytes here",
            T::NAME
        );
        return Err(Error::new(VISAVIS_UNSUPPORTED, text));
    }
    Ok(value)
}

/// [`read`]s a struct of the caller; the defaults where it is NULL.
///
/// # Safety
///
/// As [`read`].
pub(crate) unsafe fn read_or_initial<T: Versioned>(from: *const T) -> Result<T> {
    match from.is_null() {
        true => Ok(T::initial()),
        // SAFETY: as the caller promises.
        false => unsafe { read(from) },
    }
}

/// Whether a struct of the caller can be [written](write).
///
/// # Safety
///
/// `out` is NULL, or good for reading its first field.
pub(crate) unsafe fn check<T: Versioned>(out: *const T) -> Result<()> {
    if out.is_null() {
        return Err(null(T::NAME));
    }
    // SAFETY: as the caller promises.
    check_size::<T>(out, unsafe { out.cast::<usize>().read_unaligned() })
}

/// Writes a struct of the caller, whose first field says how long it is there.
///
/// # Safety
///
/// `out` is NULL, or good for reading and writing as many bytes as its first field says.
pub(crate) unsafe fn write<T: Versioned>(out: *mut T, value: T) -> Result<()> {
    if out.is_null() {
        return Err(null(T::NAME));
    }
    // SAFETY: as the caller promises.
    let size = unsafe { out.cast::<usize>().read_unaligned() };
    check_size::<T>(out, size)?;
    // SAFETY: as the caller promises; not more than `size` bytes, and not more than there are in `value`.
    unsafe {
        out.cast::<u8>().write_bytes(0, size);
        let bytes = (&raw const value).cast::<u8>();
        out.cast::<u8>().copy_from_nonoverlapping(bytes, size.min(size_of::<T>()));
        out.cast::<usize>().write_unaligned(size);
    }
    Ok(())
}

/// No struct is ever so large: what says so was not initialised.
const MAX_SIZE: usize = 4_096;

fn check_size<T: Versioned>(pointer: *const T, size: usize) -> Result<()> {
    if pointer.is_null() {
        return Err(null(T::NAME));
    }
    if (T::FIRST_SIZE..=MAX_SIZE).contains(&size) {
        return Ok(());
    }
    Err(Error::argument(format_args!(
        "invalid struct_size {size} of {}; expected {}: call {0}_init first, with sizeof",
        T::NAME,
        size_of::<T>(),
    )))
}

/// The sentence about a pointer that must not be NULL.
pub(crate) fn null(name: &str) -> Error {
    Error::argument(format_args!("{name} is NULL"))
}

/// A text of the caller; `None` where it is NULL.
///
/// # Safety
///
/// `text` is NULL, or ends with a NUL, and lives as long as is borrowed.
pub(crate) unsafe fn optional_text<'a>(name: &str, text: *const c_char) -> Result<Option<&'a str>> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: as the caller promises.
    let text = unsafe { CStr::from_ptr(text) }.to_str();
    text.map(Some).map_err(|_| Error::argument(format_args!("{name} is no UTF-8")))
}

/// A text of the caller that must be there.
///
/// # Safety
///
/// As [`optional_text`].
pub(crate) unsafe fn text<'a>(name: &str, text: *const c_char) -> Result<&'a str> {
    // SAFETY: as the caller promises.
    unsafe { optional_text(name, text) }?.ok_or_else(|| null(name))
}

/// Bytes of the caller.
///
/// # Safety
///
/// `data` is NULL, or good for reading `len` bytes, and lives as long as is borrowed.
pub(crate) unsafe fn bytes<'a>(name: &str, data: *const u8, len: usize) -> Result<&'a [u8]> {
    match (data.is_null(), len) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(null(name)),
        _ if len > isize::MAX as usize => Err(Error::argument(format_args!(
            "{name} is of {len} bytes, more than there is memory"
        ))),
        // SAFETY: as the caller promises.
        _ => Ok(unsafe { slice::from_raw_parts(data, len) }),
    }
}

/// Writes a result of the caller's; nothing where it is NULL.
///
/// # Safety
///
/// `out` is NULL, or good for writing.
pub(crate) unsafe fn put<T>(out: *mut T, value: T) {
    if !out.is_null() {
        // SAFETY: as the caller promises.
        unsafe { out.write_unaligned(value) };
    }
}

/// A text for the caller, to be given to visavis_string_free().
///
/// # Safety
///
/// `out` is good for writing.
pub(crate) unsafe fn put_text(out: *mut *mut c_char, text: String) -> Result<()> {
    let text = CString::new(text)
        .map_err(|_| Error::new(VISAVIS_UNSUPPORTED, "the text has a NUL inside"))?;
    // SAFETY: as the caller promises.
    unsafe { put(out, text.into_raw()) };
    Ok(())
}

/// Frees a text that a function of this library has returned in a `char **`. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_string_free(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: it comes from `put_text`, as the caller promises.
        drop(unsafe { CString::from_raw(text) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    #[derive(Debug, Clone, Copy, PartialEq)]
    struct Grown {
        struct_size: usize,
        old: u32,
        old_too: u32,
        new: u64,
    }

    // SAFETY: it is as the trait asks for.
    unsafe impl Versioned for Grown {
        const NAME: &'static str = "grown";
        const FIRST_SIZE: usize = 16;

        fn initial() -> Self {
            Self { struct_size: size_of::<Self>(), old: 1, old_too: 2, new: 3 }
        }
    }

    fn bytes_of(grown: &Grown) -> [u8; 24] {
        // SAFETY: it has no padding.
        unsafe { std::mem::transmute(*grown) }
    }

    #[test]
    fn a_caller_with_an_older_header_is_written_what_it_knows_and_no_more() {
        let mut memory = [[0xaa_u8; 8]; 3];
        let out = memory.as_mut_ptr().cast::<Grown>();
        // SAFETY: there are 24 bytes.
        unsafe { init(out, 16) }.unwrap();
        assert_eq!(memory.concat()[..16], [16, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0]);
        assert_eq!(memory[2], [0xaa; 8]);
        memory[2] = [0xff; 8];
        // SAFETY: 16 bytes can be read.
        let read = unsafe { read(memory.as_ptr().cast::<Grown>()) }.unwrap();
        assert_eq!((read.old, read.new), (1, 3), "what it does not know has its default");
        let all = Grown { struct_size: 0, old: 7, old_too: 8, new: 9 };
        // SAFETY: 16 bytes can be written.
        unsafe { write(memory.as_mut_ptr().cast::<Grown>(), all) }.unwrap();
        assert_eq!((memory[0][0], memory[1][0], memory[2]), (16, 7, [0xff; 8]));
    }

    #[test]
    fn a_caller_with_a_newer_header_may_not_set_what_is_new() {
        let mut memory = [0_u8; 32];
        memory[..24].copy_from_slice(&bytes_of(&Grown::initial()));
        memory[0] = 32;
        // SAFETY: there are 32 bytes.
        let known = unsafe { read(memory.as_ptr().cast::<Grown>()) }.unwrap();
        assert_eq!(known.new, 3);
        memory[31] = 1;
        // SAFETY: there are 32 bytes.
        let refused = unsafe { read(memory.as_ptr().cast::<Grown>()) }.unwrap_err();
        assert_eq!(refused.status, VISAVIS_UNSUPPORTED);
    }

    #[test]
    fn sizes_that_cannot_be_are_refused() {
        let mut grown = Grown::initial();
        for size in [0, 8, 15, 4_097, usize::MAX] {
            grown.struct_size = size;
            // SAFETY: only the size is looked at.
            let refused = unsafe { read(&raw const grown) }.unwrap_err();
            assert_eq!(refused.status, VISAVIS_INVALID_ARGUMENT, "{size}");
        }
        // SAFETY: a null pointer is allowed.
        assert_eq!(unsafe { read::<Grown>(std::ptr::null()) }.unwrap_err().text, "grown is NULL");
    }
}
