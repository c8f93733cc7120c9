//! The whole program against an API server that speaks list, watch, bookmarks, 410 and streamed lists over real sockets.

mod attacks;
mod authentication;
mod bad_input;
mod client;
mod endpoint_slices;
mod faults;
mod files;
mod manifests;
mod program;
mod resolving;
mod service_cidrs;
mod watching;
