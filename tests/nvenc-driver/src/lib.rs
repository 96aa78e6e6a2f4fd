//! A conformance check of what visavis asks of NVIDIA's driver: a library with the functions of `libcuda.so.1` and of
//! `libnvidia-encode.so.1` that the engine uses.
//!
//! It is strict about what NVIDIA's documentation demands: versions of structures, the order of calls, ranges, which
//! context is current on which thread, how long buffers, registrations and mappings live, one call of a session at a
//! time. What is amiss is noted, and answered as the driver would. Pictures are encoded in software (openh264), so that
//! what comes out decodes. "Memory of the GPU" is memory of the host.
//!
//! It says nothing about what a real encoder makes of the same calls, how fast it is, or how its pictures look.
//!
//! Whoever opens it controls it by `standin_set`, `standin_get`, `standin_fail` and `standin_violations`, or, before the
//! first call, by the environment variable `NVENC_STANDIN`: items `KEY=VALUE` and `fail:FUNCTION:SKIP:TIMES:STATUS`,
//! separated by commas.
//!
//! | key | what | default |
//! |---|---|---|
//! | `version` | version of the interface, major · 16 + minor | 12.1 |
//! | `devices` | GPUs | 1 |
//! | `encoder`, `h264` | whether they have an encoder, and one for H264 | 1 |
//! | `sessions_max` | sessions at once | 64 |
//! | `min_width`, `min_height` | the least size | 146, 50 |
//! | `ltr`, `layers` | long-term references, temporal layers | 8, 4 |
//! | `delay_us` | how long a picture takes | 0 |
//! | `lost` | whether the GPU is gone | 0 |
//!
//! To be read: what there is now (`sessions`, `buffers`, `registered`, `mapped`, `allocations`, `contexts`, and `current`:
//! contexts on the stacks of threads), what is counted (`opened`, `pictures`, `keyframes`, `host_copies`, `reconfigured`,
//! `invalidated`, `recovered`), and of the last configuration `config.bps`, `config.vbv_bits`, `config.fps`,
//! `config.preset`, `config.two_pass`.

mod call;
mod control;
mod cuda;
mod encode;
mod nvenc;
mod resources;
mod session;
mod state;
