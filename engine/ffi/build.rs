//! Tells the linker what is special about the shared library.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // It stays where it is after `dlclose`: libraries in it keep data of threads, whose destructors run when these end.
    println!("cargo::rustc-link-arg-cdylib=-Wl,-z,nodelete");
}
