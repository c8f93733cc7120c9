//! The ways in which the server can fail, and a record of what it was asked.

/// How the server misbehaves for one resource.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Answer these verbs with 403.
    pub forbid: Vec<&'static str>,
    /// Answer everything with this status, this many times.
    pub fail: Option<(u16, usize)>,
    /// What it does when it is asked to stream a list.
    pub streaming: Streaming,
    /// Open watches say nothing more, not even bookmarks, and never end.
    pub hang: bool,
    /// Break off the body of this many lists in the middle.
    pub cut_lists: usize,
    /// Break off this many watches in the middle of an event.
    pub cut_watches: usize,
    /// Begin lists but never finish them.
    pub stall_lists: bool,
}

/// What the server does when it is asked to stream a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Streaming {
    #[default]
    /// The list comes, and the watch goes on.
    Works,
    /// 422, as of a server without the feature.
    Refused,
    /// 500, as of a server whose etcd is too old to tell how far it is (Kubernetes 1.34 and later).
    Unsupported,
    /// 200, and then an event that says 500.
    Fails,
    /// No answer at all.
    Silent,
    /// The connection breaks in the middle of the first event.
    Cut,
    /// The answer ends, in good order, before the list does.
    Short,
    /// The list comes, but never the bookmark that says that it is complete.
    Endless,
}

/// What was asked of the server for one resource.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    /// Pages of lists.
    pub lists: usize,
    /// Watches, streamed lists included.
    pub watches: usize,
    /// Requests for streamed lists, refused ones included.
    pub streamed: usize,
    /// Requests for a resource or a version that the server does not have.
    pub absent: usize,
    /// Largest number of objects in one page of a list.
    pub largest_page: usize,
}
