//! Parts of Khan and of the cluster fail and come back: which numbers stay right, what says so, and how soon all is well.
//! `cargo test -p khan-lab --test faults -- --nocapture` prints how soon; `docs/faults.md` has the table.

mod clock;
mod files;
mod network;
mod programs;
mod prometheus;
mod scene;
mod table;
