//! Backups on a real disk.

mod damage;
mod directory;
mod faults;
mod items;
