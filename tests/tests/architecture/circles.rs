//! No two files of a crate import each other, directly or by way of others.
//!
//! The files of each library and program are read, and each path in them is followed to the file that
//! defines what it names: through `use`, through re-exports, out of macro calls. What is compiled for
//! tests or fuzzing alone does not count, and neither do `mod x;` and a re-export by itself.

use std::fmt::Write;

use super::crate_source::CrateSource;
use super::graph;
use cargo_metadata::camino::Utf8PathBuf;
use cargo_metadata::{Metadata, MetadataCommand, TargetKind};
use visavis_tests::Outcome;

/// The root files of crates whose circles are still to be cut; `ALL_CIRCLES=1` lists these too. A crate without a circle
/// must leave this list.
const STILL_CIRCULAR: [&str; 1] = ["engine/src/lib.rs"];

#[test]
fn no_files_of_a_crate_import_each_other() -> Outcome {
    // From the current folder, which Cargo sets, so that the built test can be run in any checkout.
    let metadata = MetadataCommand::new().no_deps().exec()?;
    let mut report = String::new();
    let every = std::env::var_os("ALL_CIRCLES").is_some();
    let mut stale = Vec::new();
    let mut read = 0;
    for root in root_files(&metadata) {
        let name = root.strip_prefix(&metadata.workspace_root)?.to_string();
        let source = CrateSource::read(root.as_std_path())?;
        read += source.files.len();
        let circles = graph::find(&source.imports());
        let excused = !every && STILL_CIRCULAR.contains(&name.as_str());
        if excused && circles.is_empty() {
            stale.push(name.clone());
        }
        for circle in circles.iter().filter(|_| !excused) {
            writeln!(report, "{name}: {} files import each other in a circle", circle.files)?;
            for import in &circle.imports {
                let from = source.display(import.from);
                writeln!(report, "  {from} → {} for {}", source.display(import.to), import.names)?;
            }
        }
    }
    assert!(read > 300, "only {read} files were read");
    assert!(stale.is_empty(), "no circles are left in {stale:?}: take them off the list");
    assert!(report.is_empty(), "{report}");
    Ok(())
}

/// The root file of each library and program of this workspace.
fn root_files(metadata: &Metadata) -> Vec<&Utf8PathBuf> {
    let packages = metadata.workspace_packages();
    let targets = packages.into_iter().flat_map(|package| package.targets.iter());
    let wanted = targets.filter(|target| {
        target.kind.iter().any(|kind| matches!(kind, TargetKind::Lib | TargetKind::Bin))
    });
    wanted.map(|target| &target.src_path).collect()
}
