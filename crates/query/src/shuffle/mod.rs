//! Rows on their way from one stage to the next: written as files, named by who wrote them, read through a seam.

mod attempt;
mod codec;
mod dir;
mod facts;
mod frame;
mod local;
mod read;
mod source;
mod write;

pub(crate) use codec::Codec;
pub use dir::ShuffleDir;
pub(crate) use facts::Facts;
pub(crate) use read::{Inputs, ReadMode, ShuffleRead};
pub use source::{ByteStream, FetchFailed, ShufflePart, ShuffleSource};
pub use write::Sink;
pub(crate) use write::Writer;
