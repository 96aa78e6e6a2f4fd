use visavis_types::FrameSize;

/// Paints a talking head into RGBA pixels: a textured background that stands still, a shaded head that
/// sways, a mouth that opens and closes, and camera noise over all. `n` is the picture's number at 30 a
/// second.
pub(super) fn paint(size: FrameSize, n: u32, pixels: &mut Vec<u8>) {
    let (width, height) = (size.width() as f32, size.height() as f32);
    let time = n as f32 / 30.0;
    let (center_x, center_y) =
        (width * (0.5 + 0.05 * (time * 2.1).sin()), height * (0.45 + 0.03 * (time * 3.3).sin()));
    let (radius_x, radius_y) = (width * 0.22, height * 0.32);
    let mouth = 0.07 + 0.05 * (time * 11.0).sin();
    let mut noise = n.wrapping_mul(2_654_435_761) | 1;
    pixels.clear();
    pixels.reserve(size.width() as usize * size.height() as usize * 4);
    for row in 0..size.height() {
        for column in 0..size.width() {
            let (x, y) = (column as f32, row as f32);
            let (dx, dy) = ((x - center_x) / radius_x, (y - center_y) / radius_y);
            let distance = dx * dx + dy * dy;
            let lips = (dx / 0.35).powi(2) + ((dy - 0.45) / mouth).powi(2);
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let grain = (noise >> 30) as f32;
            let [r, g, b] = if lips < 1.0 {
                [120.0, 40.0, 45.0]
            } else if distance < 1.0 {
                let shade = 1.0 - 0.35 * distance + 0.03 * (dx * 25.0).sin() * (dy * 31.0).sin();
                [230.0 * shade, 180.0 * shade, 150.0 * shade]
            } else {
                let wall = 90.0
                    + 40.0 * (x / width * 3.0).sin()
                    + 14.0 * (x * 0.21).sin() * (y * 0.17).sin();
                [wall * 0.6, wall, wall * 1.05]
            };
            pixels.extend([r, g, b].map(|level| (level + grain) as u8));
            pixels.push(255);
        }
    }
}
