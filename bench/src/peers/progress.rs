use std::io::Write;

/// Prints a line of progress to the standard error stream.
pub(super) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "peers: {text}");
}
