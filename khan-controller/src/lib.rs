//! `khan-controller`: watches pods, services and nodes, and answers "whose are these addresses?".

pub mod objects;

pub mod index;
