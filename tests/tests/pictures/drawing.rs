//! Pictures that are easy to judge, in every format an application may push.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

use visavis::video::PixelFormat;

use crate::Failure;

/// White, yellow, cyan, green, magenta, red, blue and black at full intensity, and three greys.
const COLOURS: [[u8; 3]; 11] = [
    [255, 255, 255],
    [255, 255, 0],
    [0, 255, 255],
    [0, 255, 0],
    [255, 0, 255],
    [255, 0, 0],
    [0, 0, 255],
    [0, 0, 0],
    [64, 64, 64],
    [128, 128, 128],
    [192, 192, 192],
];

/// An RGB picture whose pixels are known exactly.
#[derive(Debug, Clone)]
pub(crate) struct Drawing {
    pub width: usize,
    pub height: usize,
    /// Red, green, blue, row by row.
    rgb: Vec<u8>,
}

/// The middle of a colour bar.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spot {
    pub x: usize,
    pub y: usize,
    pub colour: [u8; 3],
}

impl Drawing {
    /// Upright colour bars. The first one is the colour of this number, so that pictures of different
    /// numbers cannot be taken for each other; and where each bar's middle is.
    pub(crate) fn bars(width: usize, height: usize, first: usize) -> (Self, Vec<Spot>) {
        let count = COLOURS.len();
        let colour = |bar: usize| COLOURS[(bar + first) % count];
        let row: Vec<u8> = (0..width).flat_map(|x| colour(x * count / width)).collect();
        let middle = |bar: usize| Spot {
            x: (2 * bar + 1) * width / (2 * count),
            y: height / 2,
            colour: colour(bar),
        };
        (Self { width, height, rgb: row.repeat(height) }, (0..count).map(middle).collect())
    }

    /// Something like a face before a wall: soft shades, a little texture, colours of moderate
    /// strength. Each number is a picture of its own.
    pub(crate) fn portrait(width: usize, height: usize, number: usize) -> Self {
        let turn = number as f64 * 2.4;
        let (centre_x, centre_y) = (0.5 + 0.2 * turn.cos(), 0.5 + 0.15 * turn.sin());
        let mut rgb = Vec::with_capacity(width * height * 3);
        for y in 0..height {
            for x in 0..width {
                let (u, v) = (x as f64 / width as f64, y as f64 / height as f64);
                let (dx, dy) = ((u - centre_x) / 0.28, (v - centre_y) / 0.36);
                let distance = dx.hypot(dy);
                // 1 inside the face, 0 outside, with a soft rim.
                let face = ((1.1 - distance) / 0.2).clamp(0.0, 1.0);
                let shade = 1.0 - 0.35 * distance.min(1.2) + 0.04 * (u * 60.0).sin();
                let wall = 0.6
                    + 0.3 * (u * 3.0 + turn).sin() * (v * 2.0).cos()
                    + 0.03 * (u * 40.0).sin() * (v * 34.0).sin();
                let mix = |skin: f64, paint: f64| {
                    (face * skin * shade + (1.0 - face) * paint * wall).clamp(0.0, 255.0) as u8
                };
                rgb.extend([mix(225.0, 110.0), mix(175.0, 140.0), mix(145.0, 170.0)]);
            }
        }
        Self { width, height, rgb }
    }

    /// The picture as an application would push it. What is not plain RGB is made by ffmpeg: I420 and
    /// NV12 in limited range with the matrix that goes with the size, JPEG as JFIF has it, in full range
    /// and BT.601.
    pub(crate) fn bytes(&self, format: PixelFormat) -> Result<Vec<u8>, Failure> {
        let packed = |pixel: fn(&[u8]) -> [u8; 4]| self.rgb.chunks_exact(3).flat_map(pixel);
        let matrix = if self.height >= 720 { "bt709" } else { "bt601" };
        let video = format!("scale=out_color_matrix={matrix}:out_range=tv:flags={EXACT}");
        let jpeg = format!("scale=out_color_matrix=bt601:out_range=pc:flags={EXACT}");
        match format {
            PixelFormat::Rgb => Ok(self.rgb.clone()),
            PixelFormat::Rgba => Ok(packed(|p| [p[0], p[1], p[2], 255]).collect()),
            PixelFormat::Bgra => Ok(packed(|p| [p[2], p[1], p[0], 255]).collect()),
            PixelFormat::I420 => self.ffmpeg(&["-vf", &video, "-pix_fmt", "yuv420p"], "rawvideo"),
            PixelFormat::Nv12 => self.ffmpeg(&["-vf", &video, "-pix_fmt", "nv12"], "rawvideo"),
            PixelFormat::Jpeg => self.ffmpeg(
                &["-vf", &jpeg, "-pix_fmt", "yuvj420p", "-c:v", "mjpeg", "-q:v", "2"],
                "image2pipe",
            ),
            PixelFormat::Png => self.ffmpeg(&["-c:v", "png"], "image2pipe"),
        }
    }

    /// Peak signal-to-noise ratio in dB of an RGBA picture of the same size, over red, green and blue.
    pub(crate) fn psnr_db(&self, rgba: &[u8]) -> f64 {
        assert_eq!(rgba.len() * 3, self.rgb.len() * 4, "a picture of another size");
        let pairs = self.rgb.chunks_exact(3).zip(rgba.chunks_exact(4));
        let squares = pairs
            .flat_map(|(a, b)| a.iter().zip(b))
            .map(|(&a, &b)| f64::from(a.abs_diff(b)).powi(2));
        let mean_square = squares.sum::<f64>() / self.rgb.len() as f64;
        10.0 * (255.0 * 255.0 / mean_square.max(1e-9)).log10()
    }

    fn ffmpeg(&self, encoding: &[&str], container: &str) -> Result<Vec<u8>, Failure> {
        let size = format!("{}x{}", self.width, self.height);
        let mut ffmpeg = Command::new("ffmpeg")
            .args(["-v", "error", "-nostdin", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", &size])
            .args(["-i", "-"])
            .args(encoding)
            .args(["-f", container, "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (mut input, rgb) = (ffmpeg.stdin.take().ok_or("no pipe to ffmpeg")?, self.rgb.clone());
        let writer = thread::spawn(move || input.write_all(&rgb));
        let output = ffmpeg.wait_with_output()?;
        writer.join().map_err(|_| "the writer to ffmpeg panicked")??;
        if output.status.success() && !output.stdout.is_empty() {
            Ok(output.stdout)
        } else {
            Err(format!("ffmpeg made no {container} of {size}: {}", output.status).into())
        }
    }
}

/// ffmpeg's scaler would save time at the cost of a level or two.
const EXACT: &str = "bicubic+accurate_rnd+full_chroma_int+full_chroma_inp";
