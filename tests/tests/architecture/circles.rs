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

#[test]
fn no_files_of_a_crate_import_each_other() -> Outcome {
    // From the current folder, which Cargo sets, so that the built test can be run in any checkout.
    let metadata = MetadataCommand::new().no_deps().exec()?;
    let mut report = String::new();
    let mut read = 0;
    for root in root_files(&metadata) {
        let name = root.strip_prefix(&metadata.workspace_root)?.to_string();
        let source = CrateSource::read(root.as_std_path())?;
        read += source.files.len();
        let circles = graph::find(&source.imports());
        for circle in &circles {
            writeln!(report, "{name}: {} files import each other in a circle", circle.files)?;
            for import in &circle.imports {
                let from = source.display(import.from);
                writeln!(report, "  {from} → {} for {}", source.display(import.to), import.names)?;
            }
        }
    }
    assert!(read > 300, "only {read} files were read");
    assert!(report.is_empty(), "{report}");
    Ok(())
}

/// The root file of each library and program of this workspace.
fn root_files(metadata: &Metadata) -> Vec<&Utf8PathBuf> {
    let packages = metadata.workspace_packages();
    let targets = packages.into_iter().flat_map(|package| package.targets.iter());
    let wanted = targets.filter(|target| {
        target
            .kind
            .iter()
            .any(|kind| matches!(kind, TargetKind::Lib | TargetKind::CDyLib | TargetKind::Bin))
    });
    wanted.map(|target| &target.src_path).collect()
}
