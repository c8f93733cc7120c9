//! The reader of dumps against an independent one (netlink-packet-netfilter), on what a kernel wrote, on what is made up,
//! and on what is broken.

mod captured;
mod datagram;
mod generated;
mod oracle;
mod replay;
mod script;
