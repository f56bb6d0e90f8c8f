//! The masters that keep the store: who they are, how far each is, and how they come and go.

mod change;
mod execute;
mod promote;
mod status;
mod view;

pub use status::RaftStatus;
pub(crate) use view::LeaderView;
pub use view::{Member, MemberRole};

/// Voters and learners there may be; more cost every write and add no safety to speak of.
const MAX_MEMBERS: usize = 7;
