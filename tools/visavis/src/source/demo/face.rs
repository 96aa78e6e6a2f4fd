//! The talking face: the painted layers moved to their places, and the living parts drawn on them.

use tiny_skia::{PixmapMut, Transform};

use super::features::{Eyes, draw_mouth};
use super::layer::Stretch;
use super::motion::Pose;
use super::mouth::MouthShape;
use super::portrait::{Portrait, SIDE, neck_pivot};

/// Draws the face at any moment. A frame depends on the moment and the mouth alone.
pub struct Face {
    portrait: Portrait,
    eyes: Eyes,
}

/// Below this line the head gives way when the jaw drops.
const JAW_LINE: f32 = 296.0;

impl Face {
    /// Bytes of one frame: RGBA, [`SIDE`] pixels square.
    pub const FRAME_BYTES: usize = (SIDE * SIDE * 4) as usize;

    /// Paints the still layers, which takes a moment; `None` if memory for a layer is refused.
    pub fn new() -> Option<Self> {
        Some(Self { portrait: Portrait::paint()?, eyes: Eyes::new()? })
    }

    /// Draws the face at `seconds` of media time into `out`, which is [`Self::FRAME_BYTES`] long; a
    /// buffer of another length is left as it is.
    pub fn draw(&mut self, seconds: f64, voice: &MouthShape, out: &mut [u8]) -> Option<()> {
        if out.len() != Self::FRAME_BYTES {
            return None;
        }
        let pose = Pose::at(seconds, voice);
        let width = SIDE as usize;
        let layers = &self.portrait;
        out.copy_from_slice(&layers.backdrop);

        // What is nearer to the viewer moves more when the head turns: that is all the depth there is.
        let head = neck_pivot(pose.roll, pose.shift);
        let at =
            |nearness: f32| head.pre_translate(nearness * pose.yaw, nearness * 0.8 * pose.pitch);
        let breath = Transform::from_translate(0.25 * pose.shift.0, 3.0 - 2.4 * pose.breath);
        let jaw = Stretch { below: JAW_LINE, by: 0.075 * voice.open };
        layers.hair_back.draw(out, width, at(-1.6), None);
        layers.body.draw(out, width, breath, None);
        layers.head.draw(out, width, at(0.0), Some(jaw));

        let mut canvas = PixmapMut::from_bytes(out, SIDE, SIDE)?;
        draw_mouth(&mut canvas, &pose, voice, at(4.0))?;
        self.eyes.draw(&mut canvas, &pose, at(3.4))?;
        layers.nose.draw(out, width, at(5.4), None);
        layers.hair_front.draw(out, width, at(1.8), None);
        Some(())
    }
}
