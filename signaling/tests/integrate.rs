//! The program in Rust that docs/integrate.md shows is an example here, and runs.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::Path;
use std::process::Command;

#[test]
fn the_program_of_the_guide_is_the_example_and_runs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let guide = std::fs::read_to_string(root.join("docs/integrate.md")).unwrap();
    let example = std::fs::read_to_string(root.join("signaling/examples/renderer.rs")).unwrap();
    let shown = guide.split_once("```rust\n").and_then(|(_, rest)| rest.split_once("```"));
    // What it says about itself, and to clippy, is not shown.
    let (_, program) = example.split_once("\n\n").unwrap();
    assert_eq!(shown.unwrap().0, program);

    if std::env::var_os("VISAVIS_BIN").is_none() {
        // All of the workspace: other features would mean another build.
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--workspace", "--examples", "--offline", "--quiet"]);
        assert!(build.status().unwrap().success());
    }
    let test = std::env::current_exe().unwrap();
    let built = test.parent().and_then(Path::parent).unwrap().join("examples/renderer");
    let output = Command::new(built).arg("127.0.0.1:0").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.starts_with("open http://") && said.ends_with("1s were said\n"), "{said}");
}
