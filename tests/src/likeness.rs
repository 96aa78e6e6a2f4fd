//! How like the fixture's speech a recording is.

use std::error::Error;
use std::process::Command;

use crate::root;

/// Samples a second of what is compared.
pub const SPEECH_RATE: usize = 16_000;

/// The fixture's speech, mono.
///
/// # Errors
///
/// Where ffmpeg is missing or fails.
pub fn speech() -> Result<Vec<f64>, Box<dyn Error>> {
    let speech = root().join("fixtures/speech.wav");
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(speech)
        .args(["-ar", &SPEECH_RATE.to_string(), "-ac", "1", "-f", "s16le", "-"])
        .output()?;
    Ok(output.stdout.chunks_exact(2).map(|b| f64::from(i16::from_le_bytes([b[0], b[1]]))).collect())
}

/// Normalized correlation.
pub fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        (ab, aa, bb) = (ab + a * b, aa + a * a, bb + b * b);
    }
    ab / (aa * bb).sqrt().max(1e-9)
}

/// The median, over pieces of half a second that are no silence, of the best correlation with any place
/// of the source.
pub fn likeness(heard: &[f64], source: &[f64]) -> f64 {
    const PIECE: usize = SPEECH_RATE / 2;
    let source = [source, source].concat();
    let loud = |piece: &&[f64]| piece.iter().map(|s| s * s).sum::<f64>() / PIECE as f64 > 250_000.0;
    let mut best: Vec<f64> = Vec::new();
    let mut near: Option<usize> = None;
    for (index, piece) in heard.chunks_exact(PIECE).enumerate().filter(|(_, piece)| loud(piece)) {
        let at =
            |from: usize| source.get(from..from + PIECE).map_or(-1.0, |b| correlation(piece, b));
        // The whole source the first time, around the same place from then on.
        let expected = near.map(|offset| (offset + index * PIECE) % (source.len() / 2));
        let candidates: Vec<usize> = match expected {
            Some(at) => (at.saturating_sub(800)..at + 800).collect(),
            None => (0..source.len() / 2).collect(),
        };
        let (found, place) = candidates
            .into_iter()
            .map(|from| (at(from), from))
            .fold((-1.0, 0), |best, next| if next.0 > best.0 { next } else { best });
        if found > 0.6 {
            let half = source.len() / 2;
            near = Some((place + half - index * PIECE % half) % half);
        }
        best.push(found);
    }
    best.sort_by(f64::total_cmp);
    best.get(best.len() / 2).copied().unwrap_or(0.0)
}
