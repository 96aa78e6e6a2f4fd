//! HTTP/1.1 (RFC 9112), as far as a page, an API and an upgrade to WebSocket need it.
//! Nothing here touches a socket: bytes go in, requests come out, responses become bytes.

mod accept;
mod body;
pub(crate) mod candidates;
mod cors;
mod error_page;
mod logo;
mod look;
mod metrics;
#[cfg(test)]
mod openapi;
mod pages;
pub(crate) mod peers;
mod request;
mod response;
mod routes;
pub(crate) mod sessions;
mod static_files;
mod status;
mod target;
mod upload;

pub(crate) use body::Framing;
pub(crate) use cors::Cors;
pub(crate) use pages::Visit;
pub(crate) use request::{HttpReader, Request, Step};
pub(crate) use response::Response;
pub(crate) use routes::{Call, Handler, Plan, Reply, Routes, Target};
pub(crate) use upload::{PIECE_BYTES, UploadReader, UploadWriter, upload};
