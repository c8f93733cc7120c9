//! The agent against a real kernel's table, in network namespaces of the test's own. `conntrack -L -o xml` is the witness.

mod churn;
mod controller;
mod dead;
mod direction;
mod ended;
mod exposition;
mod folding;
mod ghosts;
mod idle;
mod load;
mod local_routes;
mod mapped;
mod nat;
mod once;
mod page;
mod program;
mod rows;
mod scrapers;
mod snat;
mod states;
mod stuck;
mod support;
mod maps;
mod tables;
mod visibility;
mod zones;
