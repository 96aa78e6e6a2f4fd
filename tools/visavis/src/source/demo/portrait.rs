//! The still parts of the portrait, painted once: backdrop, hair, body, head, nose.
//!
//! Coordinates are pixels of a 512×512 picture; the middle line of the face is x = 256. Light comes
//! from the upper left.

use tiny_skia::{Pixmap, Transform};

use super::canvas::{Canvas, color, linear, oval, path, radial};
use super::layer::Layer;

/// Side of the square portrait, in pixels.
pub const SIDE: u32 = 512;

/// Everything that is painted once.
pub struct Portrait {
    /// Opaque, `SIDE` × `SIDE`.
    pub backdrop: Vec<u8>,
    /// The hair behind the head.
    pub hair_back: Layer,
    /// Neck and shoulders.
    pub body: Layer,
    /// The head without what moves in it.
    pub head: Layer,
    /// The nose, which turns more than the head.
    pub nose: Layer,
    /// The hair before the head.
    pub hair_front: Layer,
}

const SKIN_LIGHT: u32 = 0xffdfc6;
const SKIN: u32 = 0xf6c6a5;
const SKIN_SHADE: u32 = 0xdc9877;
const SKIN_DEEP: u32 = 0xb8694f;
const BLUSH: u32 = 0xf0705f;
const HAIR_LIGHT: u32 = 0xc9764a;
const HAIR: u32 = 0x8f4630;
const HAIR_SHADE: u32 = 0x5c2a24;
const HAIR_DEEP: u32 = 0x3d1a1b;
const KNIT_LIGHT: u32 = 0xffe9c9;
const KNIT: u32 = 0xf2cf9f;
const KNIT_SHADE: u32 = 0xc79365;

impl Portrait {
    /// Paints everything; `None` only where a picture or a path is impossible, which the numbers
    /// here are not.
    pub fn paint() -> Option<Self> {
        Some(Self {
            backdrop: backdrop()?.take(),
            hair_back: Layer::crop(&hair_back()?),
            body: Layer::crop(&body()?),
            head: Layer::crop(&head()?),
            nose: Layer::crop(&nose()?),
            hair_front: Layer::crop(&hair_front()?),
        })
    }
}

fn canvas() -> Option<Canvas> {
    Canvas::new(SIDE, SIDE)
}

/// A room out of focus.
fn backdrop() -> Option<Pixmap> {
    let mut c = canvas()?;
    let all = path("M 0 0 L 512 0 L 512 512 L 0 512 Z")?;
    let room =
        [(0.0, color(0x5fa8a6, 1.0)), (0.45, color(0x36797f, 1.0)), (1.0, color(0x16404d, 1.0))];
    c.fill(&all, &radial((190.0, 170.0), 430.0, &room)?);
    c.shade(None, &oval(70.0, 120.0, 70.0, 70.0)?, color(0xffd9a0, 0.45), 22)?;
    c.shade(None, &oval(452.0, 96.0, 46.0, 46.0)?, color(0xffe2b5, 0.30), 12)?;
    c.shade(None, &oval(420.0, 300.0, 70.0, 90.0)?, color(0x0f3340, 0.55), 30)?;
    c.shade(None, &oval(488.0, 214.0, 30.0, 30.0)?, color(0xf7a77b, 0.35), 9)?;
    c.shade(None, &oval(24.0, 286.0, 40.0, 40.0)?, color(0x9fe0d2, 0.22), 10)?;
    c.shade(None, &oval(128.0, 36.0, 26.0, 26.0)?, color(0xfff1cf, 0.28), 6)?;
    // A glow behind the head lifts it off the wall.
    c.shade(None, &oval(256.0, 240.0, 150.0, 160.0)?, color(0xbfe6da, 0.35), 40)?;
    Some(c.into_pixmap())
}

fn hair_back() -> Option<Pixmap> {
    let mut c = canvas()?;
    let bob = path(
        "M 256 74 C 168 72 116 136 116 226 C 116 296 96 340 104 396 C 128 428 186 430 214 414 \
         L 298 414 C 326 430 384 428 408 396 C 416 340 396 296 396 226 C 396 136 344 72 256 74 Z",
    )?;
    let fall =
        [(0.0, color(HAIR, 1.0)), (0.55, color(HAIR_SHADE, 1.0)), (1.0, color(HAIR_DEEP, 1.0))];
    c.fill(&bob, &linear((220.0, 80.0), (270.0, 430.0), &fall)?);
    c.shade(Some(&bob), &oval(256.0, 350.0, 92.0, 110.0)?, color(HAIR_DEEP, 0.9), 14)?;
    for (strand, width, opacity) in [
        ("M 136 190 C 122 270 118 330 124 402", 9.0, 0.55),
        ("M 152 200 C 140 280 140 340 150 412", 5.0, 0.45),
        ("M 170 260 C 162 320 166 370 178 416", 4.0, 0.35),
        ("M 378 190 C 392 270 394 330 390 400", 7.0, 0.35),
        ("M 362 220 C 372 290 372 350 362 410", 4.0, 0.30),
    ] {
        c.line(Some(&bob), &path(strand)?, color(HAIR_LIGHT, opacity), width, 3)?;
    }
    Some(c.into_pixmap())
}

fn body() -> Option<Pixmap> {
    let mut c = canvas()?;
    let neck = path(
        "M 216 330 C 218 372 216 396 204 416 C 214 452 298 452 308 416 C 296 396 294 372 296 330 Z",
    )?;
    let tan = [(0.0, color(SKIN, 1.0)), (1.0, color(SKIN_SHADE, 1.0))];
    c.fill(&neck, &linear((216.0, 340.0), (300.0, 380.0), &tan)?);
    c.shade(Some(&neck), &oval(262.0, 352.0, 66.0, 42.0)?, color(SKIN_DEEP, 0.75), 9)?;
    c.shade(Some(&neck), &oval(238.0, 420.0, 18.0, 10.0)?, color(SKIN_LIGHT, 0.5), 7)?;

    // Reaches below the picture, so that breathing never shows its end.
    let knit = path(
        "M 26 540 C 34 470 84 442 150 428 C 178 422 196 414 206 404 C 216 442 296 442 306 404 \
         C 316 414 334 422 362 428 C 428 442 478 470 486 540 Z",
    )?;
    let wool =
        [(0.0, color(KNIT_LIGHT, 1.0)), (0.5, color(KNIT, 1.0)), (1.0, color(KNIT_SHADE, 1.0))];
    c.fill(&knit, &linear((120.0, 410.0), (420.0, 540.0), &wool)?);
    c.shade(Some(&knit), &oval(256.0, 424.0, 110.0, 22.0)?, color(KNIT_SHADE, 0.55), 12)?;
    c.shade(Some(&knit), &oval(118.0, 420.0, 40.0, 26.0)?, color(KNIT_SHADE, 0.55), 12)?;
    c.shade(Some(&knit), &oval(398.0, 420.0, 44.0, 30.0)?, color(0x8f5f45, 0.5), 12)?;
    for fold in [
        "M 96 520 C 104 492 112 478 126 466",
        "M 414 520 C 408 492 398 478 386 466",
        "M 200 512 C 214 486 232 474 246 470",
    ] {
        c.line(Some(&knit), &path(fold)?, color(KNIT_SHADE, 0.55), 6.0, 4)?;
    }
    // The collar: a soft roll around the neck, its ends behind it.
    let collar = path(
        "M 200 392 C 206 446 306 446 312 392 C 320 398 322 408 319 416 C 306 468 206 468 193 416 \
         C 190 408 192 398 200 392 Z",
    )?;
    c.shade(None, &oval(256.0, 452.0, 56.0, 10.0)?, color(0xa9764f, 0.45), 5)?;
    let roll = [(0.0, color(0xffeed2, 1.0)), (1.0, color(0xd9ad7c, 1.0))];
    c.fill(&collar, &linear((220.0, 400.0), (290.0, 460.0), &roll)?);
    c.line(
        Some(&collar),
        &path("M 198 400 C 206 452 306 452 314 400")?,
        color(0xb98458, 0.6),
        5.0,
        3,
    )?;
    c.line(
        Some(&collar),
        &path("M 196 408 C 208 460 300 460 314 410")?,
        color(0xfff6e4, 0.8),
        4.0,
        2,
    )?;
    Some(c.into_pixmap())
}

/// The outline of the face; brow, cheeks and a small chin.
fn face() -> Option<tiny_skia::Path> {
    path(
        "M 256 116 C 322 116 354 166 354 228 C 354 262 352 284 343 306 C 331 338 293 374 256 374 \
         C 219 374 181 338 169 306 C 160 284 158 262 158 228 C 158 166 190 116 256 116 Z",
    )
}

fn head() -> Option<Pixmap> {
    let mut c = canvas()?;
    let face = face()?;
    let light =
        [(0.0, color(SKIN_LIGHT, 1.0)), (0.55, color(SKIN, 1.0)), (1.0, color(SKIN_SHADE, 1.0))];
    c.fill(&face, &radial((226.0, 214.0), 196.0, &light)?);

    // Far side and jaw turn away from the light.
    let far = path("M 330 120 C 340 200 336 300 262 380 L 380 380 L 380 120 Z")?;
    c.shade(Some(&face), &far, color(SKIN_DEEP, 0.22), 14)?;
    let jaw = path("M 150 320 C 190 380 320 386 362 312 L 362 400 L 150 400 Z")?;
    c.shade(Some(&face), &jaw, color(SKIN_DEEP, 0.20), 10)?;
    // What the fringe shades.
    let fringe = path(
        "M 150 100 L 362 100 L 362 210 C 330 196 300 186 262 176 C 236 166 222 158 212 150 C 196 176 176 196 168 250 L 150 250 Z",
    )?;
    c.shade(Some(&face), &fringe, color(SKIN_DEEP, 0.45), 8)?;
    // Eye sockets, barely.
    for x in [211.0, 301.0] {
        c.shade(Some(&face), &oval(x, 240.0, 30.0, 20.0)?, color(SKIN_DEEP, 0.16), 8)?;
    }
    for (x, opacity) in [(194.0, 0.34), (318.0, 0.30)] {
        c.shade(Some(&face), &oval(x, 294.0, 24.0, 16.0)?, color(BLUSH, opacity), 10)?;
    }
    c.shade(Some(&face), &oval(190.0, 276.0, 16.0, 8.0)?, color(0xffffff, 0.30), 7)?;
    c.shade(Some(&face), &oval(246.0, 356.0, 14.0, 7.0)?, color(0xffffff, 0.26), 6)?;
    c.shade(Some(&face), &oval(258.0, 349.0, 20.0, 4.0)?, color(SKIN_DEEP, 0.22), 4)?;
    // A few freckles.
    for (x, y, r) in [
        (186.0, 284.0, 1.4),
        (197.0, 279.0, 1.2),
        (205.0, 287.0, 1.5),
        (192.0, 292.0, 1.1),
        (308.0, 286.0, 1.4),
        (318.0, 280.0, 1.2),
        (326.0, 288.0, 1.3),
        (313.0, 293.0, 1.0),
    ] {
        c.shade(None, &oval(x, y, r, r)?, color(0xb5623f, 0.5), 0)?;
    }
    Some(c.into_pixmap())
}

fn nose() -> Option<Pixmap> {
    let mut c = canvas()?;
    let bridge = path(
        "M 262 232 C 264 262 272 278 274 292 C 270 300 262 302 256 302 C 262 280 258 256 262 232 Z",
    )?;
    c.shade(None, &bridge, color(SKIN_DEEP, 0.22), 4)?;
    c.shade(None, &oval(257.0, 300.0, 15.0, 5.0)?, color(SKIN_DEEP, 0.38), 4)?;
    c.line(None, &path("M 243 297 C 248 303 264 303 270 296")?, color(0xb8654c, 0.55), 2.4, 1)?;
    c.shade(None, &oval(253.0, 286.0, 6.0, 5.0)?, color(0xffffff, 0.50), 3)?;
    c.shade(None, &oval(254.0, 262.0, 3.0, 14.0)?, color(0xffffff, 0.22), 3)?;
    Some(c.into_pixmap())
}

fn hair_front() -> Option<Pixmap> {
    let mut c = canvas()?;
    let crown = path(
        "M 212 148 C 230 164 284 172 314 192 C 342 212 350 240 354 268 C 358 296 366 316 376 330 \
         C 392 300 400 262 398 222 C 394 134 342 70 254 70 C 168 70 116 134 114 222 \
         C 112 262 120 300 136 330 C 146 316 154 296 158 268 C 162 232 178 196 212 148 Z",
    )?;
    let fall =
        [(0.0, color(0xb5643f, 1.0)), (0.35, color(HAIR, 1.0)), (1.0, color(HAIR_SHADE, 1.0))];
    c.fill(&crown, &radial((206.0, 104.0), 260.0, &fall)?);
    // The parting and the fall of the strands on both sides of it.
    for (strand, rgb, opacity, width, blur) in [
        ("M 214 150 C 200 118 204 92 222 72", HAIR_DEEP, 0.55, 3.0, 2),
        ("M 218 146 C 262 150 326 168 352 226", HAIR_DEEP, 0.35, 7.0, 4),
        ("M 216 132 C 270 126 344 150 366 226 C 374 264 374 290 378 316", HAIR_SHADE, 0.55, 6.0, 3),
        ("M 218 114 C 286 100 362 136 382 220 C 386 250 384 280 380 304", HAIR_SHADE, 0.45, 4.0, 2),
        ("M 204 140 C 168 170 146 214 144 262 C 142 288 140 300 136 318", HAIR_SHADE, 0.50, 5.0, 3),
        ("M 204 118 C 158 140 128 184 126 240", HAIR_SHADE, 0.45, 4.0, 2),
        ("M 222 122 C 282 112 342 140 366 200", HAIR_LIGHT, 0.75, 8.0, 5),
        ("M 226 100 C 286 88 346 118 372 172", HAIR_LIGHT, 0.65, 5.0, 3),
        ("M 200 128 C 166 148 140 190 136 240", HAIR_LIGHT, 0.60, 6.0, 4),
        ("M 206 100 C 172 110 146 138 134 172", 0xd8834e, 0.5, 5.0, 4),
        ("M 238 112 C 282 106 322 122 346 152", 0xdd8b55, 0.55, 5.0, 4),
    ] {
        c.line(Some(&crown), &path(strand)?, color(rgb, opacity), width, blur)?;
    }
    Some(c.into_pixmap())
}

/// Where the head turns: the top of the neck.
pub fn neck_pivot(roll_degrees: f32, shift: (f32, f32)) -> Transform {
    Transform::from_rotate_at(roll_degrees, 256.0, 390.0).post_translate(shift.0, shift.1)
}
