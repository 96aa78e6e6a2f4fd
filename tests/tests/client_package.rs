//! The client library as others get it: what is in the npm package, and whether its types hold.

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use visavis_tests::{Outcome, fixtures, root, typescript};

/// What others import.
const MODULES: [&str; 2] = ["visavis-client", "visavis-element"];

fn web() -> PathBuf {
    root().join("signaling/web")
}

fn run(command: &mut Command) -> Result<String, Box<dyn Error>> {
    let name = format!("{command:?}");
    let output = command.stdin(Stdio::null()).output().map_err(|e| format!("{name}: {e}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.success() {
        true => Ok(said),
        false => Err(format!("{name}:\n{said}{}", String::from_utf8_lossy(&output.stderr)).into()),
    }
}

/// The modules that a module needs, itself included.
fn needed(module: &str, found: &mut BTreeSet<String>) -> Outcome {
    if !found.insert(module.to_owned()) {
        return Ok(());
    }
    let text = fs::read_to_string(web().join(module))?;
    let imports = text.lines().filter(|line| line.starts_with("import "));
    for line in imports {
        let path = line.split('\'').nth(1).ok_or_else(|| format!("{module}: {line}"))?;
        let path = path.strip_prefix("./").ok_or_else(|| format!("{module} depends on {path}"))?;
        needed(path, found)?;
    }
    Ok(())
}

#[test]
fn the_package_has_what_the_client_needs_and_nothing_else() -> Outcome {
    let packed = run(Command::new("npm").args(["pack", "--dry-run", "--json"]).current_dir(web()))?;
    let packed: Value = serde_json::from_str(&packed)?;
    let package = &packed[0];
    let files = package["files"].as_array().ok_or("no files")?;
    let files: BTreeSet<String> =
        files.iter().filter_map(|file| Some(file["path"].as_str()?.to_owned())).collect();
    let mut wanted = BTreeSet::new();
    for module in MODULES {
        needed(&format!("{module}.js"), &mut wanted)?;
        wanted.insert(format!("{module}.d.ts"));
    }
    wanted.extend(["package.json", "README.md"].map(str::to_owned));
    println!("{} bytes packed: {files:?}", package["size"]);
    assert_eq!(files, wanted);
    assert_eq!(package["version"], env!("CARGO_PKG_VERSION"));
    let manifest: Value = serde_json::from_str(&fs::read_to_string(web().join("package.json"))?)?;
    for kind in ["dependencies", "peerDependencies", "optionalDependencies"] {
        assert!(manifest.get(kind).is_none(), "{kind}");
    }
    Ok(())
}

#[test]
fn the_types_hold_in_a_strict_program() -> Outcome {
    let compiler = typescript()?;
    let folder = fixtures()?.join("client-consumer");
    let package = folder.join("node_modules/visavis-client");
    fs::create_dir_all(&package)?;
    for entry in fs::read_dir(web())? {
        let entry = entry?;
        fs::copy(entry.path(), package.join(entry.file_name()))?;
    }
    fs::copy(root().join("tests/tests/client/consumer.ts"), folder.join("consumer.ts"))?;
    let options = ["--strict", "--noEmit", "--exactOptionalPropertyTypes", "--noImplicitAny"];
    let target = ["--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom"];
    run(Command::new("node")
        .arg(&compiler)
        .args(options)
        .args(target)
        .arg("consumer.ts")
        .current_dir(&folder))?;
    Ok(())
}

/// Every public member of the class is declared, and nothing is declared that is not there.
#[test]
fn the_types_name_what_the_class_has() -> Outcome {
    let script = r"
        import { VisavisClient } from './visavis-client.js';
        const own = Object.getOwnPropertyNames(VisavisClient.prototype);
        const inherent = ['length', 'name', 'prototype', 'constructor'];
        const all = [...own, ...Object.getOwnPropertyNames(VisavisClient)];
        console.log(JSON.stringify(all.filter((name) => !inherent.includes(name))));
    ";
    let own =
        run(Command::new("node").args(["--input-type=module", "-e", script]).current_dir(web()))?;
    let own: BTreeSet<String> = serde_json::from_str(&own)?;
    let types = fs::read_to_string(web().join("visavis-client.d.ts"))?;
    let class = types.split("export class VisavisClient").nth(1).ok_or("no class")?;
    let declared: BTreeSet<String> = class
        .lines()
        .filter_map(|line| {
            line.strip_prefix("  ").filter(|line| !line.starts_with([' ', '*', '/', ')']))
        })
        .map(|line| line.trim_start_matches("readonly ").trim_start_matches("static "))
        .filter_map(|line| Some(line.split_once(['(', ':', '<'])?.0.to_owned()))
        .filter(|name| {
            !["constructor", "addEventListener", "removeEventListener"].contains(&&**name)
        })
        .collect();
    assert_eq!(own, declared);
    Ok(())
}

/// What it says of a connection, and whose fault that is.
#[test]
fn a_bad_connection_has_a_cause() -> Outcome {
    let tests = root().join("tests/tests/client/quality.test.mjs");
    let mut node = Command::new("node");
    let said =
        run(node.args(["--test", "--test-reporter=tap"]).arg(tests).env("VISAVIS_WEB", web()))?;
    assert!(said.contains("# pass 11"), "{said}");
    Ok(())
}
