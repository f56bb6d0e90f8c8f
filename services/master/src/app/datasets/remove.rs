//! Removing files and datasets. Their blobs go later, when nobody can be reading them any more.

use super::change::Change;
use super::read::absent;
use super::{Datasets, Error, Name};

impl Datasets {
    /// Removes a dataset.
    ///
    /// # Errors
    /// [`Error::NotFound`], or when the store does not answer.
    pub async fn remove(&self, name: &Name) -> Result<(), Error> {
        let mut asked = false;
        self.change(name, None, |held| match held {
            Some(_) => {
                asked = true;
                Ok(Change::To(None, ()))
            }
            // An attempt whose outcome was not known.
            None if asked => Ok(Change::Done(())),
            None => Err(absent(name)),
        })
        .await
    }

    /// Removes a file of a dataset, and the dataset with its last file.
    ///
    /// # Errors
    /// [`Error::NotFound`], or when the store does not answer.
    pub async fn remove_file(&self, name: &Name, path: &str) -> Result<(), Error> {
        let mut asked = false;
        self.change(name, None, |held| {
            let there = held.as_ref().is_some_and(|held| held.file(path).is_some());
            match held {
                Some(mut held) if there => {
                    asked = true;
                    held.files.retain(|file| file.path != path);
                    Ok(Change::To(Some(held).filter(|held| !held.files.is_empty()), ()))
                }
                _ if asked => Ok(Change::Done(())),
                Some(_) => Err(Error::NotFound(format!("dataset {name} has no file {path:?}"))),
                None => Err(absent(name)),
            }
        })
        .await
    }
}
