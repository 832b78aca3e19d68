//! A disk that fills up, or fails and recovers, costs at most what could not be written.

mod support;

use std::io::{self, ErrorKind, Write};

use heapsight_capture::{Capture, WriteError, Writer};
use support::{Step, end, expected, header, small_recording, write};

/// Takes `room` bytes and then fails until it is given more.
#[derive(Default)]
struct Disk {
    content: Vec<u8>,
    room: usize,
    /// Every write call that succeeded.
    writes: usize,
}

impl Write for &mut Disk {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = buffer.len().min(self.room);
        if count == 0 {
            return Err(ErrorKind::StorageFull.into());
        }
        self.content.extend_from_slice(&buffer[..count]);
        self.room -= count;
        self.writes += 1;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A sink that can be looked at and changed while a writer owns it.
#[derive(Clone, Default)]
struct Shared(std::rc::Rc<std::cell::RefCell<Disk>>);

impl Write for Shared {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        (&mut *self.0.borrow_mut()).write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn with_room(room: usize) -> Self {
        let disk = Self::default();
        disk.set_room(room);
        disk
    }

    fn set_room(&self, room: usize) {
        self.0.borrow_mut().room = room;
    }

    fn read(&self) -> Capture {
        Capture::read(&self.0.borrow().content[..]).expect("the header is whole")
    }
}

#[test]
fn each_tick_is_one_write() {
    let disk = Shared::with_room(usize::MAX);
    let mut writer = Writer::create(disk.clone(), &header()).expect("there is room");
    for step in small_recording() {
        writer.tick(&step.as_tick()).expect("there is room");
    }
    assert_eq!(disk.0.borrow().writes, 1 + 3);
}

#[test]
fn a_capture_is_not_created_where_nothing_can_be_written() {
    let error = Writer::create(Shared::default(), &header())
        .err()
        .expect("no room");
    assert!(
        matches!(error, WriteError::Io { ref source, .. } if source.kind() == ErrorKind::StorageFull)
    );
}

#[test]
fn a_frame_that_was_torn_is_completed_once_there_is_room_again() {
    let steps = small_recording();
    let (file, lengths) = write(&steps);
    for torn_at in lengths[0]..lengths[1] {
        let disk = Shared::with_room(torn_at);
        let mut writer = Writer::create(disk.clone(), &header()).expect("there is room");

        let error = writer.tick(&steps[0].as_tick()).expect_err("no room");
        assert!(error.taken());
        assert!(writer.has_backlog());
        // Not even looked at, since the first tick is not out yet.
        let error = writer.tick(&steps[1].as_tick()).expect_err("no room");
        assert!(!error.taken());
        assert!(disk.read().timeline.is_empty());

        disk.set_room(usize::MAX);
        writer.tick(&steps[1].as_tick()).expect("there is room");
        assert!(!writer.has_backlog());
        writer.tick(&steps[2].as_tick()).expect("there is room");
        writer.finish(&end(&steps)).expect("there is room");
        assert_eq!(disk.0.borrow().content, file, "torn at {torn_at}");
    }
}

#[test]
fn a_tick_that_was_not_taken_can_be_merged_into_the_next() {
    let steps = small_recording();
    let (_, lengths) = write(&steps);
    let disk = Shared::with_room(lengths[1] - 1);
    let mut writer = Writer::create(disk.clone(), &header()).expect("there is room");
    assert!(
        writer
            .tick(&steps[0].as_tick())
            .expect_err("no room")
            .taken()
    );
    assert!(
        !writer
            .tick(&steps[1].as_tick())
            .expect_err("no room")
            .taken()
    );
    disk.set_room(usize::MAX);
    let mut changed = steps[1].changed.clone();
    changed.extend(&steps[2].changed);
    let merged = Step {
        elapsed_ns: steps[2].elapsed_ns,
        rss_bytes: steps[2].rss_bytes,
        highest_rss_bytes: steps[2].highest_rss_bytes,
        totals: steps[2].totals,
        changed,
        ..steps[1].clone()
    };
    writer.tick(&merged.as_tick()).expect("there is room");
    assert_eq!(disk.read().tables, expected(&steps).0);
}

#[test]
fn an_ending_that_cannot_be_written_is_an_error() {
    let (_, lengths) = write(&small_recording());
    let disk = Shared::with_room(lengths[1] + 3);
    let mut writer = Writer::create(disk.clone(), &header()).expect("there is room");
    writer
        .tick(&small_recording()[0].as_tick())
        .expect("there is room");
    let error = writer
        .finish(&end(&small_recording()))
        .err()
        .expect("no room");
    assert!(
        error.to_string().starts_with("cannot write the capture: "),
        "{error}"
    );
    let capture = disk.read();
    assert_eq!(capture.timeline.len(), 1);
    assert!(capture.truncation.is_some());
}
