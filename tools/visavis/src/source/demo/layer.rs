//! Layers of the portrait and the one fast thing done with them: drawing a moved, slightly turned
//! layer over an opaque picture.

use tiny_skia::{Pixmap, Transform};

/// A picture with transparency, cropped to what is painted on it.
pub struct Layer {
    /// Premultiplied, 16 bits a channel (see [`spread`]).
    pixels: Vec<u64>,
    width: usize,
    height: usize,
    left: f32,
    top: f32,
}

/// A gentle vertical stretch of everything below a line of the layer: how the jaw drops.
#[derive(Clone, Copy)]
pub struct Stretch {
    /// The line, in portrait coordinates.
    pub below: f32,
    /// By how much lengths grow; 0 is none.
    pub by: f32,
}

/// The low byte of each of four channels of 16 bits.
const LOW: u64 = 0x00ff_00ff_00ff_00ff;

/// Gives each byte of an RGBA pixel 16 bits, so that one multiplication scales all four. Alpha ends
/// up on top.
#[inline]
fn spread(bytes: [u8; 4]) -> u64 {
    let [r, g, b, a] = bytes.map(u64::from);
    r | g << 16 | b << 32 | a << 48
}

/// The reverse of [`spread`].
#[inline]
fn gather(pixel: u64) -> [u8; 4] {
    [pixel as u8, (pixel >> 16) as u8, (pixel >> 32) as u8, (pixel >> 48) as u8]
}

impl Layer {
    /// Crops a picture to its painted part plus one transparent pixel on each side, which gives
    /// turned edges something to fade into.
    pub fn crop(pixmap: &Pixmap) -> Self {
        let (width, height) = (pixmap.width() as usize, pixmap.height() as usize);
        let (mut x0, mut y0, mut x1, mut y1) = (width, height, 0, 0);
        for (i, pixel) in pixmap.pixels().iter().enumerate() {
            if pixel.alpha() != 0 {
                let (x, y) = (i % width, i / width);
                (x0, y0, x1, y1) = (x0.min(x), y0.min(y), x1.max(x + 1), y1.max(y + 1));
            }
        }
        let (x0, y0) = (x0.min(x1), y0.min(y1));
        let (inner_width, inner_height) = (x1 - x0, y1 - y0);
        let (width_out, height_out) = (inner_width + 2, inner_height + 2);
        let mut pixels = vec![0; width_out * height_out];
        for y in 0..inner_height {
            for x in 0..inner_width {
                let at = ((y + y0) * width + x + x0) * 4;
                if let Some(&bytes) = pixmap.data().get(at..).and_then(|d| d.first_chunk()) {
                    pixels[(y + 1) * width_out + x + 1] = spread(bytes);
                }
            }
        }
        let (left, top) = (x0 as f32 - 1.0, y0 as f32 - 1.0);
        Self { pixels, width: width_out, height: height_out, left, top }
    }

    /// Draws the layer over `out` (opaque RGBA, `out_width` pixels a row), moved by `transform`.
    pub fn draw(
        &self,
        out: &mut [u8],
        out_width: usize,
        transform: Transform,
        stretch: Option<Stretch>,
    ) {
        let Some(inverse) = transform.invert() else { return };
        let out_height = out.len() / 4 / out_width;
        let grown = stretch.map_or(0.0, |s| s.by * self.height as f32);
        let Some((x0, x1, y0, y1)) = self.covered(transform, grown, out_width, out_height) else {
            return;
        };
        let fixed = |v: f32| (v * 65_536.0) as i32;
        let (step_u, step_v) = (fixed(inverse.sx), fixed(inverse.ky));
        for y in y0..y1 {
            // Pixel centres map to pixel centres, hence the halves.
            let (px, py) = (x0 as f32 + 0.5, y as f32 + 0.5);
            let source_y = inverse.ky * px + inverse.sy * py + inverse.ty;
            let unstretched = match stretch {
                Some(s) if source_y > s.below => s.below + (source_y - s.below) / (1.0 + s.by),
                _ => source_y,
            };
            let source_x = inverse.sx * px + inverse.kx * py + inverse.tx;
            let mut u = fixed(source_x - self.left - 0.5);
            let mut v = fixed(unstretched - self.top - 0.5);
            let row = (y * out_width + x0) * 4..(y * out_width + x1) * 4;
            let Some(row) = out.get_mut(row) else { continue };
            for bytes in row.chunks_exact_mut(4) {
                let source = self.sample(u, v);
                u += step_u;
                v += step_v;
                match source >> 48 {
                    0 => {}
                    255 => bytes.copy_from_slice(&gather(source)),
                    alpha => over(bytes, source, alpha),
                }
            }
        }
    }

    /// The pixel at a place between pixels, both coordinates in 1/65536; transparent outside.
    #[inline]
    fn sample(&self, u: i32, v: i32) -> u64 {
        let (x, y) = ((u >> 16) as usize, (v >> 16) as usize);
        // A negative coordinate is a huge one here.
        if x >= self.width - 1 || y >= self.height - 1 {
            return 0;
        }
        let at = y * self.width + x;
        let (Some(&[a, b]), Some(&[c, d])) = (
            self.pixels.get(at..at + 2).and_then(|s| s.first_chunk()),
            self.pixels.get(at + self.width..at + self.width + 2).and_then(|s| s.first_chunk()),
        ) else {
            return 0;
        };
        if a == b && c == d && a == c {
            return a;
        }
        let (fx, fy) = ((u >> 8 & 0xff) as u64, (v >> 8 & 0xff) as u64);
        let wd = (fx * fy) >> 8;
        let (wb, wc) = (fx - wd, fy - wd);
        let wa = 256 - wb - wc - wd;
        (a * wa + b * wb + c * wc + d * wd) >> 8 & LOW
    }

    /// The part of the picture the moved layer can touch: left, right, top, bottom.
    fn covered(
        &self,
        transform: Transform,
        grown: f32,
        out_width: usize,
        out_height: usize,
    ) -> Option<(usize, usize, usize, usize)> {
        let (w, h) = (self.width as f32, self.height as f32 + grown);
        let bounds = tiny_skia::Rect::from_xywh(self.left, self.top, w, h)?.transform(transform)?;
        let clamp = |v: f32, max: usize| (v.max(0.0) as usize).min(max);
        Some((
            clamp(bounds.left().floor(), out_width),
            clamp(bounds.right().ceil(), out_width),
            clamp(bounds.top().floor(), out_height),
            clamp(bounds.bottom().ceil(), out_height),
        ))
    }
}

/// Puts a premultiplied pixel over an opaque one.
#[inline]
fn over(bytes: &mut [u8], source: u64, alpha: u64) {
    let Some(&below) = bytes.first_chunk::<4>() else { return };
    let rest = 256 - (alpha + (alpha >> 7));
    let [r, g, b, _] = gather((((spread(below) * rest) >> 8) & LOW) + source);
    bytes.copy_from_slice(&[r, g, b, 255]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square() -> Layer {
        let mut pixmap = Pixmap::new(16, 16).unwrap();
        let rect = tiny_skia::Rect::from_xywh(4.0, 4.0, 6.0, 6.0).unwrap();
        let mut paint = tiny_skia::Paint::default();
        paint.set_color_rgba8(200, 100, 50, 255);
        pixmap.fill_rect(rect, &paint, Transform::identity(), None);
        Layer::crop(&pixmap)
    }

    fn pixel(out: &[u8], x: usize, y: usize) -> [u8; 3] {
        let at = (y * 16 + x) * 4;
        [out[at], out[at + 1], out[at + 2]]
    }

    #[test]
    fn an_unmoved_layer_is_drawn_as_it_is() {
        let mut out = [0, 0, 0, 255].repeat(16 * 16);
        square().draw(&mut out, 16, Transform::identity(), None);
        assert_eq!(pixel(&out, 4, 4), [200, 100, 50]);
        assert_eq!(pixel(&out, 9, 9), [200, 100, 50]);
        assert_eq!(pixel(&out, 3, 4), [0, 0, 0]);
        assert_eq!(pixel(&out, 10, 9), [0, 0, 0]);
    }

    #[test]
    fn half_a_pixel_is_half_a_pixel() {
        let mut out = [0, 0, 0, 255].repeat(16 * 16);
        square().draw(&mut out, 16, Transform::from_translate(0.5, 0.0), None);
        let [red, ..] = pixel(&out, 4, 6);
        assert!(red.abs_diff(100) <= 2, "{red}");
        assert_eq!(pixel(&out, 6, 6), [200, 100, 50]);
    }

    #[test]
    fn partly_and_wholly_outside_is_harmless() {
        let mut out = [0, 0, 0, 255].repeat(16 * 16);
        for (x, y) in [(-8.0, 0.0), (12.0, 12.0), (500.0, 0.0), (0.0, -500.0)] {
            square().draw(&mut out, 16, Transform::from_translate(x, y), None);
        }
        square().draw(&mut out, 16, Transform::from_rotate_at(30.0, 8.0, 8.0), None);
    }
}
