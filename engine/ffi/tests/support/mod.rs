//! C programs: compiled against the header and the library that were just built, and run.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::{env, fs};

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// The crate's own folder.
pub(crate) fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The shared library that cargo has built for this test.
pub(crate) fn library() -> Outcome<PathBuf> {
    // In the folder of the test itself; outside it there may be an older one.
    let deps = env::current_exe()?.parent().ok_or("a test without a folder")?.to_path_buf();
    let library = deps.join("libvisavis_ffi.so");
    match library.exists() {
        true => Ok(library),
        false => Err(format!("{} is not built", library.display()).into()),
    }
}

/// Finds what is read or written where it must not be, and what is not freed, by the program or by the library.
pub(crate) const ADDRESS_SANITIZER: [&str; 2] =
    ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];

/// How a C program is compiled.
#[derive(Debug)]
pub(crate) struct Options<'a> {
    /// Arguments for the compiler beside the usual ones.
    pub arguments: &'a [&'a str],
    /// How the library is linked with it.
    pub link: Link,
}

/// How a library is linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    Shared,
    Static,
    /// The program loads it.
    Not,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { arguments: &ADDRESS_SANITIZER, link: Link::Shared }
    }
}

/// Compiles a program of `examples` or `tests`, with all warnings as errors.
pub(crate) fn compile(source: &str, options: &Options<'_>) -> Outcome<PathBuf> {
    let source = package().join(source);
    let library = library()?;
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let stem =
        source.file_stem().and_then(|stem| stem.to_str()).ok_or("a source without a name")?;
    let cpp = source.extension().is_some_and(|extension| extension == "cpp");
    // Tests run at the same time.
    let program = folder.join(format!("{stem}-{}", std::process::id()));
    let libraries = match options.link {
        Link::Shared => vec![library.clone()],
        // With what `pkg-config --static` names.
        Link::Static => {
            vec![library.with_extension("a"), "-lvpx".into(), "-lstdc++".into(), "-lm".into()]
        }
        Link::Not => Vec::new(),
    };
    let language: &[&str] = match cpp {
        true => &["-std=c++20"],
        false => &["-std=c11", "-Wstrict-prototypes"],
    };
    let output = Command::new(if cpp { "c++" } else { "cc" })
        .args(language)
        .args([
            "-D_GNU_SOURCE",
            "-O1",
            "-g",
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Werror",
            "-pthread",
        ])
        .args(options.arguments)
        .arg("-I")
        .arg(package().join("include"))
        .arg(&source)
        .args(libraries)
        .arg(format!("-Wl,-rpath,{}", library.parent().unwrap_or(&folder).display()))
        .arg("-o")
        .arg(&program)
        .output()
        .map_err(|error| format!("cc: {error}; `make setup-test` installs it"))?;
    match output.status.success() {
        true => Ok(program),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned().into()),
    }
}

/// A running C program; ended when dropped.
pub(crate) struct Program {
    pub process: Child,
    pub output: BufReader<ChildStdout>,
    path: PathBuf,
}

impl Program {
    pub(crate) fn start(path: PathBuf, arguments: &[&str]) -> Outcome<Self> {
        let mut process = Command::new(&path).args(arguments).stdout(Stdio::piped()).spawn()?;
        let output = BufReader::new(process.stdout.take().ok_or("no output")?);
        Ok(Self { process, output, path })
    }

    /// The next line that it prints.
    pub(crate) fn line(&mut self) -> Outcome<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        match line.trim_end() {
            "" => Err("the program has ended".into()),
            line => Ok(line.to_owned()),
        }
    }

    /// Waits for its end; what it printed.
    pub(crate) fn finish(mut self) -> Outcome<String> {
        let mut said = String::new();
        self.output.read_to_string(&mut said)?;
        let status = self.process.wait()?;
        match status.success() {
            true => Ok(said),
            false => Err(format!("{status}; it printed: {said}").into()),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_file(&self.path);
    }
}

/// Compiles a program and runs it to its end; what it printed.
pub(crate) fn run(source: &str, arguments: &[&str]) -> Outcome<String> {
    Program::start(compile(source, &Options::default())?, arguments)?.finish()
}
