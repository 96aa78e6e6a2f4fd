use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

use libloading::Library;

use crate::error::NvencError;

/// Which files of the driver are opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Libraries {
    cuda: PathBuf,
    encode: PathBuf,
}

impl Libraries {
    /// These files: names, which are looked for where the system keeps libraries, or paths.
    pub fn new(cuda: impl Into<PathBuf>, encode: impl Into<PathBuf>) -> Self {
        Self { cuda: cuda.into(), encode: encode.into() }
    }

    /// `libcuda.so.1` and `libnvidia-encode.so.1`; or what the environment variables `NVENC_CUDA_LIBRARY` and
    /// `NVENC_ENCODE_LIBRARY` name, for drivers in unusual places and for tests.
    pub fn from_environment() -> Self {
        let file = |variable, or: &str| {
            env::var_os(variable).filter(|name| !name.is_empty()).unwrap_or(OsString::from(or))
        };
        Self::new(
            file("NVENC_CUDA_LIBRARY", "libcuda.so.1"),
            file("NVENC_ENCODE_LIBRARY", "libnvidia-encode.so.1"),
        )
    }

    /// The one with the functions of CUDA.
    pub(crate) fn cuda(&self) -> Result<OpenLibrary, NvencError> {
        OpenLibrary::open(&self.cuda)
    }

    /// The one with those of NVENC.
    pub(crate) fn encode(&self) -> Result<OpenLibrary, NvencError> {
        OpenLibrary::open(&self.encode)
    }
}

impl Default for Libraries {
    fn default() -> Self {
        Self::from_environment()
    }
}

/// A library that stays open until the process ends: the driver has threads of its own, which run its code.
#[derive(Debug)]
pub(crate) struct OpenLibrary {
    library: ManuallyDrop<Library>,
    name: String,
}

impl OpenLibrary {
    fn open(file: &Path) -> Result<Self, NvencError> {
        let name = file.display().to_string();
        // SAFETY: opening a library runs its initializers. That of the NVIDIA driver is made to be opened so by any
        // program and any thread; another file is named only by whoever runs this program.
        let opened = unsafe { Library::new(file) };
        match opened {
            Ok(library) => Ok(Self { library: ManuallyDrop::new(library), name }),
            Err(error) => {
                // What the loader said is the error's source.
                let detail = error.source().map_or(error.to_string(), ToString::to_string);
                Err(NvencError::MissingLibrary { library: name, detail })
            }
        }
    }

    /// A function of it.
    ///
    /// # Safety
    ///
    /// The function of this name has the type `F`.
    pub(crate) unsafe fn function<F: Copy>(&self, name: &'static str) -> Result<F, NvencError> {
        // SAFETY: the caller says that the function is of this type, and it stays where it is, as the library does.
        let symbol = unsafe { self.library.get::<F>(name.as_bytes()) };
        let missing = |_| NvencError::BrokenLibrary { library: self.name.clone(), function: name };
        symbol.map(|symbol| *symbol).map_err(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_not_there_is_named() {
        let libraries = Libraries::new("/nowhere/libcuda.so.1", "libnvidia-encode-nowhere.so.1");
        let Err(NvencError::MissingLibrary { library, detail }) = libraries.cuda() else {
            panic!("it was opened");
        };
        assert_eq!(library, "/nowhere/libcuda.so.1");
        assert!(detail.contains("No such file"), "{detail}");
    }

    #[test]
    fn a_library_that_lacks_a_function_is_named() {
        let libc = OpenLibrary::open(Path::new("libc.so.6")).unwrap();
        // SAFETY: it is not called, whatever it is.
        let found = unsafe { libc.function::<extern "C" fn()>("cuInit") };
        let expected =
            NvencError::BrokenLibrary { library: "libc.so.6".to_owned(), function: "cuInit" };
        assert_eq!(found.unwrap_err(), expected);
    }
}
