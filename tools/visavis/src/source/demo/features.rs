//! What changes shape with every frame: eyes, brows, mouth.

use tiny_skia::{
    FillRule, Mask, Paint, Path, PathBuilder, Pixmap, PixmapMut, PixmapPaint, Transform,
};

use super::canvas::{color, linear, oval, pen, radial, solid};
use super::motion::Pose;
use super::mouth::MouthShape;

fn fill(out: &mut PixmapMut<'_>, path: &Path, paint: &Paint<'_>, at: Transform) {
    out.fill_path(path, paint, FillRule::Winding, at, None);
}

/// The eyes of the portrait. Holds the small canvas on which an iris is cut to its eye.
pub struct Eyes {
    sketch: Pixmap,
    mask: Mask,
}

const SKETCH: u32 = 96;
const EYE_X: [f32; 2] = [211.0, 301.0];
const EYE_Y: f32 = 246.0;

impl Eyes {
    /// Both eyes; `None` where there is no memory for the canvas.
    pub fn new() -> Option<Self> {
        Some(Self { sketch: Pixmap::new(SKETCH, SKETCH)?, mask: Mask::new(SKETCH, SKETCH)? })
    }

    /// Draws both eyes with lids, lashes and brows; `at` moves the portrait to its place.
    pub fn draw(&mut self, out: &mut PixmapMut<'_>, pose: &Pose, at: Transform) -> Option<()> {
        for (x, outward) in [(EYE_X[0], -1.0), (EYE_X[1], 1.0)] {
            // The eye that turns away looks a little narrower.
            let turn = 1.0 + 0.04 * pose.yaw * outward;
            let local = at.pre_translate(x, EYE_Y).pre_scale(outward * turn, 1.0);
            self.draw_ball(out, pose, local, outward)?;
            draw_lids(out, pose, local)?;
            draw_brow(out, pose, local)?;
        }
        Some(())
    }

    /// White, iris and highlights, cut to the opening between the lids.
    fn draw_ball(
        &mut self,
        out: &mut PixmapMut<'_>,
        pose: &Pose,
        local: Transform,
        outward: f32,
    ) -> Option<()> {
        let lids = Lids::of(pose);
        if lids.openness() < 0.04 {
            return Some(());
        }
        let half = SKETCH as f32 / 2.0;
        let (left, top) = ((local.tx - half).floor(), (local.ty - half).floor());
        let inside = local.post_translate(-left, -top);
        self.sketch.fill(tiny_skia::Color::TRANSPARENT);
        self.mask.clear();
        self.mask.fill_path(&lids.opening()?, FillRule::Winding, true, inside);
        let mask = Some(&self.mask);
        let mut put = |path: &Path, paint: &Paint<'_>| {
            self.sketch.fill_path(path, paint, FillRule::Winding, inside, mask);
        };

        let white = [(0.0, color(0xd9c3bb, 1.0)), (0.35, color(0xfdf8f3, 1.0))];
        put(&oval(0.0, 0.0, 34.0, 26.0)?, &linear((0.0, -18.0), (0.0, 14.0), &white)?);
        // The sketch of the left eye is mirrored, its gaze and its highlights must not be.
        let (gx, gy) = (pose.gaze.0 * 5.5 * outward, pose.gaze.1 * 3.5);
        let iris = [
            (0.0, color(0x9ed08a, 1.0)),
            (0.55, color(0x57986c, 1.0)),
            (0.86, color(0x2d6152, 1.0)),
            (1.0, color(0x17382f, 1.0)),
        ];
        put(&oval(gx, gy, 16.6, 17.0)?, &radial((gx, gy + 5.0), 19.6, &iris)?);
        put(&oval(gx, gy, 7.8, 8.0)?, &solid(color(0x14100f, 1.0)));
        put(&oval(gx, gy + 9.5, 8.5, 4.0)?, &solid(color(0xc9f0a8, 0.30)));
        // The shadow the upper lid throws on the ball.
        put(&lids.shadow()?, &solid(color(0x3a1d22, 0.28)));
        let lit = outward * -5.0;
        put(&oval(gx + lit, gy - 5.6, 4.6, 4.8)?, &solid(color(0xffffff, 0.96)));
        put(&oval(gx - lit, gy + 5.4, 2.2, 2.2)?, &solid(color(0xffffff, 0.75)));

        let (paint, here) = (PixmapPaint::default(), Transform::identity());
        out.draw_pixmap(left as i32, top as i32, self.sketch.as_ref(), &paint, here, None);
        Some(())
    }
}

/// The curves of the lids of an eye whose outer corner is at +x.
struct Lids {
    /// Heights of the upper and lower lid's middle.
    upper: f32,
    lower: f32,
}

const INNER: (f32, f32) = (-25.0, 5.0);
const OUTER: (f32, f32) = (26.0, -2.0);
/// Where a closed eye's lids meet.
const SEAM: f32 = 9.0;

impl Lids {
    fn of(pose: &Pose) -> Self {
        let open = 1.0 - pose.blink;
        // Lids follow the gaze up and down; a smile lifts the lower one.
        let upper = -15.5 + 3.0 * pose.gaze.1 - 2.0 * pose.brow.max(0.0);
        let lower = 17.0 - 4.5 * pose.smile;
        Self { upper: SEAM + (upper - SEAM) * open, lower: SEAM + (lower - SEAM) * open }
    }

    fn openness(&self) -> f32 {
        (self.lower - self.upper) / 40.0
    }

    /// A curve between the corners whose middle is at `height`.
    fn curve(path: &mut PathBuilder, height: f32) {
        // A cubic reaches three quarters of the way to its control points.
        let rise = |corner: f32| (height - corner / 4.0) / 0.75;
        path.cubic_to(-15.0, rise(INNER.1), 14.0, rise(OUTER.1), OUTER.0, OUTER.1);
    }

    fn opening(&self) -> Option<Path> {
        let mut path = PathBuilder::new();
        path.move_to(INNER.0, INNER.1);
        Self::curve(&mut path, self.upper);
        let rise = |corner: f32| (self.lower - corner / 4.0) / 0.75;
        path.cubic_to(15.0, rise(OUTER.1), -14.0, rise(INNER.1), INNER.0, INNER.1);
        path.close();
        path.finish()
    }

    /// A band under the upper lid.
    fn shadow(&self) -> Option<Path> {
        let mut path = PathBuilder::new();
        path.move_to(-40.0, -40.0);
        path.line_to(INNER.0, INNER.1);
        Self::curve(&mut path, self.upper + 6.0);
        path.line_to(40.0, -40.0);
        path.close();
        path.finish()
    }
}

fn draw_lids(out: &mut PixmapMut<'_>, pose: &Pose, local: Transform) -> Option<()> {
    let lids = Lids::of(pose);
    let line = |height: f32| {
        let mut path = PathBuilder::new();
        path.move_to(INNER.0, INNER.1);
        Lids::curve(&mut path, height);
        path.finish()
    };
    // The crease above, the thin line below.
    let crease = solid(color(0xa95c45, 0.5));
    out.stroke_path(&line(lids.upper * 0.85 - 8.5)?, &crease, &pen(1.8), local, None);
    let lower = solid(color(0x8a4436, 0.45));
    out.stroke_path(&line(lids.lower)?, &lower, &pen(1.6), local, None);
    // Lashes: a wedge that grows outwards and ends in a flick.
    let mut path = PathBuilder::new();
    path.move_to(INNER.0 - 1.0, INNER.1 + 0.5);
    Lids::curve(&mut path, lids.upper - 1.0);
    path.quad_to(OUTER.0 + 4.0, OUTER.1 - 3.0, OUTER.0 + 9.0, OUTER.1 - 8.0);
    path.quad_to(OUTER.0 + 5.0, OUTER.1 - 9.0, OUTER.0 - 1.0, OUTER.1 - 6.5);
    let rise = |corner: f32| (lids.upper - 6.0 - corner / 4.0) / 0.75;
    path.cubic_to(
        13.0,
        rise(OUTER.1 - 3.0),
        -15.0,
        rise(INNER.1) + 2.5,
        INNER.0 - 1.0,
        INNER.1 + 0.5,
    );
    path.close();
    fill(out, &path.finish()?, &solid(color(0x2e1414, 1.0)), local);
    Some(())
}

fn draw_brow(out: &mut PixmapMut<'_>, pose: &Pose, local: Transform) -> Option<()> {
    let lift = -42.0 - 6.0 * pose.brow + 2.0 * pose.blink;
    let mut path = PathBuilder::new();
    path.move_to(-27.0, lift + 6.0);
    path.cubic_to(-12.0, lift - 5.0, 12.0, lift - 8.0, 34.0, lift + 6.0);
    path.cubic_to(14.0, lift - 1.5, -10.0, lift + 3.0, -25.0, lift + 12.5);
    path.quad_to(-29.0, lift + 10.0, -27.0, lift + 6.0);
    path.close();
    let paint = linear(
        (-28.0, 0.0),
        (34.0, 0.0),
        &[(0.0, color(0x7a3d2b, 0.85)), (1.0, color(0x5f2b22, 0.95))],
    )?;
    fill(out, &path.finish()?, &paint, local);
    Some(())
}

/// The middle of the closed mouth.
const MOUTH: (f32, f32) = (256.0, 325.0);
/// Points along a lip.
const STEPS: usize = 25;

/// The mouth as curves over `s`, which runs from −1 at one corner to 1 at the other.
struct Lips {
    half_width: f32,
    open: f32,
    /// The share of the opening above the line of the lips.
    above: f32,
    smile: f32,
    fullness: f32,
}

impl Lips {
    fn of(pose: &Pose, voice: &MouthShape) -> Self {
        let smile = pose.smile * (1.0 - 0.75 * voice.round);
        Self {
            half_width: 31.0 + 4.0 * smile + 5.0 * voice.width.max(-0.3)
                - 9.0 * voice.round
                - 2.0 * voice.open,
            open: 25.0 * voice.open.powf(0.9) * (1.0 - 0.15 * voice.round),
            above: 0.24 + 0.2 * voice.round,
            smile,
            fullness: 1.0 + 0.35 * voice.round - 0.15 * voice.open,
        }
    }

    fn x(&self, s: f32) -> f32 {
        self.half_width * s
    }

    /// The line the lips meet at when closed: corners up in a smile.
    fn line(&self, s: f32) -> f32 {
        // The dip in the middle of closed lips smooths out as they part.
        let dip = (-(s / 0.22).powi(2)).exp() * (1.0 - self.open / 6.0).max(0.0);
        -8.5 * self.smile * s * s * s.abs().sqrt() + 1.4 * dip + 1.0
    }

    fn inner_top(&self, s: f32) -> f32 {
        self.line(s) - self.above * self.open * (1.0 - s * s).max(0.0).powf(0.6)
    }

    fn inner_bottom(&self, s: f32) -> f32 {
        self.line(s) + (1.0 - self.above) * self.open * (1.0 - s * s).max(0.0).powf(0.5)
    }

    fn outer_top(&self, s: f32) -> f32 {
        let arch = (1.0 - s * s).max(0.0).powf(0.75);
        let cupid = 1.0 - 0.30 * (-(s / 0.16).powi(2)).exp();
        self.inner_top(s) - 7.2 * self.fullness * arch * cupid
    }

    fn outer_bottom(&self, s: f32) -> f32 {
        let belly = (1.0 - s * s).max(0.0).powf(0.68);
        self.inner_bottom(s) + 9.5 * self.fullness * belly
    }

    /// The area between two curves.
    fn between(&self, top: impl Fn(f32) -> f32, bottom: impl Fn(f32) -> f32) -> Option<Path> {
        let s = |i: usize| {
            // Points lie closer at the corners, where curves are steep.
            let even = i as f32 / (STEPS - 1) as f32 * 2.0 - 1.0;
            (even * std::f32::consts::FRAC_PI_2).sin()
        };
        let mut path = PathBuilder::new();
        for i in 0..STEPS {
            let (x, y) = (self.x(s(i)), top(s(i)));
            if i == 0 { path.move_to(x, y) } else { path.line_to(x, y) }
        }
        for i in (0..STEPS).rev() {
            path.line_to(self.x(s(i)), bottom(s(i)));
        }
        path.close();
        path.finish()
    }
}

/// Draws the mouth in the shape for the current sound.
pub fn draw_mouth(
    out: &mut PixmapMut<'_>,
    pose: &Pose,
    voice: &MouthShape,
    at: Transform,
) -> Option<()> {
    let lips = Lips::of(pose, voice);
    // An opening mouth takes the jaw along.
    let at = at.pre_translate(MOUTH.0, MOUTH.1 + 0.06 * lips.open);
    let below = |s: f32| lips.outer_bottom(s) + 5.0 * (1.0 - s * s).max(0.0);
    fill(
        out,
        &lips.between(|s| lips.outer_bottom(s) - 2.0, below)?,
        &solid(color(0xa85a44, 0.22)),
        at,
    );

    let upper = lips.between(|s| lips.outer_top(s), |s| lips.inner_top(s) + 0.6)?;
    let lower = lips.between(|s| lips.inner_bottom(s) - 0.6, |s| lips.outer_bottom(s))?;
    fill(out, &upper, &solid(color(0xc4594f, 1.0)), at);
    let top = lips.inner_bottom(0.0);
    let rose =
        [(0.0, color(0xd86a5e, 1.0)), (0.5, color(0xe88476, 1.0)), (1.0, color(0xcf6558, 1.0))];
    fill(out, &lower, &linear((0.0, top), (0.0, top + 10.0), &rose)?, at);

    if lips.open > 0.8 {
        draw_inside(out, &lips, voice, at)?;
    } else {
        let seam = lips.between(|s| lips.inner_top(s) - 0.7, |s| lips.inner_bottom(s) + 0.9)?;
        fill(out, &seam, &solid(color(0x7c2d2c, 0.85)), at);
    }
    // Light on the lower lip, and the dimples at the corners.
    let shine = oval(-5.0, top + 4.6, 0.26 * lips.half_width, 1.5)?;
    fill(out, &shine, &solid(color(0xffffff, 0.38)), at);
    let (x, y) = (lips.half_width + 2.0, lips.line(1.0));
    for side in [-1.0, 1.0] {
        let mut dimple = PathBuilder::new();
        dimple.move_to(side * x, y - 3.5);
        dimple.quad_to(side * (x + 3.0), y, side * (x + 0.5), y + 3.5);
        let paint = solid(color(0x9a4a3b, 0.32 * lips.smile.clamp(0.0, 1.0)));
        out.stroke_path(&dimple.finish()?, &paint, &pen(1.6), at, None);
    }
    Some(())
}

/// The dark of the mouth, the teeth and the tongue.
fn draw_inside(
    out: &mut PixmapMut<'_>,
    lips: &Lips,
    voice: &MouthShape,
    at: Transform,
) -> Option<()> {
    let (top, bottom) = (|s| lips.inner_top(s), |s| lips.inner_bottom(s));
    let depth = [(0.0, color(0x3a1016, 1.0)), (1.0, color(0x6e222a, 1.0))];
    let (from, to) = ((0.0, top(0.0)), (0.0, bottom(0.0)));
    fill(out, &lips.between(top, bottom)?, &linear(from, to, &depth)?, at);

    let gap = bottom(0.0) - top(0.0);
    // The tongue lies low and shows once the mouth is well open.
    let tongue = (gap - 9.0).max(0.0) * 0.5;
    if tongue > 0.5 {
        let rise = |s: f32| tongue * (1.0 - (s / 0.72).powi(2)).max(0.0).sqrt();
        let back = lips.between(|s| (bottom(s) - rise(s)).max(top(s)), bottom)?;
        fill(out, &back, &solid(color(0xd9606a, 1.0)), at);
    }
    let teeth = (2.5 + 4.0 * voice.width.max(0.0) + 4.0 * voice.hiss).min(7.5)
        * (1.0 - 0.75 * voice.round)
        * (gap / 7.0).min(1.0);
    if teeth > 0.6 {
        let edge = |s: f32| top(s) + teeth * (1.0 - s.abs().powi(4)).max(0.0);
        let row = lips.between(top, |s| edge(s).min(bottom(s)).max(top(s)))?;
        fill(out, &row, &solid(color(0xfffaf4, 1.0)), at);
    }
    if voice.hiss > 0.15 {
        let rise = 3.5 * voice.hiss;
        let row =
            lips.between(|s| (bottom(s) - rise * (1.0 - s.abs().powi(3))).max(top(s)), bottom)?;
        fill(out, &row, &solid(color(0xf3e6de, voice.hiss)), at);
    }
    Some(())
}
