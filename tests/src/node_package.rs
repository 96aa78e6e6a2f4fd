//! The npm package of the engine, put together as others install it.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::turn::{root, target};

/// The package's JavaScript.
const SOURCES: [&str; 6] =
    ["package.json", "LICENSE", "README.md", "index.js", "index.d.ts", "lib"];

/// A folder in whose programs `import 'visavis'` finds the package, with the library that Cargo has built beside this
/// test.
///
/// # Errors
///
/// Where the library is not built, or a file cannot be copied.
pub fn node_package() -> Result<PathBuf, Box<dyn Error>> {
    static MADE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    Ok(MADE.get_or_init(|| make().map_err(|error| error.to_string())).clone()?)
}

fn make() -> Result<PathBuf, Box<dyn Error>> {
    let folder = target().join("test-node");
    let package = folder.join("node_modules/visavis");
    if package.exists() {
        fs::remove_dir_all(&package)?;
    }
    fs::create_dir_all(&package)?;
    for name in SOURCES {
        copy(&root().join("tools/node").join(name), &package.join(name))?;
    }
    let built = env::current_exe()?.parent().and_then(Path::parent).map(Path::to_path_buf);
    let library = built.ok_or("no folder of programs")?.join("libvisavis_node.so");
    let missing = |error| format!("{}: {error}; cargo build --workspace --lib", library.display());
    fs::copy(&library, package.join("visavis.node")).map_err(missing)?;
    Ok(folder)
}

fn copy(from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    if !from.is_dir() {
        fs::copy(from, to)?;
        return Ok(());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}
