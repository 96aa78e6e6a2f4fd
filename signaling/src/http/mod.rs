//! HTTP/1.1 (RFC 9112), as far as a page, a few figures and an upgrade to WebSocket need it.
//! Nothing here touches a socket: bytes go in, requests come out, responses become bytes.

mod request;
mod response;
mod routes;
mod static_files;
mod status;

pub(crate) use request::{HttpReader, Request, Step};
pub(crate) use response::Response;
pub(crate) use routes::{Reply, Routes};
