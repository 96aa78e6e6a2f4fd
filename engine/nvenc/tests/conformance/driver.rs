//! The stand-in driver: a library of its own for each test, so that none sees what another does.

use std::ffi::{CString, c_char};
use std::path::PathBuf;
use std::{env, fs};

use libloading::Library;
use tempfile::TempDir;
use visavis_nvenc::{Libraries, NvencConfig, NvencError, NvencMaker};

/// What there is no more of once everything is dropped.
const RESOURCES: [&str; 7] =
    ["sessions", "buffers", "registered", "mapped", "allocations", "contexts", "current"];

pub(crate) struct Driver {
    library: Library,
    file: PathBuf,
    _folder: TempDir,
}

impl Driver {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("libstandin.so");
        let built = env::current_exe().unwrap().with_file_name("libvisavis_nvenc_driver.so");
        fs::copy(&built, &file).unwrap_or_else(|error| panic!("{}: {error}", built.display()));
        // SAFETY: the library's initializers do nothing.
        let library = unsafe { Library::new(&file) }.unwrap();
        // Nothing is unloaded while threads of a failed test may still be in it.
        Self { library, file, _folder: folder }
    }

    pub(crate) fn libraries(&self) -> Libraries {
        Libraries::new(&self.file, &self.file)
    }

    pub(crate) fn config(&self) -> NvencConfig {
        NvencConfig::default().libraries(self.libraries())
    }

    pub(crate) fn maker(&self) -> Result<NvencMaker, NvencError> {
        NvencMaker::open(self.config())
    }

    pub(crate) fn set(&self, key: &str, value: i64) {
        let key = CString::new(key).unwrap();
        // SAFETY: the function is so declared there.
        unsafe {
            let set = self.library.get::<unsafe extern "C" fn(*const c_char, i64)>(b"standin_set");
            set.unwrap()(key.as_ptr(), value);
        }
    }

    pub(crate) fn get(&self, key: &str) -> i64 {
        let key = CString::new(key).unwrap();
        // SAFETY: as above.
        unsafe {
            let get =
                self.library.get::<unsafe extern "C" fn(*const c_char) -> i64>(b"standin_get");
            get.unwrap()(key.as_ptr())
        }
    }

    /// The calls of a function after the next `skip` fail, so many times.
    pub(crate) fn fail(&self, function: &str, skip: u32, times: u32, status: u32) {
        type Fail = unsafe extern "C" fn(*const c_char, u32, u32, u32);
        let function = CString::new(function).unwrap();
        // SAFETY: as above.
        unsafe {
            let fail = self.library.get::<Fail>(b"standin_fail").unwrap();
            fail(function.as_ptr(), skip, times, status);
        }
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        type Violations = unsafe extern "C" fn(*mut u8, usize) -> usize;
        let mut text = vec![0_u8; 64 * 1024];
        // SAFETY: as above; there is room for as much as is said.
        let count = unsafe {
            let function = self.library.get::<Violations>(b"standin_violations").unwrap();
            function(text.as_mut_ptr(), text.len())
        };
        let end = text.iter().position(|&byte| byte == 0).unwrap();
        let text = String::from_utf8_lossy(&text[..end]).into_owned();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        assert_eq!(lines.is_empty(), count == 0);
        lines
    }

    /// Nothing was amiss, and nothing is left.
    pub(crate) fn assert_clean(&self) {
        let violations = self.violations();
        assert!(violations.is_empty(), "{violations:#?}");
        for resource in RESOURCES {
            assert_eq!(self.get(resource), 0, "{resource} are left");
        }
    }
}
