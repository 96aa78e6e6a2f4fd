//! The allowed dependencies between the crates of this workspace, held against `cargo metadata`.
//!
//! `types ← bitstream ← {codec, core, nvenc}; types ← net; {codec, core, net, nvenc} ← engine ← {signaling, film} ←
//! {ffi, tools, bench, tests}; weather ← {bench, tests}; codec ← nvenc-driver`: an arrow points at what may be depended on,
//! directly or by way of the crates between.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};
use visavis_tests::{Outcome, root};

const ENGINE_CRATES: [&str; 4] = ["visavis-codec", "visavis-core", "visavis-net", "visavis-nvenc"];

fn metadata() -> Result<Metadata, Box<dyn std::error::Error>> {
    Ok(MetadataCommand::new().manifest_path(root().join("Cargo.toml")).exec()?)
}

/// Which workspace crates each workspace crate may depend on outside its tests.
fn allowed(package: &str) -> Option<BTreeSet<&'static str>> {
    let mut below = BTreeSet::from(["visavis-types"]);
    if matches!(package, "visavis-types" | "visavis-weather") {
        return Some(BTreeSet::new());
    }
    if matches!(package, "visavis-bitstream" | "visavis-net") {
        return Some(below);
    }
    below.insert("visavis-bitstream");
    if ENGINE_CRATES.contains(&package) {
        return Some(below);
    }
    // In place of NVIDIA's driver, for tests: it encodes by software.
    if package == "visavis-nvenc-driver" {
        below.insert("visavis-codec");
        return Some(below);
    }
    below.extend(ENGINE_CRATES);
    if package == "visavis" {
        return Some(below);
    }
    // From here on the engine is used by its facade; `visavis-codec` and `visavis-bitstream` alone have a
    // second door, for programs that read media files or RTP payloads.
    let mut above = BTreeSet::from(["visavis", "visavis-types"]);
    if package == "visavis-signaling" {
        return Some(above);
    }
    if package == "visavis-film" {
        above.extend(["visavis-bitstream", "visavis-codec"]);
        return Some(above);
    }
    above.extend(["visavis-signaling", "visavis-film"]);
    // Other languages get what applications in Rust get.
    if matches!(package, "visavis-ffi" | "visavis-node" | "visavis-python") {
        return Some(above);
    }
    above.extend(["visavis-bitstream", "visavis-codec"]);
    match package {
        "visavis-cli" => Some(above),
        "visavis-bench" => {
            above.insert("visavis-weather");
            Some(above)
        }
        "visavis-tests" => {
            above.extend(["visavis-bench", "visavis-weather"]);
            Some(above)
        }
        _ => None,
    }
}

#[test]
fn crates_depend_only_downwards() -> Outcome {
    let metadata = metadata()?;
    let members: BTreeMap<&str, _> = metadata
        .workspace_packages()
        .into_iter()
        .map(|package| (package.name.as_str(), package))
        .collect();
    assert!(members.len() >= 10, "only {} crates in the workspace", members.len());
    for (name, package) in &members {
        let allowed = allowed(name)
            .ok_or_else(|| format!("{name} has no place in the architecture: give it one here"))?;
        for dependency in &package.dependencies {
            let inner = members.contains_key(dependency.name.as_str());
            if inner && dependency.kind != DependencyKind::Development {
                assert!(
                    allowed.contains(dependency.name.as_str()),
                    "{name} must not depend on {}",
                    dependency.name
                );
            }
        }
    }
    Ok(())
}

#[test]
fn pure_crates_know_no_system_and_the_engine_no_web() -> Outcome {
    let metadata = metadata()?;
    let forbidden: [(&str, &[&str]); 5] = [
        ("visavis-types", &["mio", "socket2", "quinn-udp", "rustix", "str0m", "serde_json"]),
        ("visavis-bitstream", &["mio", "socket2", "quinn-udp", "rustix", "str0m", "serde_json"]),
        (
            "visavis-core",
            &["mio", "socket2", "quinn-udp", "rustix", "crossbeam-channel", "serde_json"],
        ),
        ("visavis-codec", &["mio", "socket2", "quinn-udp", "str0m", "serde_json"]),
        ("visavis", &["serde_json", "httparse", "http", "tungstenite", "rustls"]),
    ];
    for (name, banned) in forbidden {
        let packages = metadata.workspace_packages();
        let package = packages.iter().find(|package| package.name.as_str() == name);
        let package = package.ok_or_else(|| format!("there is no {name}"))?;
        for dependency in &package.dependencies {
            let normal = dependency.kind == DependencyKind::Normal;
            assert!(
                !(normal && banned.contains(&dependency.name.as_str())),
                "{name} must not depend on {}",
                dependency.name
            );
        }
    }
    Ok(())
}

#[test]
fn the_product_has_no_async_runtime() -> Outcome {
    let metadata = metadata()?;
    let names = product_dependencies(&metadata)?;
    assert!(names.contains("str0m"), "the walk did not reach str0m: {names:?}");
    for runtime in ["tokio", "async-std", "smol", "async-executor", "futures-executor"] {
        assert!(!names.contains(runtime), "{runtime} is in the product's dependency tree");
    }
    Ok(())
}

#[test]
fn pure_crates_forbid_unsafe() -> Outcome {
    for name in ["bitstream", "core", "types"] {
        let path = root().join("engine").join(name).join("src/lib.rs");
        let text = fs::read_to_string(&path)?;
        assert!(text.contains("#![forbid(unsafe_code)]"), "{} lacks it", path.display());
    }
    Ok(())
}

/// Names of everything that is linked into the `visavis` program, or runs while it is built.
fn product_dependencies(
    metadata: &Metadata,
) -> Result<BTreeSet<String>, Box<dyn std::error::Error>> {
    let resolve = metadata.resolve.as_ref().ok_or("no resolved dependencies")?;
    let nodes: HashMap<&PackageId, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let packages = metadata.workspace_packages();
    let product = packages.iter().find(|package| package.name.as_str() == "visavis-cli");
    let mut open = vec![&product.ok_or("there is no visavis-cli")?.id];
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        let node = nodes.get(id).ok_or("a dependency without a node")?;
        let wanted = node.deps.iter().filter(|dependency| {
            dependency.dep_kinds.iter().any(|kind| kind.kind != DependencyKind::Development)
        });
        open.extend(wanted.map(|dependency| &dependency.pkg));
    }
    let named = metadata.packages.iter().filter(|package| seen.contains(&package.id));
    Ok(named.map(|package| package.name.to_string()).collect())
}
