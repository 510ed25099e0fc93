//! What became of the name of a file that is read.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::reader::Reader;

/// What the name stands for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::watch::source) enum Name {
    Same,
    /// It is the same file, but was cut or written anew.
    Truncated,
    /// It has another file.
    Replaced {
        is_empty: bool,
    },
    /// It has no file.
    Missing,
}

/// What became of the name `path` of the file that is read. Blocking.
pub(in crate::watch::source) fn name_of(path: &Path, reader: &Reader) -> io::Result<Name> {
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Name::Missing),
        Err(error) => return Err(error),
    };
    let place = reader.place();
    if (metadata.dev(), metadata.ino()) != (place.device, place.inode) {
        return Ok(Name::Replaced { is_empty: metadata.len() == 0 });
    }
    Ok(if reader.is_unchanged()? { Name::Same } else { Name::Truncated })
}
