//! Enters a daemon's sandbox, and then does what a daemon does not. For the tests, which look at what becomes of it.
//!
//! ```text
//! cargo run -p niv-node --example confined -- FOLDER DEED
//! ```
//! State is in `FOLDER/state`, the API would be `FOLDER/run/api.sock`. Prints `in` when it is in the sandbox, then `done`, or
//! why it could not be done; a deed that ends the process ends it before that.

use niv_node::config::Node;
use niv_node::sandbox::{Needs, Policy};
use rustix::net::{AddressFamily, SocketType, socket};
use rustix::process::{Pid, Signal, chroot, getppid, kill_process};
use std::fs;
use std::io;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

fn main() {
    let mut words = std::env::args().skip(1);
    let (folder, deed) = (words.next().expect("a folder"), words.next().expect("a deed"));
    let folder = Path::new(&folder);
    let node = Node {
        state_dir: folder.join("state"),
        api: folder.join("run/api.sock"),
        ..Node::without_file("confined")
    };
    let mut policy = Policy::of(&node);
    policy.add(&Needs {
        writes: vec![folder.join("tee.pcapng")],
        packet: true,
        xdp: true,
        ..Needs::default()
    });
    // Whose number is known: a daemon does not ask for it.
    let parent = getppid().unwrap_or(Pid::INIT);
    let sandbox = policy.enter().expect("a sandbox");
    println!("in");
    // Any thread is as good as any other.
    let done = match deed.as_str() {
        "at-start" => sandbox.at_start(true, || packet_socket().and_then(|()| xdp_socket())),
        _ => {
            sandbox.started();
            let (folder, deed) = (folder.to_owned(), deed.clone());
            std::thread::spawn(move || act(&folder, &deed, parent)).join().expect("it returns")
        }
    };
    println!("{}", done.map_or_else(|error| format!("{:?}", error.kind()), |()| "done".to_owned()));
}

fn packet_socket() -> io::Result<()> {
    Ok(socket(AddressFamily::PACKET, SocketType::RAW, None).map(drop)?)
}

fn xdp_socket() -> io::Result<()> {
    Ok(socket(AddressFamily::XDP, SocketType::RAW, None).map(drop)?)
}

fn act(folder: &Path, deed: &str, parent: Pid) -> io::Result<()> {
    match deed {
        // Calls that no daemon makes.
        "exec" => Err(Command::new("/bin/true").exec()),
        "chroot" => Ok(chroot(folder)?),
        "signal" => Ok(kill_process(parent, Signal::CONT)?),
        // Calls that it makes, otherwise.
        "fork" => Command::new("/bin/true").spawn().map(drop),
        "internet" => Ok(socket(AddressFamily::INET, SocketType::STREAM, None).map(drop)?),
        "packet" => packet_socket(),
        "xdp" => xdp_socket(),
        // Files.
        "read-secret" => fs::read(folder.join("secret")).map(drop),
        "write-secret" => fs::write(folder.join("secret"), "mine"),
        "make-file" => fs::write(folder.join("run/file"), ""),
        "look-at-parent" => fs::read(format!("/proc/{parent}/maps")).map(drop),
        "write-state" => {
            let (draft, file) = (folder.join("state/draft"), folder.join("state/file"));
            fs::write(&draft, "")?;
            fs::rename(draft, &file)?;
            fs::remove_file(file)
        }
        "write-capture" => fs::write(folder.join("tee.pcapng"), "frames"),
        "make-socket" => UnixListener::bind(folder.join("run/api.sock")).map(drop),
        "panic" => panic!("on purpose"),
        "read-users" => fs::read("/etc/passwd").map(drop),
        other => panic!("{other} is not known here"),
    }
}
