//! HTTP/1.1 (RFC 9112), as far as a page, an API and an upgrade to WebSocket need it.
//! Nothing here touches a socket: bytes go in, requests come out, responses become bytes.

mod accept;
pub(crate) mod body;
mod branding;
pub(crate) mod cors;
mod error_page;
mod logo;
mod metrics;
#[cfg(test)]
mod openapi_tests;
mod pages;
mod peers;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod route;
pub(crate) mod routes;
mod sessions;
pub(crate) mod static_files;
mod status;
mod target;
pub(crate) mod upload;
