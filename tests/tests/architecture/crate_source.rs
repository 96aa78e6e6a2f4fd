//! The files of a crate, the names in its modules, and where each path in them leads.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, ImplItem, Item, ItemMod, ItemUse, Macro, Meta, Token, UseTree, Visibility};

use super::graph::Imports;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Re-exports of re-exports are followed this far.
const MAX_HOPS: usize = 16;

pub(crate) struct CrateSource {
    pub files: Vec<PathBuf>,
    folder: PathBuf,
    modules: Vec<Module>,
}

#[derive(Default)]
struct Module {
    parent: Option<usize>,
    file: usize,
    /// What can be named in here; a module and a function may share a name.
    names: BTreeMap<String, Vec<Name>>,
    globs: Vec<Vec<String>>,
    /// Paths that the code in here names.
    paths: BTreeSet<Vec<String>>,
}

enum Name {
    Module(usize),
    /// Defined in this module.
    Item,
    /// Imported or re-exported.
    Use(Vec<String>),
}

/// Where a path leads.
#[derive(PartialEq)]
enum Place {
    Module(usize),
    /// To what the module of this number defines.
    Item(usize),
}

impl CrateSource {
    /// Reads the crate whose root file is `root`.
    pub(crate) fn read(root: &Path) -> Outcome<Self> {
        let folder = root.parent().ok_or("a file without a folder")?.to_path_buf();
        let mut source = Self { files: Vec::new(), folder: folder.clone(), modules: Vec::new() };
        source.read_file(root, &folder, None)?;
        Ok(source)
    }

    /// The name of a file, from the folder that the root file is in.
    pub(crate) fn display(&self, file: usize) -> String {
        let path = self.files.get(file).map_or(Path::new("?"), PathBuf::as_path);
        path.strip_prefix(&self.folder).unwrap_or(path).display().to_string()
    }

    /// Which file imports what from which.
    pub(crate) fn imports(&self) -> Imports {
        let mut imports = Imports::new();
        for (index, module) in self.modules.iter().enumerate() {
            for path in &module.paths {
                for place in self.resolve(index, path, 0) {
                    let Place::Item(definer) = place else { continue };
                    let to = self.modules[definer].file;
                    if to != module.file {
                        let names = imports.entry(module.file).or_default().entry(to).or_default();
                        names.insert(path.join("::"));
                    }
                }
            }
        }
        imports
    }

    /// Reads a file as a module, and its modules; `below` is the folder that these are in.
    fn read_file(&mut self, path: &Path, below: &Path, parent: Option<usize>) -> Outcome<usize> {
        let text = fs::read_to_string(path)?;
        let parsed =
            syn::parse_file(&text).map_err(|fault| format!("{}: {fault}", path.display()))?;
        self.files.push(path.to_path_buf());
        self.read_module(&parsed.items, self.files.len() - 1, below, parent)
    }

    fn read_module(
        &mut self,
        items: &[Item],
        file: usize,
        below: &Path,
        parent: Option<usize>,
    ) -> Outcome<usize> {
        let index = self.modules.len();
        self.modules.push(Module { parent, file, ..Module::default() });
        let mut reader = Reader::default();
        items.iter().for_each(|item| reader.visit_item(item));
        let Reader { module, inner } = reader;
        self.modules[index] = Module { parent, file, ..module };
        for inner in inner {
            let name = inner.ident.to_string();
            let below_inner = below.join(&name);
            let read = match &inner.content {
                Some((_, items)) => self.read_module(items, file, &below_inner, Some(index))?,
                None => {
                    let flat = below.join(format!("{name}.rs"));
                    let path = if flat.exists() { flat } else { below_inner.join("mod.rs") };
                    self.read_file(&path, &below_inner, Some(index))?
                }
            };
            self.modules[index].names.entry(name).or_default().push(Name::Module(read));
        }
        Ok(index)
    }

    /// Where a path leads that stands in module `from`: nowhere where it leaves the crate.
    fn resolve(&self, from: usize, path: &[String], hops: usize) -> Vec<Place> {
        let Some((first, rest)) = path.split_first() else {
            return vec![Place::Module(from)];
        };
        if hops > MAX_HOPS {
            return Vec::new();
        }
        match first.as_str() {
            "crate" => self.resolve(0, rest, hops),
            "self" => self.resolve(from, rest, hops),
            "super" => self.modules[from]
                .parent
                .map_or_else(Vec::new, |parent| self.resolve(parent, rest, hops)),
            name => self.look_up(from, name, rest, hops),
        }
    }

    fn look_up(&self, from: usize, name: &str, rest: &[String], hops: usize) -> Vec<Place> {
        let module = &self.modules[from];
        let mut places = Vec::new();
        for found in module.names.get(name).into_iter().flatten() {
            match found {
                Name::Module(inner) => places.extend(self.resolve(*inner, rest, hops)),
                // What follows is a variant, a method or the like.
                Name::Item => places.push(Place::Item(from)),
                Name::Use(path) => {
                    let path: Vec<String> = path.iter().chain(rest).cloned().collect();
                    places.extend(self.resolve(from, &path, hops + 1));
                }
            }
        }
        if places.is_empty() {
            for glob in &module.globs {
                for place in self.resolve(from, glob, hops + 1) {
                    if let Place::Module(index) = place
                        && index != from
                    {
                        places.extend(self.look_up(index, name, rest, hops + 1));
                    }
                }
            }
        }
        places.dedup();
        places
    }
}

/// Collects what a module names and defines, without its inner modules.
#[derive(Default)]
struct Reader {
    module: Module,
    inner: Vec<ItemMod>,
}

impl Reader {
    fn define(&mut self, name: &syn::Ident) {
        self.module.names.entry(name.to_string()).or_default().push(Name::Item);
    }

    fn import(&mut self, tree: &UseTree, before: &mut Vec<String>, exported: bool) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.import(&path.tree, before, exported);
                before.pop();
            }
            UseTree::Name(name) if name.ident == "self" => {
                let last = before.last().cloned().unwrap_or_default();
                self.import_as(last, before.clone(), exported);
            }
            UseTree::Name(name) => {
                let path = before.iter().cloned().chain([name.ident.to_string()]).collect();
                self.import_as(name.ident.to_string(), path, exported);
            }
            UseTree::Rename(rename) => {
                let path = before.iter().cloned().chain([rename.ident.to_string()]).collect();
                self.import_as(rename.rename.to_string(), path, exported);
            }
            UseTree::Glob(_) => self.module.globs.push(before.clone()),
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.import(tree, before, exported));
            }
        }
    }

    fn import_as(&mut self, name: String, path: Vec<String>, exported: bool) {
        // A trait is often imported for its methods alone: an import counts though nothing names it.
        if !exported {
            self.module.paths.insert(path.clone());
        }
        self.module.names.entry(name).or_default().push(Name::Use(path));
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        let (attributes, name): (&[Attribute], Option<&syn::Ident>) = match item {
            Item::Const(item) => (&item.attrs, Some(&item.ident)),
            Item::Enum(item) => (&item.attrs, Some(&item.ident)),
            Item::Fn(item) => (&item.attrs, Some(&item.sig.ident)),
            Item::Impl(item) => (&item.attrs, None),
            Item::Macro(item) => (&item.attrs, item.ident.as_ref()),
            Item::Mod(item) => (&item.attrs, None),
            Item::Static(item) => (&item.attrs, Some(&item.ident)),
            Item::Struct(item) => (&item.attrs, Some(&item.ident)),
            Item::Trait(item) => (&item.attrs, Some(&item.ident)),
            Item::Type(item) => (&item.attrs, Some(&item.ident)),
            Item::Union(item) => (&item.attrs, Some(&item.ident)),
            Item::Use(item) => (&item.attrs, None),
            _ => (&[], None),
        };
        if !in_product(attributes) {
            return;
        }
        if let Some(name) = name {
            self.define(name);
        }
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.inner.push(item.clone());
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if item.leading_colon.is_none() {
            let exported = !matches!(item.vis, Visibility::Inherited);
            self.import(&item.tree, &mut Vec::new(), exported);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let attributes: &[Attribute] = match item {
            ImplItem::Const(item) => &item.attrs,
            ImplItem::Fn(item) => &item.attrs,
            _ => &[],
        };
        if in_product(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_attribute(&mut self, _: &'ast Attribute) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let path = path.segments.iter().map(|segment| segment.ident.to_string());
            self.module.paths.insert(path.collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.visit_path(&call.path);
        let mut tokens = Vec::new();
        flatten(call.tokens.clone(), &mut tokens);
        let mut path: Vec<String> = Vec::new();
        let mut joined = false;
        for token in tokens {
            match token {
                Word::Ident(ident) => {
                    if !joined {
                        self.module.paths.insert(std::mem::take(&mut path));
                    }
                    path.push(ident);
                    joined = false;
                }
                Word::Join => joined = true,
                Word::Other => {
                    self.module.paths.insert(std::mem::take(&mut path));
                    joined = false;
                }
            }
        }
        self.module.paths.insert(path);
        self.module.paths.remove(&Vec::new());
    }
}

/// What a macro call is made of, as far as paths go.
enum Word {
    Ident(String),
    /// `::`
    Join,
    Other,
}

fn flatten(tokens: proc_macro2::TokenStream, words: &mut Vec<Word>) {
    use proc_macro2::TokenTree;

    let mut colons = 0;
    for token in tokens {
        colons = match &token {
            TokenTree::Punct(punct) if punct.as_char() == ':' => colons + 1,
            _ => 0,
        };
        match token {
            TokenTree::Ident(ident) => words.push(Word::Ident(ident.to_string())),
            TokenTree::Group(group) => {
                words.push(Word::Other);
                flatten(group.stream(), words);
                words.push(Word::Other);
            }
            TokenTree::Punct(_) if colons == 2 => words.push(Word::Join),
            TokenTree::Punct(_) if colons == 1 => {}
            _ => words.push(Word::Other),
        }
    }
}

/// Whether what has these attributes is compiled where neither tests nor a fuzzer are built.
fn in_product(attributes: &[Attribute]) -> bool {
    let conditions = attributes.iter().filter(|attribute| attribute.path().is_ident("cfg"));
    conditions
        .filter_map(|attribute| attribute.parse_args::<Meta>().ok())
        .all(|meta| may_hold(&meta))
}

fn may_hold(condition: &Meta) -> bool {
    match condition {
        Meta::Path(path) => !path.is_ident("test"),
        Meta::List(list) => {
            let inner = list
                .parse_args_with(syn::punctuated::Punctuated::<Meta, Token![,]>::parse_terminated);
            let Ok(inner) = inner else { return true };
            if list.path.is_ident("any") {
                inner.iter().any(may_hold)
            } else {
                !list.path.is_ident("all") || inner.iter().all(may_hold)
            }
        }
        Meta::NameValue(pair) => {
            let value: &syn::Expr = &pair.value;
            let fuzzing = matches!(value, syn::Expr::Lit(literal)
                if matches!(&literal.lit, syn::Lit::Str(text) if text.value() == "fuzzing"));
            !fuzzing
        }
    }
}
