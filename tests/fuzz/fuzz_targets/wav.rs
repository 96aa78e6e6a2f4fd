//! The WAV file beside a Y4M film.
#![no_main]

use std::fs;
use std::path::PathBuf;

use libfuzzer_sys::fuzz_target;
use visavis_cli::source::play::{Wanted, open_here};

fuzz_target!(|data: &[u8]| {
    let path = |end| PathBuf::from(format!("/dev/shm/visavis-fuzz-{}.{end}", std::process::id()));
    let film = [b"YUV4MPEG2 W16 H16 F25:1\nFRAME\n".as_slice(), &[128; 16 * 24]].concat();
    fs::write(path("y4m"), film).expect("memory");
    fs::write(path("wav"), data).expect("memory");
    if let Ok(mut clip) = open_here(&path("y4m"), *b"YUV4MPEG2 W1", Wanted::All) {
        let mut sound = Vec::new();
        for _ in 0..50 {
            sound.clear();
            if !clip.sound(&mut sound).unwrap_or(false) {
                let _ = clip.rewind();
            }
        }
    }
    let _ = (fs::remove_file(path("y4m")), fs::remove_file(path("wav")));
});
