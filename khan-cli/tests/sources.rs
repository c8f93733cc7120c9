//! Sources against real sockets: a server made by hand answers well and badly, and every failure reads as one sentence.

mod sources {
    mod cluster;
    mod fetch;
    mod forward;
    mod poll;
    mod prom;
    mod secured;
    mod server;
}
