//! Drawing with soft edges: a pixmap, paths written as text, blurred shading kept inside a shape.
//!
//! Only used while the layers of the portrait are made, so clarity wins over speed here.

use tiny_skia::{
    Color, FillRule, GradientStop, LineCap, LineJoin, LinearGradient, Mask, Paint, Path,
    PathBuilder, Pixmap, PixmapPaint, Point, RadialGradient, Shader, SpreadMode, Stroke, Transform,
};

/// A colour out of `0xRRGGBB` and an opacity of 0 to 1.
pub fn color(rgb: u32, opacity: f32) -> Color {
    let channel = |shift: u32| (rgb >> shift & 0xff) as u8;
    let mut color = Color::from_rgba8(channel(16), channel(8), channel(0), 255);
    color.apply_opacity(opacity);
    color
}

/// A path out of the absolute SVG commands `M`, `L`, `Q`, `C` and `Z`; `None` where the text is not
/// one.
pub fn path(text: &str) -> Option<Path> {
    let mut builder = PathBuilder::new();
    let mut words = text.split_ascii_whitespace();
    while let Some(command) = words.next() {
        let mut point = || -> Option<(f32, f32)> {
            Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
        };
        match command {
            "M" => {
                let (x, y) = point()?;
                builder.move_to(x, y);
            }
            "L" => {
                let (x, y) = point()?;
                builder.line_to(x, y);
            }
            "Q" => {
                let ((x1, y1), (x, y)) = (point()?, point()?);
                builder.quad_to(x1, y1, x, y);
            }
            "C" => {
                let ((x1, y1), (x2, y2), (x, y)) = (point()?, point()?, point()?);
                builder.cubic_to(x1, y1, x2, y2, x, y);
            }
            "Z" => builder.close(),
            _ => return None,
        }
    }
    builder.finish()
}

/// An ellipse around a centre.
pub fn oval(x: f32, y: f32, rx: f32, ry: f32) -> Option<Path> {
    PathBuilder::from_oval(tiny_skia::Rect::from_xywh(x - rx, y - ry, 2.0 * rx, 2.0 * ry)?)
}

/// A paint of one colour, with smooth edges.
pub fn solid(color: Color) -> Paint<'static> {
    shaded(Shader::SolidColor(color))
}

fn shaded(shader: Shader<'static>) -> Paint<'static> {
    Paint { shader, anti_alias: true, ..Paint::default() }
}

fn stops(colors: &[(f32, Color)]) -> Vec<GradientStop> {
    colors.iter().map(|&(at, color)| GradientStop::new(at, color)).collect()
}

/// A paint that runs from one point to another.
pub fn linear(from: (f32, f32), to: (f32, f32), colors: &[(f32, Color)]) -> Option<Paint<'static>> {
    let (from, to) = (Point::from_xy(from.0, from.1), Point::from_xy(to.0, to.1));
    let pad = SpreadMode::Pad;
    LinearGradient::new(from, to, stops(colors), pad, Transform::identity()).map(shaded)
}

/// A paint that runs outwards from a centre.
pub fn radial(center: (f32, f32), radius: f32, colors: &[(f32, Color)]) -> Option<Paint<'static>> {
    let center = Point::from_xy(center.0, center.1);
    let pad = SpreadMode::Pad;
    RadialGradient::new(center, 0.0, center, radius, stops(colors), pad, Transform::identity())
        .map(shaded)
}

/// A round-ended line of some width.
pub fn pen(width: f32) -> Stroke {
    Stroke { width, line_cap: LineCap::Round, line_join: LineJoin::Round, ..Stroke::default() }
}

/// A transparent picture to draw on.
pub struct Canvas {
    pixmap: Pixmap,
}

impl Canvas {
    /// One of this size; `None` where a side is 0 or there is no memory for it.
    pub fn new(width: u32, height: u32) -> Option<Self> {
        Some(Self { pixmap: Pixmap::new(width, height)? })
    }

    /// Fills the inside of a path.
    pub fn fill(&mut self, path: &Path, paint: &Paint<'_>) {
        self.pixmap.fill_path(path, paint, FillRule::Winding, Transform::identity(), None);
    }

    /// A stroke that is cut off at the edge of `inside`, blurred by `blur` pixels first.
    pub fn line(
        &mut self,
        inside: Option<&Path>,
        path: &Path,
        color: Color,
        width: f32,
        blur: usize,
    ) -> Option<()> {
        let stroke = |layer: &mut Pixmap, at| {
            layer.stroke_path(path, &solid(color), &pen(width), at, None);
        };
        self.put(path.bounds(), width, inside, blur, stroke)
    }

    /// A shape that is cut off at the edge of `inside`, blurred by `blur` pixels first.
    pub fn shade(
        &mut self,
        inside: Option<&Path>,
        path: &Path,
        color: Color,
        blur: usize,
    ) -> Option<()> {
        let fill = |layer: &mut Pixmap, at| {
            layer.fill_path(path, &solid(color), FillRule::Winding, at, None);
        };
        self.put(path.bounds(), 0.0, inside, blur, fill)
    }

    /// Draws on a picture just large enough for `bounds` and its blur, then puts that in place.
    fn put(
        &mut self,
        bounds: tiny_skia::Rect,
        width: f32,
        inside: Option<&Path>,
        blur: usize,
        draw: impl FnOnce(&mut Pixmap, Transform),
    ) -> Option<()> {
        let margin = width + 3.0 * blur as f32 + 2.0;
        let (left, top) = ((bounds.left() - margin).floor(), (bounds.top() - margin).floor());
        let size = |from: f32, to: f32| (to + margin - from).ceil() as u32;
        let mut layer = Pixmap::new(size(left, bounds.right()), size(top, bounds.bottom()))?;
        let here = Transform::from_translate(-left, -top);
        draw(&mut layer, here);
        blur_pixmap(&mut layer, blur);
        if let Some(shape) = inside {
            let mut mask = Mask::new(layer.width(), layer.height())?;
            mask.fill_path(shape, FillRule::Winding, true, here);
            layer.apply_mask(&mask);
        }
        let (paint, there) = (PixmapPaint::default(), Transform::identity());
        self.pixmap.draw_pixmap(left as i32, top as i32, layer.as_ref(), &paint, there, None);
        Some(())
    }

    /// What was drawn.
    pub fn into_pixmap(self) -> Pixmap {
        self.pixmap
    }
}

/// Three box blurs in each direction, which together look like a Gaussian of about `radius` pixels.
fn blur_pixmap(pixmap: &mut Pixmap, radius: usize) {
    if radius == 0 {
        return;
    }
    let (width, height) = (pixmap.width() as usize, pixmap.height() as usize);
    let bytes = pixmap.data_mut();
    let mut line = Vec::new();
    for _ in 0..3 {
        for channel in 0..4 {
            for y in 0..height {
                blur_line(bytes, y * width * 4 + channel, 4, width, radius, &mut line);
            }
            for x in 0..width {
                blur_line(bytes, x * 4 + channel, width * 4, height, radius, &mut line);
            }
        }
    }
}

/// Averages every value with `radius` neighbours on both sides; beyond the ends the end repeats.
fn blur_line(
    bytes: &mut [u8],
    start: usize,
    step: usize,
    count: usize,
    radius: usize,
    line: &mut Vec<u32>,
) {
    line.clear();
    line.extend((0..count).map(|i| u32::from(bytes[start + i * step])));
    let at = |i: isize| line[i.clamp(0, count as isize - 1) as usize];
    let (r, span) = (radius as isize, 2 * radius as u32 + 1);
    let mut sum: u32 = (-r..=r).map(at).sum();
    for i in 0..count {
        bytes[start + i * step] = ((sum + span / 2) / span) as u8;
        let i = i as isize;
        sum = sum + at(i + r + 1) - at(i - r);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_parse_or_are_refused() {
        let bounds = path("M 0 0 L 10 0 C 10 5 10 5 10 10 Q 5 10 0 10 Z").unwrap().bounds();
        assert_eq!((bounds.right(), bounds.bottom()), (10.0, 10.0));
        assert!(path("M 0").is_none());
        assert!(path("A 1 2 3").is_none());
    }

    #[test]
    fn blur_keeps_the_amount_of_paint() {
        let mut canvas = Canvas::new(64, 64).unwrap();
        canvas.shade(None, &oval(32.0, 32.0, 8.0, 8.0).unwrap(), color(0xffffff, 1.0), 0).unwrap();
        let mut pixmap = canvas.into_pixmap();
        let sum = |p: &Pixmap| p.pixels().iter().map(|p| u64::from(p.alpha())).sum::<u64>();
        let before = sum(&pixmap);
        blur_pixmap(&mut pixmap, 3);
        let after = sum(&pixmap);
        assert!(before.abs_diff(after) < before / 20, "{before} {after}");
        assert!(pixmap.pixel(32, 40).unwrap().alpha() < 255);
    }
}
