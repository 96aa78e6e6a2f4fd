//! TypeScript's compiler, and Node's types.

use std::error::Error;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::turn::fixtures;

/// Pinned, so that a newer compiler's opinions fail no build.
const PACKAGES: [&str; 2] = ["typescript@5.9.3", "@types/node@18.19.130"];

/// TypeScript's compiler, installed once. Node's types are in the `@types` beside its package.
///
/// # Errors
///
/// When npm cannot install it.
pub fn typescript() -> Result<PathBuf, Box<dyn Error>> {
    let folder = fixtures()?.join("typescript-5.9.3-node-18.19.130");
    let compiler = folder.join("node_modules/typescript/lib/tsc.js");
    if !compiler.is_file() || !folder.join("node_modules/@types/node").is_dir() {
        std::fs::create_dir_all(&folder)?;
        let quiet =
            ["install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"];
        let mut command = Command::new("npm");
        command.args(quiet).arg(&folder).args(PACKAGES).stdin(Stdio::null());
        let output = command.output().map_err(|error| format!("npm: {error}; tools/setup test"))?;
        if !output.status.success() {
            return Err(format!("npm: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
    }
    Ok(compiler)
}
