//! What the documents name is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use visavis_tests::{Outcome, root};

/// What a path begins with, in a document, to be one of this project.
const FOLDERS: [&str; 9] =
    [".ci", "bench", "docs", "engine", "fixtures", "signaling", "tests", "tools", ".config"];

/// All documents that are kept in git.
fn documents() -> Result<Vec<PathBuf>, Box<dyn std::error::Error>> {
    let listed = Command::new("git").args(["ls-files", "*.md"]).current_dir(root()).output()?;
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8(listed.stdout)?;
    Ok(listed.lines().map(|file| root().join(file)).collect())
}

#[test]
fn paths_in_documents_are_there() -> Outcome {
    let mut missing = Vec::new();
    let mut checked = 0;
    for document in documents()? {
        // What has changed names what is gone, too.
        if document.ends_with("CHANGELOG.md") {
            continue;
        }
        let text = fs::read_to_string(&document)?;
        for path in code_paths(&text) {
            checked += 1;
            if !is_there(root(), &path) {
                missing.push(format!("{}: `{path}`", document.display()));
            }
        }
    }
    assert!(checked > 40, "only {checked} paths were found");
    assert!(missing.is_empty(), "{missing:#?}");
    Ok(())
}

#[test]
fn links_in_documents_lead_somewhere() -> Outcome {
    let mut dead = Vec::new();
    let mut checked = 0;
    for document in documents()? {
        let text = fs::read_to_string(&document)?;
        let folder = document.parent().ok_or("a file without a folder")?;
        for link in links(&text) {
            checked += 1;
            let (file, heading) = link.split_once('#').unwrap_or((link.as_str(), ""));
            let target = if file.is_empty() { document.clone() } else { folder.join(file) };
            let found = target.exists() && (heading.is_empty() || has_heading(&target, heading)?);
            if !found {
                dead.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert!(checked > 40, "only {checked} links were found");
    assert!(dead.is_empty(), "{dead:#?}");
    Ok(())
}

/// Paths of this project that stand in backquotes.
fn code_paths(text: &str) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let quoted = line.split('`').skip(1).step_by(2);
            let words = quoted.flat_map(str::split_whitespace);
            let paths_here = words.filter(|word| {
                let (folder, rest) = word.split_once('/').unwrap_or((word, ""));
                !rest.is_empty()
                    && FOLDERS.contains(&folder)
                    && !word.contains(['*', '<', '…', '$'])
            });
            paths.extend(paths_here.map(|path| path.trim_end_matches([',', '.', ':']).to_string()));
        }
    }
    paths
}

/// Whether a path is in the tree, as it stands or with braces that hold several names.
fn is_there(root: &Path, path: &str) -> bool {
    let Some((before, rest)) = path.split_once('{') else {
        return root.join(path).exists();
    };
    let Some((names, after)) = rest.split_once('}') else { return false };
    names.split(',').all(|name| is_there(root, &format!("{before}{name}{after}")))
}

/// Targets of `[text](target)` that are not on the web.
fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let targets = targets.map(|(target, _)| target.to_string());
    targets.filter(|target| !target.contains("://") && !target.contains(' ')).collect()
}

/// Whether a document has a heading with this anchor, made as GitHub makes them.
fn has_heading(document: &Path, anchor: &str) -> Result<bool, std::io::Error> {
    let text = fs::read_to_string(document)?;
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let mut anchors = headings.map(|line| {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let kept =
            heading.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
        kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect::<String>()
    });
    Ok(anchors.any(|found| found == anchor))
}

#[test]
fn paths_and_links_are_found_in_text() {
    let text =
        "See `engine/src/{a,b}.rs`, `make test`, `tests/fuzz`.\n```\n`engine/no`\n```\n[x](y.md#z)";
    let found: Vec<String> = code_paths(text).into_iter().collect();
    assert_eq!(found, ["engine/src/{a,b}.rs", "tests/fuzz"]);
    assert_eq!(links(text), ["y.md#z"]);
    assert!(is_there(root(), "tests/{src,tests}") && !is_there(root(), "tests/{src,absent}"));
}
