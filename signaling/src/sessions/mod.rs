//! Sessions that are made over HTTP.

pub(crate) mod api;
pub(crate) mod hooks;
pub(crate) mod registry;
pub(crate) mod request;
pub(crate) mod request_body;
pub(crate) mod settings;
