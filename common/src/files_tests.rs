//! What a file is after a write, a failed write and a killed one, and which secrets are refused.

use super::*;

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn names_in(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_write_replaces_the_contents_and_the_mode_and_leaves_nothing_beside() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");

    write_atomic(&path, b"first", PUBLIC).unwrap();
    assert_eq!(
        (fs::read(&path).unwrap().as_slice(), mode_of(&path)),
        (&b"first"[..], 0o644)
    );

    write_atomic(&path, b"second", SECRET).unwrap();
    assert_eq!(
        (fs::read(&path).unwrap().as_slice(), mode_of(&path)),
        (&b"second"[..], 0o600)
    );
    assert_eq!(names_in(directory.path()), ["ledger"]);
}

#[test]
fn a_reader_never_sees_a_part() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    let contents = |byte: u8| vec![byte; 100_000];
    write_atomic(&path, &contents(0), SECRET).unwrap();

    std::thread::scope(|scope| {
        // Two writers of one path are not the rule, but must not make a mixture either.
        for writer in 0..2_u8 {
            let path = &path;
            scope.spawn(move || {
                for round in 0..20_u8 {
                    write_atomic(path, &contents(2 * round + writer), SECRET).unwrap();
                }
            });
        }
        for _ in 0..200 {
            let seen = fs::read(&path).unwrap();
            assert_eq!(seen, contents(seen[0]));
        }
    });
}

#[test]
fn a_failed_write_leaves_the_old_contents_and_nothing_beside() {
    let directory = tempfile::tempdir().unwrap();
    // A directory cannot be replaced by a file: the rename, the last step, is what fails.
    let path = directory.path().join("taken");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("inside"), b"kept").unwrap();

    let error = write_atomic(&path, b"new", SECRET).unwrap_err();

    assert_eq!(
        error.to_string(),
        format!("cannot replace {}", path.display())
    );
    assert_eq!(fs::read(path.join("inside")).unwrap(), b"kept");
    assert_eq!(names_in(directory.path()), ["taken"]);
}

#[test]
fn what_is_made_once_is_never_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.key");
    write_new(&path, b"first", SECRET).unwrap();

    let error = write_new(&path, b"second", SECRET).unwrap_err();

    assert_eq!(error.kind(), Some(io::ErrorKind::AlreadyExists));
    assert_eq!(fs::read(&path).unwrap(), b"first");
    assert_eq!(names_in(directory.path()), ["ca.key"]);
}

#[test]
fn leftovers_of_a_killed_writer_are_removed_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    write_atomic(&path, b"kept", SECRET).unwrap();
    write_atomic(&directory.path().join("ledger2"), b"kept", SECRET).unwrap();
    // A killed writer drops nothing.
    write_aside(&path, b"half", SECRET).unwrap().keep().unwrap();
    write_aside(&directory.path().join("ledger2"), b"half", SECRET)
        .unwrap()
        .keep()
        .unwrap();
    assert_eq!(names_in(directory.path()).len(), 4);

    assert_eq!(remove_leftovers(&path).unwrap(), 1);

    let names = names_in(directory.path());
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(
        names.iter().any(|name| name.starts_with(".aside-ledger2.")),
        "{names:?}"
    );
    assert_eq!(fs::read(&path).unwrap(), b"kept");
}

#[test]
fn a_secret_others_can_reach_is_refused_with_the_command_that_mends_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("node.key");
    write_atomic(&path, b"secret", SECRET).unwrap();
    assert_eq!(*read_secret(&path).unwrap(), b"secret");

    for mode in [0o640, 0o604, 0o620, 0o610, 0o601, 0o660, 0o666, 0o644] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let error = read_secret(&path).unwrap_err();
        let shown = path.display();
        assert_eq!(
            error.to_string(),
            format!("{shown} is open to other users (mode {mode:04o})")
        );
        assert_eq!(error.hint(), Some(format!("chmod 600 {shown}")));
    }

    fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
    assert_eq!(*read_secret(&path).unwrap(), b"secret");
}

#[test]
fn what_cannot_be_a_secret_is_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let long = directory.path().join("long");
    write_atomic(&long, &vec![b'x'; 65 * 1024], SECRET).unwrap();
    assert!(matches!(read_secret(&long), Err(FileError::TooLong { .. })));

    let pipe = directory.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
    assert!(matches!(
        read_secret(&pipe),
        Err(FileError::NotAFile { .. })
    ));

    assert!(
        read_secret(&directory.path().join("none"))
            .unwrap_err()
            .is_missing()
    );
    assert!(matches!(
        write_atomic(Path::new("/"), b"", SECRET),
        Err(FileError::NotAFile { .. })
    ));
}

#[test]
fn a_private_directory_is_made_private_or_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a/b");
    private_directory(&path).unwrap();
    assert_eq!(mode_of(&path), 0o700);
    private_directory(&path).unwrap();

    fs::set_permissions(&path, Permissions::from_mode(0o750)).unwrap();
    let error = private_directory(&path).unwrap_err();
    assert_eq!(error.hint(), Some(format!("chmod 700 {}", path.display())));
    assert_eq!(mode_of(&path), 0o750, "it is the operator who closes it");
}
