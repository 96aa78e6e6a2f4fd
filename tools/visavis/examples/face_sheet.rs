//! Draws the demo face at some moments into one PNG, to look at it without a browser.
//!
//! `cargo run -p visavis-cli --release --example face_sheet -- sheet.png 0.35 1.0 2.3`
//!
//! Without times it draws sixteen faces, a second apart. Also prints how long drawing takes.

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::time::{Duration, Instant};

use visavis_cli::source::demo::Demo;
use visavis_cli::source::demo::face::Face;
use visavis_cli::source::demo::portrait::SIDE;

const COLUMNS: usize = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_else(|| "face_sheet.png".to_owned());
    let mut moments = arguments.map(|a| a.parse::<f64>()).collect::<Result<Vec<_>, _>>()?;
    if moments.is_empty() {
        moments = (0..16).map(|i| 0.35 + f64::from(i)).collect();
    }

    let start = Instant::now();
    let mut demo = Demo::new(30)?;
    let ready = start.elapsed();
    let mut frame = vec![0; Face::FRAME_BYTES];
    let row_bytes = SIDE as usize * 4;
    let columns = COLUMNS.min(moments.len());
    let sheet_row = row_bytes * columns;
    let rows = moments.len().div_ceil(columns);
    let mut sheet = vec![0; sheet_row * SIDE as usize * rows];
    let start = Instant::now();
    for (i, &moment) in moments.iter().enumerate() {
        demo.draw(Duration::from_secs_f64(moment), &mut frame)?;
        let corner = i / columns * SIDE as usize * sheet_row + i % columns * row_bytes;
        for (y, row) in frame.chunks_exact(row_bytes).enumerate() {
            let at = corner + y * sheet_row;
            sheet[at..at + row_bytes].copy_from_slice(row);
        }
    }
    let each = start.elapsed() / moments.len() as u32;

    let (width, height) = (SIDE * columns as u32, SIDE * rows as u32);
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(&path)?), width, height);
    encoder.set_color(png::ColorType::Rgba);
    encoder.write_header()?.write_image_data(&sheet)?;
    eprintln!("{path}: set up in {ready:?}, {each:?} a frame");
    Ok(())
}
