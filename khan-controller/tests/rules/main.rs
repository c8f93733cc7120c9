//! The rules of the index, each driven through `apply`, `delete` and `reset` in every order that watches can deliver.

mod cursors;
mod endpoints;
mod history;
#[path = "../whole/manifests.rs"]
mod manifests;
mod model;
mod objects;
mod ownership;
mod world;
