//! What docs/c.md, docs/integrate.md and the README show is compiled, linked with a renderer, and run.

mod support;

use std::fs;
use std::path::PathBuf;

use support::{Link, Options, Outcome, Program, compile, package};

const LOCAL: &str = r#"{"udp": "127.0.0.1:0", "listen": "127.0.0.1:0"}"#;

/// The documents, and how many programs each has in a language.
const PROGRAMS: [(&str, &str, usize); 5] = [
    ("docs/c.md", "c", 2),
    ("docs/c.md", "cpp", 1),
    ("docs/integrate.md", "c", 1),
    ("docs/integrate.md", "cpp", 1),
    ("README.md", "cpp", 1),
];

/// The programs of a language in a document.
fn programs(document: &str, language: &str) -> Outcome<Vec<String>> {
    let text = fs::read_to_string(package().join("../..").join(document))?;
    let blocks = text.split("\n```").skip(1).step_by(2);
    let blocks = blocks.filter_map(|block| block.strip_prefix(&format!("{language}\n")));
    Ok(blocks.map(str::to_owned).collect())
}

/// A function of a program: its calls and its types.
fn compile_part(source: &str) -> Outcome {
    let include = package().join("include");
    let mut compiler = std::process::Command::new("cc");
    compiler.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I"]).arg(include);
    assert!(compiler.arg(source).status()?.success(), "{source} does not compile");
    Ok(())
}

#[test]
fn programs_in_the_documentation_run() -> Outcome {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let renderer = folder.join("renderer.o");
    let source = package().join("tests/renderer.c");
    let compiled =
        std::process::Command::new("cc").arg("-c").arg(source).arg("-o").arg(&renderer).status()?;
    assert!(compiled.success());
    let renderer = renderer.to_str().ok_or("a path that is no text")?;
    let arguments = &["-fsanitize=address,undefined", renderer];
    let options = Options { arguments, link: Link::Shared };
    for (document, language, count) in PROGRAMS {
        let programs = programs(document, language)?;
        assert_eq!(programs.len(), count, "programs in {language} in {document}");
        for program in programs {
            let source = folder.join(format!("document.{language}"));
            fs::write(&source, &program)?;
            let source = source.to_str().ok_or("a path that is no text")?;
            if !program.contains(" main(") {
                compile_part(source)?;
                continue;
            }
            Program::start(compile(source, &options)?, &[LOCAL])?.finish()?;
        }
    }
    Ok(())
}
