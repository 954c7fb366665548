//! Writing a file so that its name only ever stands for a whole one.

use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use tempfile::TempPath;

/// What the names of this process's unfinished files begin with: `.minkds-`, sixteen hexadecimal digits
/// that no other process has, and a dash. They end in `.part`.
pub fn part_prefix() -> &'static str {
    static PREFIX: LazyLock<String> = LazyLock::new(|| {
        format!(
            ".minkds-{:016x}-",
            RandomState::new().build_hasher().finish()
        )
    });
    &PREFIX
}

/// What to do when the file to be written exists already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Leave it alone and report [`WriteError::Exists`].
    Refuse,
    /// Replace it, keeping its permission bits.
    Overwrite,
}

/// Where [`write_atomically`] lets its caller write: buffered, and able to seek.
///
/// It remembers the first error of the disk and refuses everything after it. Encoders may turn that
/// error into text, or drop it when they write their last bytes as they go out of scope.
pub struct Sink<'a> {
    file: BufWriter<&'a File>,
    failure: Option<io::Error>,
}

impl<'a> Sink<'a> {
    fn new(file: &'a File) -> Self {
        Self {
            file: BufWriter::new(file),
            failure: None,
        }
    }

    fn attempt<T>(
        &mut self,
        action: impl FnOnce(&mut BufWriter<&'a File>) -> io::Result<T>,
    ) -> io::Result<T> {
        if let Some(failure) = &self.failure {
            return Err(failure.kind().into());
        }
        action(&mut self.file).map_err(|error| {
            let kind = error.kind();
            // The one error after which callers try again.
            if kind != io::ErrorKind::Interrupted {
                self.failure = Some(error);
            }
            kind.into()
        })
    }

    /// The first error of the disk if there was one, else what `written` says.
    fn finish(mut self, written: io::Result<()>) -> io::Result<()> {
        let written = written.and_then(|()| self.flush());
        self.failure.map_or(written, Err)
    }
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.attempt(|file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.attempt(|file| file.flush())
    }
}

impl Seek for Sink<'_> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.attempt(|file| file.seek(position))
    }
}

/// Why a file could not be written. Nothing half-written is left behind in any of these cases.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("{} exists already; allow overwriting or choose another name", path.display())]
    Exists { path: PathBuf },

    #[error("cannot write {}: it is a folder or a device, not a file; choose another name", path.display())]
    NotAFile { path: PathBuf },

    #[error("cannot write {}: {cause}; {}", path.display(), advice(cause))]
    Failed { path: PathBuf, cause: io::Error },
}

fn advice(cause: &io::Error) -> &'static str {
    use io::ErrorKind::*;
    match cause.kind() {
        NotFound | NotADirectory => "create its folder first",
        PermissionDenied | ReadOnlyFilesystem => "choose a folder you may write to",
        StorageFull | QuotaExceeded | FileTooLarge => "free some space or choose another disk",
        _ => "choose another folder or name",
    }
}

/// Writes the file `path` through `write`: all of it, or nothing.
///
/// The bytes go to a hidden temporary file in the same folder (see [`part_prefix`]), which
/// reaches the disk before it takes the name `path`. If anything fails, or `write` returns an
/// error, the temporary file is removed and whatever `path` named before is untouched. A symbolic
/// link is followed, so that the link stays and its target is replaced.
///
/// # Errors
/// [`WriteError`], with the error of `write` as the cause of [`WriteError::Failed`].
pub fn write_atomically(
    path: &Path,
    existing: Existing,
    write: impl FnOnce(&mut Sink<'_>) -> io::Result<()>,
) -> Result<(), WriteError> {
    let failed = |cause: io::Error| WriteError::Failed {
        path: path.into(),
        cause,
    };
    refuse_existing(path, existing)?;

    let part = new_part(path).map_err(failed)?;
    let mut sink = Sink::new(part.as_file());
    let written = write(&mut sink);
    sink.finish(written).map_err(failed)?;
    part.as_file().sync_all().map_err(failed)?;
    place(part.into_temp_path(), path, existing).map_err(|unplaced| unplaced.error)
}

/// A file that did not get its name.
#[derive(Debug)]
pub struct Unplaced {
    /// Why.
    pub error: WriteError,
    /// The file, removed when this is dropped.
    pub part: TempPath,
}

/// An empty hidden file beside `path`, where links lead, for what is to become `path` later: see [`place`].
pub fn new_part(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.into());
    let folder = match target.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(part_prefix()).suffix(".part");
    #[cfg(unix)]
    {
        // Temporary files are private by default; this one becomes an ordinary file, so the umask
        // decides.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// Gives the finished `part` the name `path`, in one step of the file system. Its content must have reached
/// the disk. A file that is replaced hands on its permission bits, a link to it stays.
///
/// # Errors
/// [`Unplaced`], which holds `part`; whatever `path` named before is untouched.
pub fn place(part: TempPath, path: &Path, existing: Existing) -> Result<(), Unplaced> {
    let failed = |cause: io::Error| WriteError::Failed {
        path: path.into(),
        cause,
    };
    if let Err(error) = refuse_existing(path, existing) {
        return Err(Unplaced { error, part });
    }
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.into());
    if let Ok(replaced) = fs::metadata(&target)
        && let Err(cause) = fs::set_permissions(&part, replaced.permissions())
    {
        let error = failed(cause);
        return Err(Unplaced { error, part });
    }
    let persisted = match existing {
        Existing::Overwrite => part.persist(&target),
        Existing::Refuse => part.persist_noclobber(&target),
    };
    persisted.map_err(|error| Unplaced {
        part: error.path,
        error: match error.error.kind() {
            io::ErrorKind::AlreadyExists => WriteError::Exists { path: path.into() },
            _ => failed(error.error),
        },
    })
}

/// Reports, without writing anything, the cases in which [`write_atomically`] would refuse what
/// stands at `path`.
pub(super) fn refuse_existing(path: &Path, existing: Existing) -> Result<(), WriteError> {
    // Not `Path::exists`, for which a dangling link is nothing.
    if existing == Existing::Refuse && fs::symlink_metadata(path).is_ok() {
        return Err(WriteError::Exists { path: path.into() });
    }
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => Err(WriteError::NotAFile { path: path.into() }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn names(folder: &TempDir) -> Vec<String> {
        let entries = fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_new_file_is_written_and_nothing_else_stays() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("new.bin");
        for existing in [Existing::Refuse, Existing::Overwrite] {
            write_atomically(&path, existing, |sink| sink.write_all(b"whole")).unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"whole");
            assert_eq!(names(&folder), ["new.bin"]);
            fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn while_writing_there_is_only_the_hidden_part() {
        let folder = TempDir::new().unwrap();
        write_atomically(&folder.path().join("new.bin"), Existing::Refuse, |_| {
            let names = names(&folder);
            assert!(
                names.len() == 1 && names[0].starts_with(".minkds-") && names[0].ends_with(".part"),
                "{names:?}"
            );
            Ok(())
        })
        .unwrap();
    }

    #[test]
    fn an_existing_file_is_kept_or_replaced_as_asked() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("old.bin");
        fs::write(&path, "old").unwrap();
        let error = write_atomically(&path, Existing::Refuse, |_| {
            unreachable!("refused before writing")
        })
        .unwrap_err();
        assert!(matches!(error, WriteError::Exists { .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");

        write_atomically(&path, Existing::Overwrite, |sink| sink.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(&folder), ["old.bin"]);
    }

    #[test]
    fn a_file_that_appears_while_writing_is_not_clobbered() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("raced.bin");
        let error =
            write_atomically(&path, Existing::Refuse, |_| fs::write(&path, "theirs")).unwrap_err();
        assert!(matches!(error, WriteError::Exists { .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"theirs");
        assert_eq!(names(&folder), ["raced.bin"]);
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("old.bin");
        fs::write(&path, "old").unwrap();
        let error = write_atomically(&path, Existing::Overwrite, |sink| {
            sink.write_all(&[0; 100_000])?;
            Err(io::ErrorKind::StorageFull.into())
        })
        .unwrap_err();
        let message = error.to_string();
        assert!(
            message.contains("old.bin") && message.contains("free some space"),
            "{message}"
        );
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(&folder), ["old.bin"]);
    }

    /// Linux has a file for which every disk is full.
    #[cfg(target_os = "linux")]
    #[test]
    fn an_error_of_the_disk_is_not_lost_whatever_the_encoder_makes_of_it() {
        let full = fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let encoders: [fn(&mut Sink<'_>) -> io::Result<()>; 3] = [
            |sink| sink.write_all(&[0; 100]),
            |sink| {
                let result = sink.write_all(&[0; 100_000]);
                result.map_err(|error| io::Error::other(error.to_string()))
            },
            |sink| {
                let _ = sink.write_all(&[0; 100_000]);
                sink.rewind().ok();
                Ok(())
            },
        ];
        for encoder in encoders {
            let mut sink = Sink::new(&full);
            let written = encoder(&mut sink);
            let error = sink.finish(written).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{error}");
        }
    }

    #[test]
    fn a_missing_folder_and_a_folder_in_the_way_are_refused() {
        let folder = TempDir::new().unwrap();
        let missing = folder.path().join("missing").join("a.bin");
        let message = write_atomically(&missing, Existing::Refuse, |_| Ok(()))
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("a.bin") && message.contains("create its folder first"),
            "{message}"
        );

        let error = write_atomically(folder.path(), Existing::Overwrite, |_| Ok(())).unwrap_err();
        assert!(matches!(error, WriteError::NotAFile { .. }), "{error}");
        assert_eq!(names(&folder), [""; 0]);
    }

    #[cfg(unix)]
    #[test]
    fn permissions_are_those_of_an_ordinary_new_file_or_of_the_replaced_one() {
        use std::os::unix::fs::PermissionsExt;
        let folder = TempDir::new().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;

        let ordinary = folder.path().join("ordinary");
        fs::write(&ordinary, "").unwrap();
        let path = folder.path().join("new");
        write_atomically(&path, Existing::Refuse, |_| Ok(())).unwrap();
        assert_eq!(mode(&path), mode(&ordinary));

        fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
        write_atomically(&path, Existing::Overwrite, |_| Ok(())).unwrap();
        assert_eq!(mode(&path), 0o604);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link_and_its_target_is_replaced() {
        let folder = TempDir::new().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        fs::write(&target, "old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        write_atomically(&link, Existing::Overwrite, |sink| sink.write_all(b"new")).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&target).unwrap(), b"new");

        let dangling = folder.path().join("dangling");
        std::os::unix::fs::symlink(folder.path().join("nowhere"), &dangling).unwrap();
        let error = write_atomically(&dangling, Existing::Refuse, |_| Ok(())).unwrap_err();
        assert!(matches!(error, WriteError::Exists { .. }), "{error}");
    }
}
