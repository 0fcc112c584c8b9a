//! Figures of the machine that the tests run on: what is impossible anywhere.

use super::*;

#[test]
fn this_machine_has_figures_that_can_be() {
    let directory = tempfile::tempdir().unwrap();
    let mut sampler = Sampler::new(directory.path().join("not/made/yet"));
    sampler.docker_root = Some(directory.path().to_owned());
    let first = sampler.sample();
    assert_eq!(
        first.processor_permille, None,
        "one sample alone says nothing about use"
    );
    let second = sampler.sample();
    assert!(second.processor_permille.is_some_and(|use_| use_ <= 1_000));
    assert!(second.processors.is_some_and(|count| count > 0));
    let memory = second.memory.unwrap();
    assert!(memory.used > 0 && memory.used < memory.total, "{memory:?}");
    assert!(second.uptime.is_some_and(|up| !up.is_zero()));
    assert!(second.load.is_some());
    assert_eq!(
        second.disks.len(),
        1,
        "two directories of one file system are one disk: {:?}",
        second.disks
    );
    let disk = &second.disks[0];
    assert!(disk.path.ends_with("not/made/yet"));
    assert!(disk.free <= disk.total, "{disk:?}");
}

#[test]
fn another_file_system_of_docker_is_another_disk() {
    let directory = tempfile::tempdir().unwrap();
    let disks = disks(directory.path(), Some(Path::new("/proc")));
    // /proc has no blocks, and so it is no disk; what matters is that it was looked at.
    assert_eq!(disks.len(), 1);
    assert_ne!(device(directory.path()), device(Path::new("/proc")));
    let shared_memory = Path::new("/dev/shm");
    if device(shared_memory) != device(directory.path()) {
        let disks = super::disks(directory.path(), Some(shared_memory));
        assert_eq!(disks[1].path, "/dev/shm");
    }
}

#[test]
fn odd_numbers_are_mended() {
    assert_eq!(permille(f32::NAN), None);
    assert_eq!(permille(-3.0), Some(0));
    assert_eq!(permille(12.34), Some(123));
    assert_eq!(permille(1e9), Some(1_000));
    assert_eq!((hundredths(0.125), hundredths(f64::NAN)), (13, 0));
}

#[tokio::test]
async fn each_session_is_told_each_sample_once() {
    let (to, samples) = latest::channel();
    let mut figures = Figures {
        samples,
        wall: || None,
    };
    assert_eq!(figures.take_news(), None);
    let sample = HostFigures {
        processors: Some(2),
        ..HostFigures::default()
    };
    to.tell(sample.clone());
    let mut session = figures.anew();
    let told = session.take_news().unwrap();
    assert_eq!(told.figures, sample);
    assert_eq!(session.take_news(), None);
    let mut next = session.anew();
    assert!(next.take_news().is_some(), "a new session knows nothing");
}
