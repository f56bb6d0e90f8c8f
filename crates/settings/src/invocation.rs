//! The command line every service understands.

use std::fmt::Write;

use crate::load::to_object;
use crate::{Problems, Settings, Sources, load};

/// What a service was started for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invocation<T> {
    /// To serve, with these settings.
    Serve(T),
    /// To print this and exit: help, version, or the settings as they would apply.
    Print(String),
}

impl<T: Settings> Invocation<T> {
    /// Understands the arguments of `program` (without its name) together with the environment.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn of_process(program: &str, about: &str, version: &str) -> Result<Self, Problems> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let asks = |flags: &[&str]| arguments.iter().any(|argument| flags.contains(&argument.as_str()));
        if asks(&["--help", "-h"]) {
            return Ok(Self::Print(help::<T>(program, about)));
        }
        if asks(&["--version", "-V"]) {
            return Ok(Self::Print(format!("{program} {version}\n")));
        }
        let print = asks(&["--print-config"]);
        let sources = Sources::of_process(arguments.into_iter().filter(|argument| argument != "--print-config"))?;
        let settings = load(&sources)?;
        Ok(if print {
            Self::Print(listing(&settings))
        } else {
            Self::Serve(settings)
        })
    }
}

fn help<T: Settings>(program: &str, about: &str) -> String {
    let mut text = format!(
        "{about}\n\nUsage: {program} [--config FILE] [--print-config] [--NAME VALUE]...\n\nSettings, from a TOML or YAML \
         file, the environment (upper case), or flags (--with-dashes); later ones win:\n"
    );
    for (name, default) in to_object(&T::default()) {
        writeln!(text, "  {:<24} {default}", name.to_ascii_uppercase()).expect("a String takes everything");
    }
    text
}

/// One `name = value` line each; a TOML file but for the redacted secrets.
fn listing<T: Settings>(settings: &T) -> String {
    let settings = to_object(settings).into_iter().filter(|(_, value)| !value.is_null());
    settings.fold(String::new(), |text, (name, value)| text + &format!("{name} = {value}\n"))
}
