//! Writes `visavis.h`, and compares it with what is checked in.
//!
//! `visavis-header [--bless] CRATE`: CRATE is engine/ffi, with its `cbindgen.toml`.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

use cbindgen::{Builder, Config};

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("visavis-header: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool, Box<dyn Error>> {
    let mut arguments: Vec<String> = env::args().skip(1).collect();
    let bless = arguments.first().is_some_and(|first| first == "--bless");
    arguments.drain(..usize::from(bless));
    let [folder] = &arguments[..] else {
        return Err("invalid arguments; expected [--bless] CRATE".into());
    };
    let folder = Path::new(folder);
    let config = Config::from_file(folder.join("cbindgen.toml"))?;
    // It follows the modules by itself. Cargo is not asked, and nothing is compiled.
    let builder = Builder::new().with_config(config).with_src(folder.join("src/lib.rs"));
    let mut made = Vec::new();
    builder.generate()?.write(&mut made);
    let path = folder.join("include/visavis.h");
    if bless {
        fs::write(&path, made)?;
        println!("{}: written", path.display());
        return Ok(true);
    }
    let good = fs::read(&path)? == made;
    match good {
        true => println!("{}: as the source has it", path.display()),
        false => eprintln!(
            "{} is not what the source has. Where that is meant, write it with `make header BLESS=1`.",
            path.display()
        ),
    }
    Ok(good)
}
