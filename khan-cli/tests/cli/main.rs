//! The whole program, as a user starts it, against HTTP servers that answer well and badly.

mod agents;
mod bad_input;
mod choice;
mod cluster;
mod doctor;
mod hostile;
mod khan;
mod leaks;
mod manners;
mod node;
mod node_port;
mod output;
mod partial;
mod prometheus;
mod who;
