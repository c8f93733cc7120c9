//! The whole program, as a user starts it, against HTTP servers that answer well and badly.

mod agents;
mod bad_input;
mod balance;
mod choice;
mod cluster;
mod crowd;
mod diff;
mod doctor;
mod hostile;
mod khan;
mod leaks;
mod manners;
mod node;
mod node_port;
mod output;
mod partial;
mod problems;
mod prometheus;
mod schema;
mod who;

#[allow(dead_code, reason = "shared with the tests of the screen")]
#[path = "../screen/session.rs"]
mod session;
#[allow(dead_code, reason = "shared with the tests of the screen")]
#[path = "../screen/shop.rs"]
mod shop;
#[path = "../screen/tape.rs"]
mod tape;
