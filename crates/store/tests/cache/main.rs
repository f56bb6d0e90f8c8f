//! The cache from outside: facts, each shown by an example or by a property.

mod facts;
mod keep;
mod owners;
mod quotas;
mod replicas;
mod sync;
mod writes;
