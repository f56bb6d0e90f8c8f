//! Settings: defaults → file → environment → flags, flat names, every problem reported at once.
//!
//! A service declares one flat struct with serde defaults; the name of a field is the key in the file
//! (`cache_size`), the flag (`--cache-size`) and, upper-cased, the environment variable (`CACHE_SIZE`).

mod discreet;
mod invocation;
mod load;
mod names;
mod secret_files;
mod values;
mod wording;

pub use invocation::Invocation;
pub use load::{Problems, Sources, load};
pub use values::{ByteSize, HumanDuration, List, Secret, Switch};

/// A flat struct of settings.
pub trait Settings: Default + serde::Serialize + serde::de::DeserializeOwned {
    /// Other names of environment variables: `(alias, field)`.
    const ALIASES: &'static [(&'static str, &'static str)] = &[];

    /// What is wrong with values that are each valid alone: one sentence each, naming the variable and what to do.
    fn problems(&self) -> Vec<String> {
        Vec::new()
    }
}
