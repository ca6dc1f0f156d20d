//! Standard output, written by a thread of its own: a reader that is slow stops nothing but what is to be shown.

use std::io::{self, Write as _};
use std::thread;

use tokio::sync::{mpsc, oneshot};

/// Where lines go. Holds one block that waits and one that is being written.
#[derive(Debug)]
pub(super) struct Output {
    blocks: mpsc::Sender<Vec<u8>>,
    done: oneshot::Receiver<io::Result<()>>,
}

/// Nobody reads any more, or writing failed: [`Output::finish`] tells which.
#[derive(Debug)]
pub(super) struct Gone;

/// What a block of bytes is given to.
pub(super) trait Write: Send + 'static {
    fn write(&mut self, block: Vec<u8>) -> io::Result<()>;
    /// Everything has been written; it is to be seen when this returns.
    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The process's stdout, flushed block by block.
#[derive(Debug)]
pub(super) struct Stdout;

impl Write for Stdout {
    fn write(&mut self, block: Vec<u8>) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(&block).and_then(|()| stdout.flush())
    }
}

impl Output {
    pub(super) fn start(mut writer: impl Write) -> io::Result<Output> {
        let (blocks, mut waiting) = mpsc::channel(1);
        let (finished, done) = oneshot::channel();
        thread::Builder::new().name("output".to_owned()).spawn(move || {
            let mut result = Ok(());
            while let Some(block) = waiting.blocking_recv() {
                result = writer.write(block);
                if result.is_err() {
                    break;
                }
            }
            // Whoever waits for room must hear that there will be none.
            drop(waiting);
            let _ = finished.send(result.and_then(|()| writer.finish()));
        })?;
        Ok(Output { blocks, done })
    }

    /// Hands over a block, as soon as the one before is being written.
    pub(super) async fn write(&self, block: Vec<u8>) -> Result<(), Gone> {
        self.blocks.send(block).await.map_err(|_| Gone)
    }

    /// Ready when nothing can be written any more.
    pub(super) async fn gone(&self) {
        self.blocks.closed().await;
    }

    /// Waits until everything is written. That nobody reads any more is no error.
    pub(super) async fn finish(self) -> io::Result<()> {
        drop(self.blocks);
        match self.done.await {
            Ok(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    struct Kept(Arc<Mutex<Vec<u8>>>, Option<io::ErrorKind>);

    impl Write for Kept {
        fn write(&mut self, block: Vec<u8>) -> io::Result<()> {
            if let Some(kind) = self.1 {
                return Err(kind.into());
            }
            self.0.lock().unwrap().extend(block);
            Ok(())
        }

        fn finish(&mut self) -> io::Result<()> {
            self.write(b".".to_vec())
        }
    }

    #[tokio::test]
    async fn everything_is_written_before_it_is_finished() {
        let kept = Arc::default();
        let output = Output::start(Kept(Arc::clone(&kept), None)).unwrap();
        for number in 0..100 {
            output.write(vec![number]).await.unwrap();
        }
        output.finish().await.unwrap();
        assert_eq!(*kept.lock().unwrap(), (0..100).chain([b'.']).collect::<Vec<u8>>());
    }

    #[tokio::test]
    async fn a_broken_pipe_is_no_error_and_others_are() {
        for (kind, is_fine) in [(io::ErrorKind::BrokenPipe, true), (io::ErrorKind::StorageFull, false)] {
            let output = Output::start(Kept(Arc::default(), Some(kind))).unwrap();
            while output.write(vec![0]).await.is_ok() {}
            assert_eq!(output.finish().await.is_ok(), is_fine);
        }
    }
}
