//! H264 by NVENC, NVIDIA's hardware encoder.
//!
//! The libraries of the driver (`libcuda.so.1`, `libnvidia-encode.so.1`) are opened while running, so that what is
//! built with this crate runs on machines without them. [`NvencMaker::open`] looks at one GPU and says with a
//! [`NvencError`] why it cannot encode; the maker then makes encoders for the engine's list.
//!
//! Pictures come from host memory (I420, NV12), which costs one copy into the driver's buffer, or lie in the GPU's
//! memory already ([`CudaPicture`]), which costs none.
//!
//! ```no_run
//! use visavis_nvenc::{NvencConfig, NvencMaker};
//!
//! match NvencMaker::open(NvencConfig::default()) {
//!     Ok(maker) => println!("{} encodes", maker.gpu_name()),
//!     Err(why) => println!("no NVENC: {why}"),
//! }
//! ```
//!
//! | file | what |
//! |---|---|
//! | `libraries` | which files are opened |
//! | `cuda` | contexts and memory of the GPU |
//! | `api` | NVENC's function table, its version |
//! | `session`, `buffers`, `encode_session` | one encoding session, its buffers, a picture's way through it |
//! | `params` | what a session is configured with |
//! | `references` | long-term references and temporal layers |
//! | `encoder`, `maker` | what the engine's list wants |
//! | `health` | whether encoders of the GPU fail again and again |

mod api;
mod buffers;
mod config;
mod cuda;
mod encode_session;
mod encoder;
mod error;
mod health;
mod libraries;
mod maker;
mod params;
mod picture;
mod references;
mod session;

pub use config::{NvencConfig, Preset};
pub use error::{ApiVersion, NvencError};
pub use libraries::Libraries;
pub use maker::NvencMaker;
pub use picture::{CudaFormat, CudaPicture, DEVICE, PictureError};
