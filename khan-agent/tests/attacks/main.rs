//! Attacks on the program: tables that floods make, readers that do not read, callers that hang up. Bounds are those of
//! DESIGN.md's budget and of `docs/attacks.md`.

mod connections;
mod flood;
#[path = "../kernel/page.rs"]
mod page;
mod pipeline;
mod probes;
mod support;
