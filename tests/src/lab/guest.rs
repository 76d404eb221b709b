//! One guest: a QEMU process with a serial console, an agent and a network card.

use super::agent::{self, Agent};
use super::kernel::Kernel;
use super::paths::{CACHE, LOG, RUN};
use super::process::Process;
use super::say;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Long enough for the slowest machine, short enough to be called a failure.
pub const BOOT: Duration = Duration::from_secs(90);

/// How QEMU runs guests here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    /// The processor's own virtualization.
    Kvm,
    /// Translation: always works, some ten times slower.
    Tcg,
}

impl Accelerator {
    /// Its name for people and for QEMU.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }
}

/// What all guests share.
pub struct Machine {
    pub(crate) kernel: Kernel,
    pub(crate) image: PathBuf,
    /// How guests run.
    pub accelerator: Accelerator,
}

impl Machine {
    /// Kernel, image with the program `lab` in it, and the accelerator that really boots them.
    ///
    /// # Errors
    /// A kernel that cannot be had, a program that is missing.
    pub fn prepare(lab: &Path) -> Result<Self> {
        let kernel = Kernel::get()?;
        let step = say::Step::begin("Building the guest image");
        let image = super::image::build(&kernel, lab)?;
        step.done(&format!("kernel {}", kernel.version));
        let mut machine = Self { kernel, image, accelerator: Accelerator::Tcg };
        machine.accelerator = machine.probe()?;
        Ok(machine)
    }

    /// Boots a guest with KVM where the device is there: some machines open it but cannot run a stock kernel.
    /// The answer is kept for this boot of the host.
    fn probe(&self) -> Result<Accelerator> {
        if fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").is_err() {
            return Ok(Accelerator::Tcg);
        }
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let cache = Path::new(CACHE).join("accelerator");
        let key = |accelerator: Accelerator| {
            format!("{} {} {}", accelerator.name(), self.kernel.version, boot.trim())
        };
        let known = fs::read_to_string(&cache).unwrap_or_default();
        if let Some(found) = [Accelerator::Kvm, Accelerator::Tcg].into_iter().find(|a| known == key(*a)) {
            return Ok(found);
        }
        let step = say::Step::begin("Does KVM boot a guest here?");
        let machine =
            Self { kernel: Kernel::get()?, image: self.image.clone(), accelerator: Accelerator::Kvm };
        let probe = Guest::start("kvm-probe", &machine, "", &[])
            .and_then(|mut guest| guest.agent(Duration::from_secs(8)).map(|_| ()));
        let found = if probe.is_ok() { Accelerator::Kvm } else { Accelerator::Tcg };
        step.done(match found {
            Accelerator::Kvm => "yes",
            Accelerator::Tcg => "no, so QEMU translates (TCG)",
        });
        fs::write(&cache, key(found))?;
        Ok(found)
    }
}

/// A running guest.
pub struct Guest {
    pub(crate) process: Process,
}

/// Where QEMU offers a guest's console.
pub(crate) fn console(name: &str) -> PathBuf {
    Path::new(RUN).join(format!("{name}.console"))
}

impl Guest {
    /// Starts QEMU. `settings` are words for the guest's init, `nic` QEMU's arguments for its network card.
    pub fn start(name: &str, machine: &Machine, settings: &str, nic: &[String]) -> Result<Self> {
        let console_log = Path::new(LOG).join(format!("{name}.console.log"));
        let (console, agent) = (console(name), agent::socket(name));
        for socket in [&console, &agent] {
            let _ = fs::remove_file(socket);
        }
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args([
            "-accel",
            machine.accelerator.name(),
            "-m",
            "256",
            "-nodefaults",
            "-nographic",
            "-no-reboot",
        ])
        .args(["-cpu", if machine.accelerator == Accelerator::Kvm { "host" } else { "max" }])
        // vhost-user needs guest memory that another process can map.
        .args(["-machine", "q35,memory-backend=mem"])
        .args(["-object", "memory-backend-memfd,id=mem,size=256M,share=on"])
        .arg("-kernel")
        .arg(&machine.kernel.vmlinuz)
        .arg("-initrd")
        .arg(&machine.image)
        // On a busy machine the kernel's check of its timer fails now and then, and it does not boot.
        .args([
            "-append",
            &format!("console=ttyS0 quiet panic=-1 no_timer_check ipv6.disable=1 niv.name={name} {settings}"),
        ])
        .arg("-chardev")
        .arg(format!(
            "socket,id=con,path={},server=on,wait=off,logfile={}",
            console.display(),
            console_log.display()
        ))
        .args(["-serial", "chardev:con", "-chardev"])
        .arg(format!("socket,id=agent,path={},server=on,wait=off", agent.display()))
        .args(["-serial", "chardev:agent"])
        .args(nic);
        Ok(Self { process: Process::start(name, &mut qemu)? })
    }

    /// What its console and QEMU have said, for a test that failed.
    pub fn said(&self) -> String {
        let name = self.process.name();
        let files = [format!("{name}.console.log"), format!("{name}.log")];
        let read = |file: &String| fs::read(Path::new(LOG).join(file)).unwrap_or_default();
        files.iter().map(|file| format!("--- {file}\n{}\n", String::from_utf8_lossy(&read(file)))).collect()
    }

    /// Waits until it is up and answers.
    pub fn agent(&mut self, patience: Duration) -> Result<Agent> {
        let name = self.process.name().to_owned();
        let agent = Agent::connect(&name, &agent::socket(&name), patience);
        agent.or_else(|error| {
            self.process.check()?;
            let console = Path::new(LOG).join(format!("{name}.console.log"));
            Err(error).with_context(|| super::process::tail_of(&console))
        })
    }
}
