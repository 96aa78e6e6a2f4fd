//! MP4 and Y4M files for `--play`.
#![no_main]

use std::fs;
use std::path::PathBuf;

use libfuzzer_sys::fuzz_target;
use visavis_cli::source::Pool;
use visavis_cli::source::play::{Wanted, open_here};

fuzz_target!(|data: &[u8]| {
    let path = PathBuf::from(format!("/dev/shm/visavis-fuzz-{}.film", std::process::id()));
    fs::write(&path, data).expect("memory");
    let mut start = [0; 12];
    let length = data.len().min(start.len());
    start[..length].copy_from_slice(&data[..length]);
    if let Ok(mut clip) = open_here(&path, start, Wanted::All) {
        let (pool, mut sound) = (Pool::new(2), Vec::new());
        for _ in 0..2 {
            for _ in 0..20 {
                match clip.picture(&pool) {
                    Ok(Some(picture)) => pool.give(picture.data),
                    _ => break,
                }
                sound.clear();
                let _ = clip.sound(&mut sound);
            }
            let _ = clip.video_end();
            if clip.rewind().is_err() {
                break;
            }
        }
    }
    let _ = fs::remove_file(&path);
});
