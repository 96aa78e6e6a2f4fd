/// A temporal layer of a rendition. Pictures refer to none of a layer above their own, so that a viewer may be sent
/// the lower ones alone: fewer pictures a second, for fewer bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TemporalLayer(u8);

impl TemporalLayer {
    /// The one that every viewer gets.
    pub const BASE: Self = Self(0);
    /// As high as it goes.
    pub const HIGHEST: Self = Self(3);

    /// Counted from the base, which is 0. `None` above [`HIGHEST`](Self::HIGHEST).
    pub const fn new(index: u8) -> Option<Self> {
        if index <= Self::HIGHEST.0 { Some(Self(index)) } else { None }
    }

    /// Counted from the base, which is 0.
    pub const fn index(self) -> u8 {
        self.0
    }
}

/// Where a picture stands among the temporal layers of its rendition, where there is more than one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Layering {
    /// Its layer.
    pub layer: TemporalLayer,
    /// Whether a viewer that has had the layers below this one alone may be sent more from here on: the picture
    /// refers to pictures of the base layer only, and no later one refers to a picture of its layer, or of layer 1
    /// if it is of the base, or of any above, that came before it. Keyframes are so anyway.
    pub sync: bool,
    /// How many pictures of the rendition back those are that it refers to, 1 to 127; what is 0 says nothing. None
    /// at all: the one before it, or nothing if it is a keyframe.
    pub refers_back: [u8; 3],
}
