//! Circles in a graph of files: its strongly connected components.

use std::collections::{BTreeMap, BTreeSet};

/// At most this many names of an import are listed.
const MAX_NAMES: usize = 4;

/// The imports between files.
pub(crate) type Imports = BTreeMap<usize, BTreeMap<usize, BTreeSet<String>>>;

/// Files that import each other, directly or by way of others in here.
pub(crate) struct Circle {
    pub files: usize,
    pub imports: Vec<Import>,
}

pub(crate) struct Import {
    pub from: usize,
    pub to: usize,
    /// What is imported, as the importing file spells it.
    pub names: String,
}

/// All circles, each with the imports that close it.
pub(crate) fn find(imports: &Imports) -> Vec<Circle> {
    let reached: BTreeMap<usize, BTreeSet<usize>> =
        imports.keys().map(|&file| (file, reachable(imports, file))).collect();
    let mut seen: BTreeSet<usize> = BTreeSet::new();
    let mut circles = Vec::new();
    for (&file, others) in &reached {
        if seen.contains(&file) || !others.contains(&file) {
            continue;
        }
        let members: BTreeSet<usize> = others
            .iter()
            .copied()
            .filter(|other| reached.get(other).is_some_and(|back| back.contains(&file)))
            .collect();
        seen.extend(&members);
        circles.push(Circle { files: members.len(), imports: among(imports, &members) });
    }
    circles
}

/// What can be reached from `start` by one import or more.
fn reachable(imports: &Imports, start: usize) -> BTreeSet<usize> {
    let mut seen = BTreeSet::new();
    let mut open = vec![start];
    while let Some(file) = open.pop() {
        let next = imports.get(&file).into_iter().flat_map(BTreeMap::keys);
        open.extend(next.filter(|&&to| seen.insert(to)));
    }
    seen
}

fn among(imports: &Imports, members: &BTreeSet<usize>) -> Vec<Import> {
    let from_members = imports.iter().filter(|(from, _)| members.contains(from));
    from_members
        .flat_map(|(&from, to)| to.iter().map(move |(&to, names)| (from, to, names)))
        .filter(|(_, to, _)| members.contains(to))
        .map(|(from, to, names)| {
            let listed: Vec<&str> = names.iter().map(String::as_str).take(MAX_NAMES).collect();
            let more = if names.len() > MAX_NAMES { ", …" } else { "" };
            let names = listed.join(", ") + more;
            Import { from, to, names }
        })
        .collect()
}

#[test]
fn circles_of_two_and_of_three_are_found_and_a_diamond_is_none() {
    let graph = |edges: &[(usize, usize)]| {
        let mut imports = Imports::new();
        for &(from, to) in edges {
            imports.entry(from).or_default().entry(to).or_default().insert(String::from("x"));
        }
        find(&imports).iter().map(|circle| (circle.files, circle.imports.len())).collect::<Vec<_>>()
    };
    assert_eq!(graph(&[(0, 1), (0, 2), (1, 3), (2, 3)]), []);
    assert_eq!(graph(&[(0, 1), (1, 0), (1, 2)]), [(2, 2)]);
    assert_eq!(graph(&[(0, 1), (1, 2), (2, 0), (3, 0), (4, 5), (5, 4)]), [(3, 3), (2, 2)]);
}
