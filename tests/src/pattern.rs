//! A still picture that is easy to check: colours, a grey ramp, shapes.

use std::io::{self, BufWriter, Write};
use std::path::Path;

/// A square RGB picture whose pixels are known exactly.
#[derive(Debug, Clone)]
pub struct Still {
    /// Width and height in pixels.
    pub side: usize,
    /// Red, green, blue, row by row.
    pub rgb: Vec<u8>,
}

/// Eight colours a bar; none at the edge of the range, where limited-range video would clip.
const BARS: [[u8; 3]; 8] = [
    [230, 230, 230],
    [210, 200, 50],
    [60, 190, 200],
    [60, 180, 70],
    [190, 70, 180],
    [200, 60, 50],
    [50, 60, 190],
    [30, 30, 30],
];

impl Still {
    /// Draws the picture: bars above, a grey ramp in the middle, a disc and a checkerboard below.
    pub fn new(side: usize) -> Self {
        let mut rgb = Vec::with_capacity(side * side * 3);
        for y in 0..side {
            for x in 0..side {
                rgb.extend_from_slice(&colour(x, y, side));
            }
        }
        Self { side, rgb }
    }

    /// Writes the picture as a Y4M film of so many equal frames, 30 a second (BT.601, limited range).
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write_y4m(&self, path: &Path, frames: usize) -> io::Result<()> {
        let mut file = BufWriter::new(std::fs::File::create(path)?);
        writeln!(file, "YUV4MPEG2 W{0} H{0} F30:1 Ip A1:1 C420", self.side)?;
        let planes = self.planes();
        for _ in 0..frames {
            file.write_all(b"FRAME\n")?;
            file.write_all(&planes)?;
        }
        file.flush()
    }

    /// Mean absolute error per channel, and the peak signal-to-noise ratio in dB, of an RGBA picture
    /// of the same size.
    pub fn compare(&self, rgba: &[u8]) -> (f64, f64) {
        let mut absolute = 0.0;
        let mut squared = 0.0;
        for (expected, seen) in self.rgb.chunks_exact(3).zip(rgba.chunks_exact(4)) {
            for (expected, seen) in expected.iter().zip(seen) {
                let error = f64::from(*expected) - f64::from(*seen);
                absolute += error.abs();
                squared += error * error;
            }
        }
        let count = self.rgb.len() as f64;
        let mean_square = (squared / count).max(1e-9);
        (absolute / count, 10.0 * (255.0 * 255.0 / mean_square).log10())
    }

    fn planes(&self) -> Vec<u8> {
        let side = self.side;
        let at = |x: usize, y: usize| {
            let from = (y * side + x) * 3;
            let pixel = self.rgb.get(from..from + 3).unwrap_or(&[0; 3]);
            [f64::from(pixel[0]), f64::from(pixel[1]), f64::from(pixel[2])]
        };
        let mut planes = Vec::with_capacity(side * side * 3 / 2);
        for y in 0..side {
            for x in 0..side {
                let [r, g, b] = at(x, y);
                planes.push((16.5 + 0.256_788 * r + 0.504_129 * g + 0.097_906 * b) as u8);
            }
        }
        let chroma: [[f64; 3]; 2] =
            [[-0.148_223, -0.290_993, 0.439_216], [0.439_216, -0.367_788, -0.071_427]];
        for weights in chroma {
            for y in (0..side).step_by(2) {
                for x in (0..side).step_by(2) {
                    let mut sum = 0.0;
                    for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                        let pixel = at(x + dx, y + dy);
                        sum += weights.iter().zip(pixel).map(|(w, p)| w * p).sum::<f64>();
                    }
                    planes.push((128.5 + sum / 4.0) as u8);
                }
            }
        }
        planes
    }
}

fn colour(x: usize, y: usize, side: usize) -> [u8; 3] {
    let third = (side / 3) & !1;
    if y < third {
        return *BARS.get(x * BARS.len() / side).unwrap_or(&[0; 3]);
    }
    if y < 2 * third {
        let level = (30 + x * 200 / side) as u8;
        return [level; 3];
    }
    let (half, middle) = (side / 2, (2 * third + side) / 2);
    if x < half {
        let radius = (side - 2 * third) * 2 / 5;
        let inside = x.abs_diff(half / 2).pow(2) + y.abs_diff(middle).pow(2) < radius.pow(2);
        return if inside { [200, 60, 50] } else { [60, 90, 120] };
    }
    if (x / 16 + y / 16).is_multiple_of(2) { [210, 210, 210] } else { [50, 60, 70] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_equals_itself_and_not_another() {
        let still = Still::new(64);
        let rgba: Vec<u8> =
            still.rgb.chunks_exact(3).flat_map(|p| [p[0], p[1], p[2], 255]).collect();
        let (absolute, psnr) = still.compare(&rgba);
        assert!(absolute < 1e-9 && psnr > 90.0);
        let flat = vec![128; 64 * 64 * 4];
        assert!(still.compare(&flat).1 < 15.0);
    }

    #[test]
    fn planes_have_the_size_and_range_of_video() {
        let still = Still::new(64);
        let planes = still.planes();
        assert_eq!(planes.len(), 64 * 64 * 3 / 2);
        assert!(planes.iter().all(|&sample| (16..=240).contains(&sample)));
        // The first bar is grey: no colour.
        assert_eq!(planes.get(64 * 64).map(|sample| sample.abs_diff(128) <= 1), Some(true));
    }
}
