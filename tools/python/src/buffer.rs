//! Memory that other libraries own: Python's buffer protocol (PEP 3118).
//!
//! The stable ABI has it from CPython 3.11 on, and so has PyO3. In 3.10 the same two functions are there, with the same
//! structure: its layout had not changed since 3.3 when 3.11 froze it.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::{ptr, slice};

use pyo3::ffi;
use pyo3::prelude::*;

use crate::errors::{Kind, is_type_error};

/// `PyBUF_FULL_RO`: whatever there is, read only, with its format and strides.
const FULL_RO: c_int = 0x0100 | 0x0018 | 0x0004;

/// `Py_buffer`.
#[repr(C)]
struct View {
    buf: *mut c_void,
    obj: *mut ffi::PyObject,
    len: isize,
    itemsize: isize,
    readonly: c_int,
    ndim: c_int,
    format: *mut c_char,
    shape: *mut isize,
    strides: *mut isize,
    suboffsets: *mut isize,
    internal: *mut c_void,
}

unsafe extern "C" {
    fn PyObject_GetBuffer(object: *mut ffi::PyObject, view: *mut View, flags: c_int) -> c_int;
    fn PyBuffer_Release(view: *mut View);
}

/// An object's memory, which stays where it is until this is dropped.
pub(crate) struct Buffer<'py> {
    /// In a place of its own, since `shape` may point into it.
    view: Box<View>,
    /// It is given back with the GIL held.
    attached: PhantomData<Python<'py>>,
}

impl<'py> Buffer<'py> {
    /// The memory of `object`; `None` where it has none to show.
    ///
    /// # Errors
    ///
    /// Memory that it has and does not give out.
    pub(crate) fn of(object: &Bound<'py, PyAny>) -> PyResult<Option<Self>> {
        let py = object.py();
        let mut view = Box::new(View {
            buf: ptr::null_mut(),
            obj: ptr::null_mut(),
            len: 0,
            itemsize: 0,
            readonly: 0,
            ndim: 0,
            format: ptr::null_mut(),
            shape: ptr::null_mut(),
            strides: ptr::null_mut(),
            suboffsets: ptr::null_mut(),
            internal: ptr::null_mut(),
        });
        // SAFETY: the GIL is held, and the view outlives the call and stays in its box.
        let failed = unsafe { PyObject_GetBuffer(object.as_ptr(), &raw mut *view, FULL_RO) } != 0;
        if failed {
            let error = PyErr::fetch(py);
            if is_type_error(py, &error) {
                return Ok(None);
            }
            let refused =
                Kind::InvalidType.because(py, format!("its memory is not given out: {error}"));
            refused.set_cause(py, Some(error));
            return Err(refused);
        }
        Ok(Some(Self { view, attached: PhantomData }))
    }

    /// What the items are, in letters of the module `struct`, without a sign for native or little-endian order.
    pub(crate) fn format(&self) -> &str {
        if self.view.format.is_null() {
            return "B";
        }
        // SAFETY: not null, and a C string for as long as the buffer is held.
        let format = unsafe { CStr::from_ptr(self.view.format) }.to_str().unwrap_or("?");
        let native = if cfg!(target_endian = "little") { '<' } else { '>' };
        format.strip_prefix(['@', '=', '|', native]).unwrap_or(format)
    }

    /// How many items there are in each dimension.
    pub(crate) fn shape(&self) -> &[usize] {
        // SAFETY: `PyBUF_FULL_RO` asks for a shape of `ndim` numbers, none of them negative.
        unsafe { numbers(self.view.shape.cast(), self.view.ndim) }
    }

    /// Whether the items lie one behind the other, the last dimension's closest together.
    pub(crate) fn is_contiguous(&self) -> bool {
        if self.view.len == 0 || self.view.strides.is_null() {
            return true;
        }
        // SAFETY: as with the shape; strides may be negative, and are then no expected ones.
        let strides: &[isize] = unsafe { numbers(self.view.strides, self.view.ndim) };
        let mut expected = self.view.itemsize;
        for (&items, &stride) in self.shape().iter().zip(strides).rev() {
            if items != 1 && stride != expected {
                return false;
            }
            expected = expected.saturating_mul(items as isize);
        }
        self.view.suboffsets.is_null()
    }

    /// The memory, where it [is contiguous](Self::is_contiguous).
    ///
    /// Whoever writes there meanwhile gets a torn picture or a click: what is read is copied, byte by byte, before anybody
    /// looks at what it says.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        if !self.is_contiguous() {
            return None;
        }
        let len = usize::try_from(self.view.len).ok()?;
        if len == 0 {
            return Some(&[]);
        }
        // SAFETY: contiguous memory of `len` bytes, which the exporter neither moves nor frees before it is released.
        Some(unsafe { slice::from_raw_parts(self.view.buf.cast(), len) })
    }
}

/// What people call the items of a format.
pub(crate) fn name_of_items(format: &str) -> &str {
    match format {
        "B" => "uint8",
        "b" => "int8",
        "?" => "bool",
        "H" => "uint16",
        "h" => "int16",
        "I" => "uint32",
        "i" => "int32",
        "L" | "Q" => "uint64",
        "l" | "q" => "int64",
        "e" => "float16",
        "f" => "float32",
        "d" => "float64",
        other => other,
    }
}

/// So many numbers.
///
/// # Safety
///
/// Where `at` is not null there are `count` of them, for as long as the result is used.
unsafe fn numbers<'a, T>(at: *const T, count: c_int) -> &'a [T] {
    match usize::try_from(count) {
        // SAFETY: as promised by the caller.
        Ok(count) if !at.is_null() => unsafe { slice::from_raw_parts(at, count) },
        _ => &[],
    }
}

impl Drop for Buffer<'_> {
    fn drop(&mut self) {
        // SAFETY: filled in by `PyObject_GetBuffer`, and the GIL is held: `'py` says so.
        unsafe { PyBuffer_Release(&raw mut *self.view) };
    }
}
