//! The peers, one file each: the code that the drivers need, tuned only as their own documents say.

pub(crate) mod actix;
pub(crate) mod async_channel;
pub(crate) mod async_fs;
pub(crate) mod crossbeam;
pub(crate) mod dart;
pub(crate) mod flume;
pub(crate) mod frames;
pub(crate) mod hand;
pub(crate) mod kameo;
pub(crate) mod kanal;
pub(crate) mod limits;
pub(crate) mod mailboxes;
pub(crate) mod python;
pub(crate) mod ractor;
pub(crate) mod rayon;
pub(crate) mod runtimes;
pub(crate) mod std_mpsc;
pub(crate) mod tarpc;
pub(crate) mod threadpool;
pub(crate) mod tokio;
pub(crate) mod tokio_io;
pub(crate) mod tokio_native;
pub(crate) mod tokio_time;
pub(crate) mod xtra;
