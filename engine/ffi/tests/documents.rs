//! What docs/c.md shows is compiled, linked with a renderer, and run.

mod support;

use std::fs;
use std::path::PathBuf;

use support::{Options, Outcome, Program, compile, package};

const LOCAL: &str = r#"{"udp": "127.0.0.1:0", "listen": "127.0.0.1:0"}"#;

/// The programs of a language in docs/c.md.
fn programs(language: &str) -> Outcome<Vec<String>> {
    let text = fs::read_to_string(package().join("../../docs/c.md"))?;
    let blocks = text.split("\n```").skip(1).step_by(2);
    let blocks = blocks.filter_map(|block| block.strip_prefix(&format!("{language}\n")));
    Ok(blocks.map(str::to_owned).collect())
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
    let options = Options { arguments: &["-fsanitize=address,undefined", renderer], link: true };
    for (language, extension) in [("c", "c"), ("cpp", "cpp")] {
        let programs = programs(language)?;
        assert_eq!(programs.len(), 1, "programs in {language}");
        for program in programs {
            let source = folder.join(format!("document.{extension}"));
            fs::write(&source, program)?;
            let source = source.to_str().ok_or("a path that is no text")?;
            Program::start(compile(source, &options)?, &[LOCAL])?.finish()?;
        }
    }
    Ok(())
}
