//! How coarse a keyframe must be to be small.

/// Finest and coarsest quantizer of a keyframe. Beyond the upper one a face falls apart into
/// blocks; a keyframe over its budget is the smaller evil then.
const QP_RANGE: (i32, i32) = (18, 42);
/// Bits per pixel of a typical picture at quantizer 28; used before any keyframe was seen.
const TYPICAL_BITS_PER_PIXEL: f64 = 0.5;

/// Predicts the size of keyframes: it halves with every six steps of the quantizer, because the
/// quantizer's step width doubles (ITU-T H.264 §8.5.9).
#[derive(Debug, Clone, Copy)]
pub(super) struct IntraModel {
    /// Bits times step width, of the last keyframe.
    complexity: f64,
}

impl IntraModel {
    pub(super) fn new(pixels: u32) -> Self {
        Self { complexity: f64::from(pixels) * TYPICAL_BITS_PER_PIXEL * step_width(28) }
    }

    /// The finest quantizer that should meet a budget.
    pub(super) fn qp_for(&self, budget_bits: f64) -> i32 {
        let qp = 6.0 * (self.complexity / budget_bits.max(1.0)).log2();
        (qp.ceil() as i32).clamp(QP_RANGE.0, QP_RANGE.1)
    }

    /// Takes note of what a keyframe took.
    pub(super) fn learn(&mut self, qp: i32, bits: f64) {
        self.complexity = bits.max(1.0) * step_width(qp);
    }
}

/// Relative step width of a quantizer.
fn step_width(qp: i32) -> f64 {
    (f64::from(qp) / 6.0).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_the_budget_costs_six_steps() {
        let mut model = IntraModel::new(512 * 512);
        model.learn(30, 80_000.0);
        assert_eq!(model.qp_for(80_000.0), 30);
        assert_eq!(model.qp_for(40_000.0), 36);
        assert_eq!(model.qp_for(160_000.0), 24);
    }

    #[test]
    fn the_quantizer_stays_in_range() {
        let mut model = IntraModel::new(512 * 512);
        assert_eq!(model.qp_for(0.0), QP_RANGE.1);
        assert_eq!(model.qp_for(f64::MAX), QP_RANGE.0);
        model.learn(30, 0.0);
        assert_eq!(model.qp_for(1e6), QP_RANGE.0);
    }
}
