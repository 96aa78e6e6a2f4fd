//! What each library crate would be published with.

use std::fs;
use std::process::Command;

use cargo_metadata::{Metadata, MetadataCommand, Package, TargetKind};
use visavis_tests::{Outcome, root};

/// What crates.io takes of each.
const MAX_KEYWORDS: usize = 5;

/// The library crates that applications can depend on, one by way of another.
const LIBRARIES: [&str; 10] = [
    "visavis",
    "visavis-types",
    "visavis-bitstream",
    "visavis-codec",
    "visavis-core",
    "visavis-net",
    "visavis-nvenc",
    "visavis-signaling",
    "visavis-ffi",
    "visavis-film",
];

fn metadata() -> Result<Metadata, Box<dyn std::error::Error>> {
    Ok(MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec()?)
}

fn package<'a>(metadata: &'a Metadata, name: &str) -> Result<&'a Package, String> {
    let mut packages = metadata.packages.iter();
    packages.find(|package| package.name.as_str() == name).ok_or(format!("there is no {name}"))
}

#[test]
fn every_library_crate_is_on_the_list() -> Outcome {
    let metadata = metadata()?;
    // Programs, and what only they use.
    let others = [
        "visavis-bench",
        "visavis-cli",
        "visavis-nvenc-driver",
        "visavis-tests",
        "visavis-weather",
    ];
    for package in &metadata.packages {
        let library = package.targets.iter().any(|target| target.kind.contains(&TargetKind::Lib));
        let name = package.name.as_str();
        assert!(!library || LIBRARIES.contains(&name) || others.contains(&name), "{name} is not");
    }
    Ok(())
}

#[test]
fn library_crates_say_what_they_are() -> Outcome {
    let metadata = metadata()?;
    let mut descriptions = Vec::new();
    for name in LIBRARIES {
        let package = package(&metadata, name)?;
        let description = package.description.as_deref().ok_or(format!("{name}: description"))?;
        assert!(!descriptions.contains(&description), "{name} is described as another crate is");
        descriptions.push(description);
        assert_eq!(package.license.as_deref(), Some("MIT"), "{name}");
        assert!(package.rust_version.is_some(), "{name} names no Rust version");
        let keywords = &package.keywords;
        assert!(!keywords.is_empty() && keywords.len() <= MAX_KEYWORDS, "{name}: {keywords:?}");
        assert!(keywords.iter().all(|keyword| keyword.len() <= 20), "{name}: {keywords:?}");
        assert!(!package.categories.is_empty(), "{name} is in no category");
        assert!(package.readme.is_some(), "{name} has no README");
        for dependency in package.dependencies.iter().filter(|other| other.path.is_some()) {
            let version = &package.version;
            assert!(
                dependency.req.matches(version) && dependency.req.to_string() != "*",
                "{name} wants {} {}, and {version} is here",
                dependency.name,
                dependency.req
            );
        }
    }
    Ok(())
}

#[test]
fn packages_hold_what_they_need_and_nothing_else() -> Outcome {
    let metadata = metadata()?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    for name in LIBRARIES {
        let listed = Command::new(&cargo)
            .args(["package", "--list", "--allow-dirty", "--offline", "--package", name])
            .current_dir(root())
            .output()?;
        assert!(listed.status.success(), "{name}: {}", String::from_utf8_lossy(&listed.stderr));
        let listed = String::from_utf8(listed.stdout)?;
        let files: Vec<&str> = listed.lines().collect();
        for needed in ["Cargo.toml", "LICENSE", "README.md", "src/lib.rs"] {
            assert!(files.contains(&needed), "{name} is packed without {needed}");
        }
        let folder = package(&metadata, name)?.manifest_path.with_file_name("");
        for file in files {
            assert!(is_wanted(file), "{name} is packed with {file}");
            if !file.starts_with("src/") || !file.ends_with(".rs") || file.contains("tests") {
                continue;
            }
            let text = fs::read_to_string(folder.join(file))?;
            let in_product = text.split("#[cfg(test)]").next().unwrap_or_default();
            let outside = format!("!(\"{}", "../".repeat(file.matches('/').count() + 1));
            for call in ["include_str", "include_bytes"] {
                let includes = in_product.contains(&format!("{call}{outside}"));
                assert!(!includes, "{name}: {file} includes what is not packed");
            }
        }
    }
    Ok(())
}

/// Whether a file belongs into a package: sources, what they include, and what Cargo adds.
fn is_wanted(file: &str) -> bool {
    let (folder, name) = file.split_once('/').unwrap_or(("", file));
    let junk = ["node_modules", "target", "corpus", "artifacts"];
    let hidden = file.split('/').any(|part| part.starts_with('.') || junk.contains(&part));
    match folder {
        "" => {
            [
                ".cargo_vcs_info.json",
                "build.rs",
                "cbindgen.toml",
                "openapi.json",
                "LICENSE",
                "README.md",
            ]
            .contains(&name)
                || name.starts_with("Cargo.")
        }
        "src" | "abi" | "cmake" | "include" | "tests" | "benches" | "examples" | "web" => !hidden,
        _ => false,
    }
}
