//! Writes down the public API, and compares it with what was written down before.
//!
//! `visavis-api [--bless] JSON FOLDER`: JSON is the folder with rustdoc's JSON of all crates; FOLDER has a text file
//! for each of [`FACADES`], a line for each public item.
//!
//! Much of `visavis` is defined in crates below it, which are nobody's business: their items are listed under the
//! names that they have in `visavis`. A type of any other crate, or one of those below that `visavis` has no name for,
//! is an error.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use public_api::{Builder, PublicApi, PublicItem};

/// The crates that applications use.
const FACADES: [&str; 2] = ["visavis", "visavis-signaling"];

/// What `visavis` is made of.
const BELOW: [&str; 6] = [
    "visavis_types",
    "visavis_bitstream",
    "visavis_codec",
    "visavis_core",
    "visavis_net",
    "visavis_nvenc",
];

/// Crates whose types may be in the API.
const STANDARD: [&str; 3] = ["core", "alloc", "std"];

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("visavis-api: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool, Box<dyn Error>> {
    let mut arguments: Vec<String> = env::args().skip(1).collect();
    let bless = arguments.first().is_some_and(|first| first == "--bless");
    arguments.drain(..usize::from(bless));
    let [json, folder] = &arguments[..] else {
        return Err("invalid arguments; expected [--bless] JSON FOLDER".into());
    };
    let (json, folder) = (Path::new(json), Path::new(folder));
    let names = names(json)?;
    let mut good = true;
    for facade in FACADES {
        let lines = list(json, facade, &names)?;
        for line in &lines {
            let foreign = foreign(line, facade);
            if !foreign.is_empty() {
                good = false;
                eprintln!(
                    "{facade}: {} cannot be named by applications: {line}",
                    foreign.join(", ")
                );
            }
        }
        good &= compare(&folder.join(facade).with_extension("txt"), &lines, bless)?;
    }
    Ok(good)
}

/// What a name in a crate below is called in `visavis`.
type Names = BTreeMap<String, String>;

/// The names that `visavis` gives to items of the crates below: each is re-exported one by one.
fn names(json: &Path) -> Result<Names, Box<dyn Error>> {
    let text = fs::read_to_string(file(json, "visavis"))?;
    let parsed: serde_json::Value = serde_json::from_str(&text)?;
    let mut sources = BTreeMap::new();
    for (id, item) in parsed["index"].as_object().ok_or("no index")? {
        if let Some(source) = item["inner"]["use"]["source"].as_str() {
            sources.insert(id.parse::<u32>()?, source.to_owned());
        }
    }
    let mut names = Names::new();
    for item in read(json, "visavis")?.items() {
        let Some(source) = sources.get(&item.id().0) else { continue };
        if BELOW.iter().any(|below| source.starts_with(&format!("{below}::"))) {
            let text = item.to_string();
            let place = text.strip_prefix("pub use ").ok_or("a re-export without a name")?;
            let place = place.split('<').next().unwrap_or(place).trim_end_matches("::");
            names.insert(source.clone(), place.to_owned());
        }
    }
    Ok(names)
}

fn file(json: &Path, crate_name: &str) -> PathBuf {
    json.join(crate_name.replace('-', "_")).with_extension("json")
}

fn read(json: &Path, crate_name: &str) -> Result<PublicApi, Box<dyn Error>> {
    let built = Builder::from_rustdoc_json(file(json, crate_name))
        .sorted(true)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .build();
    built.map_err(|error| format!("{crate_name}: {error}").into())
}

/// A line for each item of a crate, without the members of trait implementations: the trait tells of them.
fn lines(api: &PublicApi) -> Vec<String> {
    let is_trait_impl = |item: &&PublicItem| {
        let text = item.to_string();
        text.starts_with("impl") && text.contains(" for ")
    };
    let impls: BTreeSet<u32> = api.items().filter(is_trait_impl).map(|item| item.id().0).collect();
    let of_trait = |item: &PublicItem| item.parent_id().is_some_and(|id| impls.contains(&id.0));
    api.items()
        .filter(|item| !of_trait(item) || item.to_string().starts_with("pub type "))
        .map(ToString::to_string)
        .collect()
}

fn list(json: &Path, facade: &str, names: &Names) -> Result<BTreeSet<String>, Box<dyn Error>> {
    let mut all = lines(&read(json, facade)?);
    if facade == "visavis" {
        for below in BELOW {
            let sources: Vec<&String> =
                names.keys().filter(|name| name.starts_with(&format!("{below}::"))).collect();
            let belongs = |line: &String| {
                sources.iter().any(|source| {
                    paths(line).first_of(line).is_some_and(|path| {
                        path == *source || path.starts_with(&format!("{source}::"))
                    })
                })
            };
            all.extend(lines(&read(json, below)?).into_iter().filter(belongs));
        }
        all.retain(|line| !line.starts_with("pub use "));
    }
    let renamed = all.iter().map(|line| rename(line, names));
    // A conversion from what applications cannot name is no use to them: it is for the crate itself.
    let internal =
        |line: &String| line.contains("convert::From<") && !foreign(line, facade).is_empty();
    Ok(renamed.filter(|line| !internal(line)).collect())
}

/// The paths in a line, as ranges.
struct Paths(Vec<(usize, usize)>);

fn paths(line: &str) -> Paths {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let (mut found, mut begun) = (Vec::new(), None);
    for (at, c) in line.char_indices().chain([(line.len(), ' ')]) {
        match (begun, is_part(c)) {
            (None, true) => begun = Some(at),
            (Some(start), false) => {
                // A colon at the end is what stands between a name and its type.
                let text = line[start..at].trim_end_matches(':');
                if text.contains("::") && !text.starts_with(':') {
                    found.push((start, start + text.len()));
                }
                begun = None;
            }
            _ => {}
        }
    }
    Paths(found)
}

impl Paths {
    /// The path of the item itself: of an implementation, what it is for.
    fn first_of<'a>(&self, line: &'a str) -> Option<&'a str> {
        let after = if line.starts_with("impl") { line.find(" for ").unwrap_or(0) } else { 0 };
        let (start, end) = self.0.iter().find(|(start, _)| *start >= after)?;
        Some(&line[*start..*end])
    }
}

/// Puts the names of `visavis` in the place of those below. There a type may be named by the file it is in, which
/// has no meaning: its crate and its last name tell which it is.
fn rename(line: &str, names: &Names) -> String {
    let mut out = String::new();
    let mut from = 0;
    for (start, end) in paths(line).0 {
        out += &line[from..start];
        let path = &line[start..end];
        let own = BELOW.iter().any(|below| path.starts_with(&format!("{below}::")));
        out += &own.then(|| named(path, names)).flatten().unwrap_or_else(|| path.to_owned());
        from = end;
    }
    out + &line[from..]
}

fn named(path: &str, names: &Names) -> Option<String> {
    let crate_name = path.split("::").next()?;
    let known: BTreeMap<&str, &String> = names
        .iter()
        .filter(|(source, _)| source.split("::").next() == Some(crate_name))
        .filter_map(|(source, name)| Some((source.rsplit("::").next()?, name)))
        .collect();
    let parts: Vec<&str> = path.split("::").collect();
    let at = parts.iter().skip(1).position(|part| known.contains_key(part))? + 1;
    let rest: String = parts[at + 1..].iter().map(|part| format!("::{part}")).collect();
    Some(format!("{}{rest}", known[parts[at]]))
}

/// The paths in a line that applications have no name for.
fn foreign(line: &str, facade: &str) -> Vec<String> {
    let own = facade.replace('-', "_");
    let known = |path: &str| {
        let first = path.split("::").next().unwrap_or_default();
        STANDARD.contains(&first) || first == own || first == "visavis" || first == "Self"
            // A type parameter, as in `T::Item`.
            || (first.len() == 1 && first.chars().all(char::is_uppercase))
    };
    let all = paths(line).0.into_iter().map(|(start, end)| &line[start..end]);
    all.filter(|path| !known(path)).map(str::to_owned).collect()
}

/// Prints what is new and what is gone; rewrites the file where that is asked for.
fn compare(path: &Path, lines: &BTreeSet<String>, bless: bool) -> Result<bool, Box<dyn Error>> {
    if bless {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(path, text)?;
        println!("{}: {} items", path.display(), lines.len());
        return Ok(true);
    }
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let before: BTreeSet<String> = text.lines().map(str::to_owned).collect();
    if before == *lines {
        println!("{}: {} items, as written down", path.display(), lines.len());
        return Ok(true);
    }
    before.difference(lines).for_each(|gone| eprintln!("-{gone}"));
    lines.difference(&before).for_each(|new| eprintln!("+{new}"));
    eprintln!(
        "The public API is not as {} has it. Where that is meant, write it down with `make api BLESS=1`, and say it \
         in CHANGELOG.md.",
        path.display()
    );
    Ok(false)
}
