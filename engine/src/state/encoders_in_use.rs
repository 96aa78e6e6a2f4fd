use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::status::VideoEncoderStatus;

/// Which encoders a session's pictures are made with. Written by its encode loop, when it makes one or lets go of it;
/// read by status.
#[derive(Debug, Default)]
pub(crate) struct EncodersInUse(ArcSwap<Vec<VideoEncoderStatus>>);

impl EncodersInUse {
    pub(crate) fn set(&self, encoders: Vec<VideoEncoderStatus>) {
        self.0.store(Arc::new(encoders));
    }

    pub(crate) fn list(&self) -> Vec<VideoEncoderStatus> {
        self.0.load().to_vec()
    }
}
