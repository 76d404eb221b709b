//! The far end of a cable, held by a test: a guest, a host, or a link peer made by hand.

use link::{OutFrame, Port, RxBurst};

/// One end of a cable.
pub struct End {
    port: Port,
}

impl End {
    /// Holds this end.
    #[must_use]
    pub fn new(port: Port) -> Self {
        Self { port }
    }

    /// Sends a frame; `false` when the cable is full or unplugged.
    pub fn send(&mut self, frame: &[u8]) -> bool {
        let taken = self.port.tx[0].send(0, &[OutFrame::private(frame)]);
        taken.frames == 1 && taken.refused == 0
    }

    /// Everything that has arrived since this was last called.
    pub fn received(&mut self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        for queue in &mut self.port.rx {
            loop {
                let mut burst = RxBurst::new();
                queue.recv(0, link::BURST, &mut burst);
                let lent = burst.len();
                frames.extend(burst.iter().map(|frame| frame.data.to_vec()));
                drop(burst);
                queue.release(lent);
                if lent == 0 {
                    break;
                }
            }
        }
        frames
    }

    /// The port itself, to be plugged into a machine.
    #[must_use]
    pub fn into_port(self) -> Port {
        self.port
    }
}
