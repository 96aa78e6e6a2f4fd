//! Reads callgrind's output.

use std::collections::HashMap;

/// Instructions by function, without what the function calls.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Profile {
    functions: HashMap<String, u64>,
}

impl Profile {
    /// Reads a callgrind.out file (format: valgrind manual, "Callgrind Format Specification").
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut profile = Self::default();
        // `fn=(7) name` gives the number a name; later `fn=(7)` is enough.
        let mut names: HashMap<&str, &str> = HashMap::new();
        let mut function = "";
        let mut in_call = false;
        for line in text.lines() {
            if let Some((key, value)) = line.split_once('=')
                && key.bytes().all(|byte| byte.is_ascii_lowercase())
            {
                if matches!(key, "fn" | "cfn") {
                    let name = named(value, &mut names)?;
                    if key == "fn" {
                        function = name;
                    }
                }
                // The cost line after `calls=` is that of the called function.
                in_call = key == "calls";
            } else if line.starts_with(|c: char| c.is_ascii_digit() || "+-*".contains(c)) {
                let cost = line.split(' ').nth(1).and_then(|cost| cost.parse::<u64>().ok());
                let cost = cost.ok_or_else(|| format!("no cost in {line:?}"))?;
                if !std::mem::take(&mut in_call) {
                    *profile.functions.entry(function.to_owned()).or_default() += cost;
                }
            }
        }
        Ok(profile)
    }

    /// All instructions.
    pub(crate) fn total(&self) -> u64 {
        self.functions.values().sum()
    }

    /// All but those of the cryptography library.
    pub(crate) fn without_crypto(&self) -> u64 {
        let ours = self.functions.iter().filter(|(name, _)| !is_crypto(name));
        ours.map(|(_, count)| count).sum()
    }

    /// The functions with the most instructions first.
    pub(crate) fn largest(&self) -> impl Iterator<Item = (&str, u64)> {
        let mut all: Vec<(&str, u64)> =
            self.functions.iter().map(|(name, &count)| (name.as_str(), count)).collect();
        all.sort_by(|(a, x), (b, y)| y.cmp(x).then(a.cmp(b)));
        all.into_iter()
    }
}

fn named<'a>(value: &'a str, names: &mut HashMap<&'a str, &'a str>) -> Result<&'a str, String> {
    match value.split_once(' ') {
        Some((number, name)) => {
            names.insert(number, name);
            Ok(name)
        }
        None => names.get(value).copied().ok_or_else(|| format!("function {value} has no name")),
    }
}

/// What aws-lc exports carries its version as a prefix; what it keeps to itself has the names of its
/// sources.
fn is_crypto(name: &str) -> bool {
    ["aws_lc_", "_aesni", "_vaes", "aead_aes_", "gcm_", "CRYPTO_"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}
