//! Rules that the sources, the manifests and the documents keep: who may depend on whom, what each crate
//! is published with, and that documents name files that are there. Nothing is run but Cargo and git.

mod circles;
mod crate_source;
mod dependencies;
mod documents;
mod graph;
mod packages;
