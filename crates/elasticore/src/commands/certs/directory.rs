//! The files. Keys are for their owner alone (mode 0600), and nothing is overwritten but by `renew` and `rotate`.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use tls::{Authority, Facts, Issued};

use super::PlaceArgs;
use crate::exit::UsageError;

const PRIVATE: u32 = 0o600;
const PUBLIC: u32 = 0o644;

/// Where everything is.
#[derive(Debug)]
pub(super) struct Directory {
    dir: PathBuf,
    authority: PathBuf,
}

impl Directory {
    pub(super) fn of(place: &PlaceArgs) -> Self {
        Self {
            dir: place.dir.clone(),
            authority: place.authority_dir.clone().unwrap_or_else(|| place.dir.join("authority")),
        }
    }

    /// What all nodes trust.
    pub(super) fn bundle(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    pub(super) fn certificate(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.pem"))
    }

    fn key(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.key"))
    }

    fn authority_certificate(&self) -> PathBuf {
        self.authority.join("ca.pem")
    }

    fn authority_key(&self) -> PathBuf {
        self.authority.join("ca.key")
    }

    /// Makes the directories.
    pub(super) fn make(&self) -> anyhow::Result<()> {
        for (path, mode) in [(&self.dir, 0o755), (&self.authority, 0o700)] {
            let made = DirBuilder::new().recursive(true).mode(mode).create(path);
            made.with_context(|| format!("{} cannot be made", path.display()))?;
        }
        Ok(())
    }

    /// Refuses what would overwrite something.
    pub(super) fn refuse_existing<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> anyhow::Result<()> {
        for name in names {
            for path in [self.certificate(name), self.key(name)] {
                refuse_existing(&path)?;
            }
        }
        Ok(())
    }

    /// Refuses to make an authority where there is one.
    pub(super) fn refuse_authority(&self) -> anyhow::Result<()> {
        for path in [self.authority_key(), self.authority_certificate(), self.bundle()] {
            refuse_existing(&path)?;
        }
        Ok(())
    }

    /// Keeps a new authority, the first or another one.
    pub(super) fn keep_authority(&self, issued: &Issued) -> anyhow::Result<()> {
        write(&self.authority_key(), &issued.key, PRIVATE)?;
        write(&self.authority_certificate(), &issued.certificate, PUBLIC)
    }

    /// Keeps what all nodes trust.
    pub(super) fn keep_bundle(&self, text: &str) -> anyhow::Result<()> {
        write(&self.bundle(), text, PUBLIC)
    }

    pub(super) fn read_bundle(&self) -> anyhow::Result<String> {
        read(&self.bundle())
    }

    pub(super) fn read_authority_certificate(&self) -> anyhow::Result<String> {
        read(&self.authority_certificate())
    }

    /// What the certificate of the authority that signs says.
    pub(super) fn authority_facts(&self) -> anyhow::Result<Facts> {
        let mut facts = Facts::read(&self.authority_certificate()).map_err(super::refused)?;
        Ok(facts.swap_remove(0))
    }

    /// The authority that signs.
    pub(super) fn open_authority(&self) -> anyhow::Result<Authority> {
        let until = self.authority_facts()?.not_after;
        let own = Issued {
            certificate: self.read_authority_certificate()?,
            key: read(&self.authority_key())?,
        };
        Authority::open(&own, until).map_err(super::refused)
    }

    /// Keeps a certificate and its key. The files stay the same ones: a container that was given one of them would not see another one in its
    /// place.
    pub(super) fn keep(&self, name: &str, issued: &Issued) -> anyhow::Result<()> {
        write(&self.key(name), &issued.key, PRIVATE)?;
        write(&self.certificate(name), &issued.certificate, PUBLIC)
    }

    /// Names of all whose certificates are here, in order.
    pub(super) fn names(&self) -> anyhow::Result<Vec<String>> {
        let entries = std::fs::read_dir(&self.dir).with_context(|| format!("{} cannot be read", self.dir.display()))?;
        let mut names = Vec::new();
        for entry in entries {
            let path = entry?.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            match stem {
                Some(stem) if path.extension().is_some_and(|suffix| suffix == "pem") && stem != "ca" => {
                    names.push(stem.to_owned())
                }
                _ => {}
            }
        }
        names.sort();
        Ok(names)
    }

    /// What the certificate of one of them says.
    pub(super) fn facts(&self, name: &str) -> anyhow::Result<Facts> {
        let mut facts = Facts::read(&self.certificate(name)).map_err(super::refused)?;
        Ok(facts.swap_remove(0))
    }
}

fn refuse_existing(path: &Path) -> anyhow::Result<()> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("{} cannot be looked at", path.display())),
        Ok(_) => {
            let reason = format!(
                "{} is there already and is not overwritten; `certs renew` makes certificates anew",
                path.display()
            );
            Err(UsageError(reason).into())
        }
    }
}

fn write(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let written = || -> std::io::Result<()> {
        let mut file: File = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    written().with_context(|| format!("{} cannot be written", path.display()))
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}
